"""What a conversation with people changes in the state of a run."""

from backstay.kernel.budget import Limits
from backstay.kernel.conversation_events import (
    ConversationClosed,
    ConversationOpened,
    TurnBegun,
    TurnEnded,
    WordsHeard,
    WordsSaid,
)
from backstay.kernel.event import Event
from backstay.kernel.events import Admitted, CallOutcome, Decided, DecisionEnded, DecisionKind, Killed
from backstay.kernel.incident_events import Frozen, Thawed
from backstay.kernel.progress import Progress
from backstay.kernel.run_state import RunState
from backstay.kernel.stop import StopReason, Thresholds
from backstay.kernel.stopping import next_stop

OPENED = ConversationOpened(1_000, None)
ANSWERED = Decided(1, DecisionKind.ANSWER, 0)
ENDED = TurnEnded(1, "yes", 1_000)
SAID = WordsSaid("olga", False, "and?")


def after(*events: Event) -> RunState:
    state = RunState().after(Admitted("clerk", "1", "t", None, "m", Limits(), Thresholds(), None, 10))
    for event in events:
        state = state.after(event)
    return state


def reason(state: RunState) -> StopReason | None:
    stop = next_stop(state)
    return stop.reason if stop else None


def test_an_answer_ends_a_run_only_where_it_is_not_kept_open() -> None:
    assert reason(after(ANSWERED)) is StopReason.COMPLETED
    waits = after(OPENED, ANSWERED, ENDED)
    assert (reason(waits), waits.listens, waits.conversation.answer) == (None, True, "yes")
    assert not after(OPENED, ANSWERED).listens


def test_words_begin_a_turn_that_forgets_what_was_counted_in_a_row() -> None:
    failed = DecisionEnded(1, (CallOutcome.FAILED,), ("same",))
    state = after(OPENED, failed, ANSWERED, ENDED, SAID)
    assert (state.listens, state.failures, reason(state)) == (False, 1, None)
    begun = state.after(TurnBegun(2)).after(WordsHeard(1))
    assert (begun.answered, begun.failures, begun.progress, begun.warned) == (False, 0, Progress(), False)
    assert (begun.conversation.turn, begun.conversation.unread, begun.conversation.answer) == (2, (), "yes")


def test_words_that_came_later_stay_unread() -> None:
    state = after(OPENED, SAID, WordsSaid("rita", True, "more"), WordsHeard(1))
    assert [words.text for words in state.conversation.unread] == ["more"]


def test_a_closed_conversation_ends_with_the_answer_to_all_that_was_said_before() -> None:
    closed = ConversationClosed("olga")
    assert reason(after(OPENED, ANSWERED, ENDED, closed)) is StopReason.COMPLETED
    unread = after(OPENED, SAID, closed, ANSWERED, ENDED)
    assert reason(unread) is None
    assert reason(unread.after(TurnBegun(2)).after(WordsHeard(1)).after(ANSWERED)) is StopReason.COMPLETED


def test_a_kill_is_stronger_than_waiting() -> None:
    assert reason(after(OPENED, ANSWERED, ENDED, Killed("olga", "enough"))) is StopReason.KILLED


def test_the_time_to_say_more_moves_by_as_long_as_an_incident_held_the_run() -> None:
    state = after(OPENED, ANSWERED, ENDED, Frozen("i1", "ann", "look"), Thawed("i1", "ann", 500))
    assert state.conversation.open_until_ms == 1_500
