"""The facts about standing grants in a run; they change nothing that the kernel decides by."""

from collections.abc import Mapping
from dataclasses import dataclass

from .event import Event
from .grantable import RuleText


@dataclass(frozen=True, slots=True)
class StandingGranted(Event):
    """A person who said yes to an approval let further calls like it through, up to an end and so many."""

    approval_id: str
    by: str
    grant: str
    tool: str
    rules: tuple[RuleText, ...]
    uses: int
    until_ms: int
    exposure: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class GrantUsed(Event):
    """A standing grant let a call through: which one, who gave it, and how many of its uses are drawn with this."""

    call_id: str
    tool: str
    grant: str
    by: str
    number: int
    uses: int


@dataclass(frozen=True, slots=True)
class GrantReturned(Event):
    """A use of a standing grant was given back: the call did not happen."""

    call_id: str
    tool: str
    grant: str
