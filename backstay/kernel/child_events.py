"""The facts about the child runs of a run: what is carved for one, its beginning, and its end."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .budget import Amount, Limits
from .event import Event


@dataclass(frozen=True, slots=True)
class ChildRun:
    """A child run: `status` is how it ended, None while it runs; `waits` tells that it waits for people.

    `run_id` is None while its budget is held and it has not begun. `amount` is what it spent, once it has ended.
    """

    agent: str
    run_id: str | None = None
    status: str | None = None
    stop_reason: str | None = None
    amount: Amount = field(default_factory=Amount)
    usd_unbilled: int = 0
    head: str = ""
    waits: bool = False


@dataclass(frozen=True, slots=True)
class ChildHeld(Event):
    """The budget of a child run is carved: it spends within `limits`, and `amount` of them is held.

    `minute` has the calls of each tool that it may make in any minute, where that is limited.
    """

    call_id: str
    agent: str
    limits: Limits
    amount: Amount
    at_ms: int
    minute: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class ChildRefused(Event):
    """A call asked for a child run with more of a dimension than is left; it is not made, and the run goes on."""

    call_id: str
    agent: str
    dimension: str
    needed: int
    left: int


@dataclass(frozen=True, slots=True)
class ChildReleased(Event):
    """A child run was never started; what was carved for it is given back."""

    call_id: str


@dataclass(frozen=True, slots=True)
class ChildBegun(Event):
    """A child run is started."""

    call_id: str
    agent: str
    run_id: str


@dataclass(frozen=True, slots=True)
class ChildWaits(Event):
    """A child run begins to wait for people, or has ceased to."""

    call_id: str
    waits: bool


@dataclass(frozen=True, slots=True)
class ChildEnded(Event):
    """A child run came to its end: `amount` is what it spent, `head` the last hash of its audit.

    `status` is that of its result; `refused` where it was never admitted, and `unknown` where it left no result: then
    all that was carved for it counts as spent.
    """

    call_id: str
    agent: str
    run_id: str
    status: str
    stop_reason: str | None
    amount: Amount
    at_ms: int
    usd_unbilled: int = 0
    records: int = 0
    head: str = ""


@dataclass(frozen=True, slots=True)
class HandedOver(Event):
    """The answer of a child run is the run's own answer."""

    call_id: str
    agent: str
