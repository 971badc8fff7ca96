"""The changes that a conversation with people makes to a run."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .conversation import Words
from .conversation_events import (
    ConversationClosed,
    ConversationOpened,
    TurnBegun,
    TurnEnded,
    WordsHeard,
    WordsSaid,
)
from .event import Event
from .progress import Progress

if TYPE_CHECKING:
    from .run_state import RunState


def _changed(state: "RunState", **changes: Any) -> "RunState":
    return replace(state, conversation=replace(state.conversation, **changes))


def _opened(state: "RunState", event: ConversationOpened) -> "RunState":
    return _changed(state, kept_open=True)


def _said(state: "RunState", event: WordsSaid) -> "RunState":
    return _changed(state, unread=(*state.conversation.unread, Words(event.by, event.text, event.requester)))


def _begun(state: "RunState", event: TurnBegun) -> "RunState":
    """Begins a turn: what is counted in a row begins anew, because a person knows more than the turn before did.

    What is counted over the whole run goes on: its budget and its denials.
    """
    after = _changed(state, turn=event.turn, open_until_ms=None)
    return replace(after, answered=False, failures=0, malformed=0, progress=Progress(), warned=False)


def _heard(state: "RunState", event: WordsHeard) -> "RunState":
    return _changed(state, unread=state.conversation.unread[event.count :])


def _ended(state: "RunState", event: TurnEnded) -> "RunState":
    return _changed(state, answer=event.answer, open_until_ms=event.open_until_ms)


def _closed(state: "RunState", event: ConversationClosed) -> "RunState":
    return _changed(state, closed=True)


CONVERSATION_TRANSITIONS: dict[type[Event], "Callable[[RunState, Any], RunState]"] = {
    ConversationOpened: _opened,
    WordsSaid: _said,
    TurnBegun: _begun,
    WordsHeard: _heard,
    TurnEnded: _ended,
    ConversationClosed: _closed,
}
