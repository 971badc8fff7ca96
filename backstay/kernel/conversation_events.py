"""The facts about the conversation of a run with people. What was said stands in the audit as a digest alone."""

from dataclasses import dataclass
from typing import Any

from .event import Event
from .keys import fingerprint


def _digested(facts: dict[str, Any], name: str) -> dict[str, Any]:
    """Returns facts with the digest and the length of a text in its place."""
    text = facts.pop(name)
    return {**facts, "digest": fingerprint(text), "characters": len(text)}


@dataclass(frozen=True, slots=True)
class ConversationOpened(Event):
    """The run is kept open after each answer for so long; beside who asked for it members of `group` may speak."""

    keep_open_ms: int
    group: str | None


@dataclass(frozen=True, slots=True)
class WordsSaid(Event):
    """A person said something to the run; `requester` says whether that is the person who asked for it."""

    by: str
    requester: bool
    text: str

    def facts(self) -> dict[str, Any]:
        """Returns the facts, with a digest of the words."""
        return _digested(Event.facts(self), "text")


@dataclass(frozen=True, slots=True)
class TurnBegun(Event):
    """What people said after an answer begins another turn."""

    turn: int


@dataclass(frozen=True, slots=True)
class WordsHeard(Event):
    """The next decision is told the first `count` of the words that were unread."""

    count: int


@dataclass(frozen=True, slots=True)
class TurnEnded(Event):
    """A turn was answered; more may be said until `open_until_ms`."""

    turn: int
    answer: str
    open_until_ms: int

    def facts(self) -> dict[str, Any]:
        """Returns the facts, with a digest of the answer."""
        return _digested(Event.facts(self), "answer")


@dataclass(frozen=True, slots=True)
class ConversationClosed(Event):
    """No more words are taken; `by` is None where the time to say more is over."""

    by: str | None
