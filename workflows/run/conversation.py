"""The conversation of a run that is kept open: what the next decision is told of it, and what people see."""

from backstay.contracts import names
from backstay.contracts.admission import ConversationSpec
from backstay.contracts.decision import Heard
from backstay.contracts.delegate import parent_of
from backstay.contracts.standing import stamp
from backstay.contracts.status import ConversationView, TranscriptItem
from backstay.kernel.conversation_events import TurnBegun, WordsHeard
from backstay.kernel.events import Tainted
from backstay.kernel.origins import SPEAKER

from .live import LiveRun


def conversation_of(run: LiveRun) -> ConversationSpec | None:
    """Returns how a run is kept open; None for a child run, and where nobody may speak."""
    spec = run.admission.conversation
    if spec is None or parent_of(run.request) is not None:
        return None
    return spec if spec.members or run.request.requested_by is not None else None


def hear(run: LiveRun) -> None:
    """Tells the next decision what people said since the last one; after an answer that begins another turn."""
    conversation = run.state.conversation
    if not conversation.unread:
        return
    opens = run.state.answered
    if opens:
        run.apply(TurnBegun(conversation.turn + 1))
    run.apply(WordsHeard(len(conversation.unread)))
    for words in conversation.unread:
        if not words.requester and SPEAKER not in run.state.taint:
            run.apply(Tainted(names.SAY, SPEAKER))
        run.news.hear(Heard(by=words.by, text=words.text, requester=words.requester, opens=opens))
        run.record.say(TranscriptItem(kind="said", text=words.text, by=words.by))
        opens = False


def answer_of(run: LiveRun) -> str | None:
    """Returns the last answer of a run."""
    return run.answer if run.answer is not None else run.state.conversation.answer


def view_of(run: LiveRun | None) -> ConversationView | None:
    """Returns the conversation of a run as people see it; None where it is not kept open."""
    if run is None or not run.state.conversation.kept_open:
        return None
    conversation, spec = run.state.conversation, run.admission.conversation
    until = conversation.open_until_ms
    return ConversationView(
        turn=conversation.turn,
        answer=conversation.answer,
        open_until=None if until is None else stamp(until),
        unread=len(conversation.unread),
        closed=conversation.closed or run.record.closed,
        group=spec.group if spec else None,
    )
