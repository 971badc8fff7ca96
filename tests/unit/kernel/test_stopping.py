"""When a run stops: the strongest reason that holds now, when to warn, and when to interrupt."""

from dataclasses import replace
from itertools import combinations

import pytest

from backstay.kernel.approval import Approval, ApprovalEnd, ApprovalKind
from backstay.kernel.budget import Amount, Limits
from backstay.kernel.events import (
    Admitted,
    ApprovalEnded,
    ApprovalOpened,
    BudgetShort,
    CallEnded,
    CallHeld,
    CallJudged,
    CallOutcome,
    CancelRequested,
    DeadlinePassed,
    Decided,
    DecisionEnded,
    DecisionHeld,
    DecisionKind,
    DecisionUnusable,
    Event,
    HistoryFull,
    Killed,
    ModelLost,
    Warned,
)
from backstay.kernel.ledger import CLOSED
from backstay.kernel.run_state import RunState
from backstay.kernel.stop import INTERRUPTING, Stop, StopReason, Thresholds
from backstay.kernel.stopping import gets_nowhere, interruption, next_stop, wraps_up
from backstay.kernel.verdict import Code, Outcome, Verdict

DENIED = Verdict(Outcome.DENY, Code.FORBIDDEN, "d", "v", rules=("no-refunds",))


def admitted(expiry_stops: bool = False) -> RunState:
    thresholds = Thresholds(denials=2, repeats=3, failures=2, malformed=2, expiry_stops=expiry_stops)
    return RunState().after(Admitted("clerk", "1", "t", None, "m", Limits(), thresholds, None, 100))


def after(state: RunState, *events: Event) -> RunState:
    for event in events:
        state = state.after(event)
    return state


def a_call(call_id: str, outcome: CallOutcome, fingerprint: str | None = None) -> list[Event]:
    return [CallHeld(call_id, "pay", 0), CallEnded(call_id, "pay", outcome), a_decision(outcome, fingerprint)]


def a_decision(outcome: CallOutcome, fingerprint: str | None = None) -> Event:
    """The end of a decision with one call."""
    return DecisionEnded(1, (outcome,), (fingerprint,) if fingerprint else ())


def an_approval(approval_id: str, end: ApprovalEnd) -> list[Event]:
    asked = Approval(approval_id, ApprovalKind.ACTION, "9-0", "pay", "d", ("finance",))
    return [ApprovalOpened(asked), ApprovalEnded(approval_id, end, "ann")]


# What gives each reason, the weakest first: in this order no later fact takes an earlier one back.
FACTS: dict[Stop, list[Event]] = {
    Stop(StopReason.COMPLETED): [Decided(1, DecisionKind.ANSWER, 0)],
    Stop(StopReason.MODEL_UNAVAILABLE, "timed out"): [ModelLost("timed out")],
    Stop(StopReason.TOOL_FAILURES, "2 in a row"): [
        *a_call("f-0", CallOutcome.FAILED),
        *a_call("f-1", CallOutcome.FAILED),
    ],
    Stop(StopReason.MALFORMED_CALLS, "2 in a row"): [
        Decided(1, DecisionKind.MALFORMED, 0, "cut"),
        DecisionUnusable(2),
    ],
    Stop(StopReason.NO_PROGRESS, "the same calls with the same results"): [
        event for number in range(3) for event in a_call(f"p-{number}", CallOutcome.CANCELLED, "same")
    ],
    Stop(StopReason.DEADLINE_EXCEEDED, "seconds"): [DeadlinePassed(900)],
    Stop(StopReason.BUDGET_EXHAUSTED, "usd"): [BudgetShort("usd")],
    Stop(StopReason.APPROVAL_EXPIRED, "pay"): an_approval("apr_1", ApprovalEnd.EXPIRED),
    Stop(StopReason.OUTCOME_UNKNOWN, "pay"): a_call("u-0", CallOutcome.UNKNOWN)[:-1],
    Stop(StopReason.KILLED, "by ann: enough"): [Killed("ann", "enough")],
}
REFUSALS: dict[Stop, list[Event]] = {
    Stop(StopReason.POLICY_DENIED, "pay: no-refunds"): [
        CallJudged("d-0", "pay", DENIED),
        CallJudged("d-1", "pay", DENIED),
    ],
    Stop(StopReason.APPROVAL_DENIED, "pay: denied by ann"): [
        *an_approval("apr_2", ApprovalEnd.DENIED),
        *an_approval("apr_3", ApprovalEnd.DENIED),
    ],
}
ALL = {**FACTS, **REFUSALS}
RANK = list(StopReason)
# The first refusal to reach the threshold is the one that counts, so the two never meet.
PAIRS = [pair for pair in combinations(ALL, 2) if not set(pair) <= set(REFUSALS)]


def name(stop: Stop) -> str:
    return stop.reason.value


@pytest.mark.parametrize("stop", ALL, ids=name)
def test_each_reason_holds_alone(stop: Stop) -> None:
    state = admitted(expiry_stops=True)
    for event in ALL[stop][:-1]:
        state = state.after(event)
        assert next_stop(state) is None
    assert next_stop(state.after(ALL[stop][-1])) == stop


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=name)
def test_of_two_reasons_the_earlier_in_the_order_wins(one: Stop, other: Stop) -> None:
    state = admitted(expiry_stops=True)
    # A call whose outcome is unknown because the run was interrupted is no reason of its own.
    unknown_first = sorted((one, other), key=lambda stop: stop.reason is not StopReason.OUTCOME_UNKNOWN)
    for event in (event for stop in unknown_first for event in ALL[stop]):
        state = state.after(event)
    assert next_stop(state) == min(one, other, key=lambda stop: RANK.index(stop.reason))


def test_a_further_reason_never_weakens_the_stop() -> None:
    state, ranks = admitted(expiry_stops=True), [len(RANK)]
    for stop in sorted(ALL, key=lambda stop: stop.reason in INTERRUPTING):
        for event in ALL[stop]:
            state = state.after(event)
        now = next_stop(state)
        assert now is not None
        ranks.append(RANK.index(now.reason))
    assert ranks == sorted(ranks, reverse=True)
    assert next_stop(state) == Stop(StopReason.KILLED, "by ann: enough")


def test_the_refusal_that_reached_the_threshold_is_the_reason_whatever_is_refused_after_it() -> None:
    state = admitted()
    for event in (*REFUSALS[Stop(StopReason.POLICY_DENIED, "pay: no-refunds")], *an_approval("a", ApprovalEnd.DENIED)):
        state = state.after(event)
    assert state.denials == 3
    assert next_stop(state) == Stop(StopReason.POLICY_DENIED, "pay: no-refunds")


def test_an_expired_approval_counts_as_a_refusal_where_it_does_not_stop_the_run() -> None:
    state = admitted(expiry_stops=False)
    for event in (*an_approval("a", ApprovalEnd.EXPIRED), *an_approval("b", ApprovalEnd.EXPIRED)):
        assert next_stop(state) is None
        state = state.after(event)
    assert next_stop(state) == Stop(StopReason.APPROVAL_EXPIRED, "pay")


def test_calls_that_bring_nothing_new_are_no_progress_even_in_no_order() -> None:
    state, stops = admitted(), list[Stop | None]()
    for number, fingerprint in enumerate("abcdeacebdadbceab"):
        for event in a_call(f"1-{number}", CallOutcome.CANCELLED, fingerprint):
            state = state.after(event)
        stops.append(next_stop(state))
    assert stops == [None] * 16 + [Stop(StopReason.NO_PROGRESS, "calls that bring nothing new")]


@pytest.mark.parametrize("event", [Killed("ann", "enough"), DeadlinePassed(1), HistoryFull(1, 1, 1), CancelRequested()])
def test_some_reasons_do_not_wait_for_what_runs(event: Event) -> None:
    assert interruption(admitted().after(event))


@pytest.mark.parametrize("stop", ALL, ids=name)
def test_the_others_wait_for_what_runs(stop: Stop) -> None:
    state = admitted(expiry_stops=True)
    for event in ALL[stop]:
        state = state.after(event)
    assert interruption(state) == (stop.reason in (StopReason.KILLED, StopReason.DEADLINE_EXCEEDED))


def test_a_cancelled_run_is_interrupted_without_a_reason_of_its_own() -> None:
    state = admitted().after(CancelRequested())
    assert next_stop(state) is None
    assert interruption(state)


def test_a_sibling_that_succeeds_after_the_last_failure_allowed_does_not_save_the_run() -> None:
    state = replace(admitted(), thresholds=Thresholds(failures=2))
    state = after(state, *(CallHeld(f"1-{n}", "pay", 0) for n in range(3)))
    ends = [CallOutcome.FAILED, CallOutcome.FAILED, CallOutcome.COMPLETED]
    state = after(state, *(CallEnded(f"1-{n}", "pay", end) for n, end in enumerate(ends)))
    assert next_stop(state) is None
    state = after(state, DecisionEnded(1, tuple(ends), ()))
    assert next_stop(state) == Stop(StopReason.TOOL_FAILURES, "2 in a row")


def test_what_comes_after_the_last_repetition_does_not_save_the_run() -> None:
    state = replace(admitted(), thresholds=Thresholds(repeats=2))
    state = after(state, *(a_decision(CallOutcome.COMPLETED, fingerprint) for fingerprint in "ppq"))
    assert next_stop(state) == Stop(StopReason.NO_PROGRESS, "the same calls with the same results")


@pytest.mark.parametrize(
    ("fingerprints", "repeats", "nowhere"),
    [
        ("", 3, False),
        ("ab", 3, False),
        ("aa", 3, True),
        ("abab", 3, True),
        ("aa", 4, False),
        ("aaa", 4, True),
        ("", 2, False),
        ("a", 2, True),
        ("a", 3, False),
        ("abcdeaceb", 3, False),  # four that are not new
        ("abcdeacebda", 3, True),  # six
    ],
)
def test_an_agent_that_gets_nowhere_is_told_once_and_before_it_is_stopped(
    fingerprints: str, repeats: int, nowhere: bool
) -> None:
    state = replace(admitted(), thresholds=Thresholds(repeats=repeats))
    for number, fingerprint in enumerate(fingerprints):
        state = after(state, *a_call(f"1-{number}", CallOutcome.COMPLETED, fingerprint))
    assert gets_nowhere(state) == nowhere
    assert not gets_nowhere(state.after(Warned(2)))


def test_an_agent_that_moved_on_is_told_again_before_it_is_stopped_for_another_loop() -> None:
    state = after(admitted(), *(a_decision(CallOutcome.COMPLETED, "p") for _ in range(2)), Warned(2))
    state = after(state, *(a_decision(CallOutcome.COMPLETED, fingerprint) for fingerprint in "qq"))
    assert gets_nowhere(state)
    assert next_stop(after(state, Warned(2), a_decision(CallOutcome.COMPLETED, "q"))) is not None


def test_an_agent_that_any_repetition_stops_is_told_so_once() -> None:
    state = replace(admitted(), thresholds=Thresholds(repeats=2))
    state = after(state, a_decision(CallOutcome.COMPLETED, "p"), Warned(1), a_decision(CallOutcome.COMPLETED, "q"))
    assert not gets_nowhere(state)
    assert next_stop(state) is None
    assert next_stop(after(state, a_decision(CallOutcome.COMPLETED, "q"))) is not None


def test_a_warning_stays_while_the_loop_goes_on() -> None:
    state = after(admitted(), *(a_decision(CallOutcome.COMPLETED, fingerprint) for fingerprint in "abab"), Warned(2))
    assert not gets_nowhere(after(state, a_decision(CallOutcome.COMPLETED, "a")))


@pytest.mark.parametrize("decisions", [["aaa"], ["abcdefghijkl"] * 2, ["ab", "ba"], ["abc", "c", "b", "a", "ab"]])
def test_no_decision_stops_a_run_before_the_model_was_told(decisions: list[str]) -> None:
    ends = [DecisionEnded(1, (CallOutcome.COMPLETED,) * len(calls), tuple(calls)) for calls in decisions]
    assert next_stop(after(admitted(), *ends)) is None


def test_a_run_wraps_up_where_its_budget_ends_it_and_a_last_answer_is_held_back() -> None:
    held = DecisionHeld(1, 1, 10, 10, Amount(steps=1), last_answer=Amount(steps=1))
    state = admitted().after(held)
    short = BudgetShort("usd")
    assert not wraps_up(state)
    assert wraps_up(state.after(short))
    assert not wraps_up(admitted().after(short))
    for ending in (Killed("ann", "enough"), CancelRequested(), DeadlinePassed(9), HistoryFull(1, 1, 1)):
        assert not wraps_up(after(state, short, ending))
    assert not wraps_up(replace(state, shortfall="usd:overbilled"))
    assert wraps_up(replace(state, shortfall="usd:tenant:day"))
    assert not wraps_up(replace(state, shortfall=CLOSED))  # its ledgers hold nothing for it any more
