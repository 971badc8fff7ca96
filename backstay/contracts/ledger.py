"""Defines the messages between runs, workers and the ledgers that count over many runs."""

from collections.abc import Sized
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from backstay.kernel.ledger import Asked, Books, Hold, Holder, Waiter
from backstay.kernel.ledger_period import Span
from backstay.kernel.ledger_queue import AtWork, Place
from backstay.kernel.ledger_sums import Amounts, Crossing, Excess, Limit

from .link import LinkInput
from .packed import Packed
from .problems import Contract
from .run import Name, Tenant

MOST_ENTRIES = 1_000
"""The most holds in one update; a batch of a worker is smaller."""

Id = Annotated[str, Field(min_length=1, max_length=1_000, strict=True)]


def _countable(amounts: Amounts) -> Amounts:
    """Refuses amounts that would take something away from a sum."""
    if any(amount < 0 for amount in amounts.values()):
        raise ValueError("an amount is zero or more")
    return amounts


def _asking(asked: Asked) -> Asked:
    _countable(asked.amounts)
    return asked


def _is_empty(value: Sized) -> bool:
    """Leaves out what workers of an earlier version do not know, where nothing is said with it."""
    return not value


Spend = Annotated[dict[str, Annotated[int, Field(strict=True)]], AfterValidator(_countable)]
"""Amounts by quantity, zero or more: `usd` in micro-dollars, `tokens`."""


class LedgerRef(Contract):
    """A ledger: that of a tenant, or that of the whole organisation where the tenant is None."""

    tenant: Tenant | None = None

    @property
    def level(self) -> str:
        """The level of its outermost account."""
        return "organisation" if self.tenant is None else "tenant"

    @property
    def words(self) -> str:
        """The ledger as people name it."""
        return "the organisation's ledger" if self.tenant is None else f"the ledger of tenant {self.tenant}"


class Closing(Contract):
    """A run that has ended, with all that it spent of the quantities named."""

    holder: Holder
    spent: Spend


class Releasing(Contract):
    """Holds of a run of which nothing was used, by their ids."""

    holds: Annotated[list[Id], Field(max_length=MOST_ENTRIES)]


class TurnAsked(Contract):
    """A run that wants to be one of those at once, and the limits of that as its worker knows them."""

    waiter: Waiter
    limits: Annotated[tuple[Limit, ...], Field(max_length=100)]


class BookRequest(Contract):
    """One batch of a worker: holds, and what became of earlier ones.

    Attributes:
        spans: the days and months around the worker's now, in its organisation's time zone.
        holds: amounts to reserve.
        settled: what was spent of a hold, by its id.
        released: the ids of holds of which nothing was used.
        withdrawn: the attempts that give holds back because another ledger refused, by the ids of the holds.
        turns: the runs that want to go on.
    """

    spans: Annotated[list[Span], Field(max_length=20)]
    holds: Annotated[list[Annotated[Asked, AfterValidator(_asking)]], Field(max_length=MOST_ENTRIES)] = Field(
        default_factory=list[Asked]
    )
    settled: Annotated[dict[Id, Spend], Field(max_length=MOST_ENTRIES)] = Field(default_factory=dict[str, Spend])
    released: Annotated[list[Id], Field(max_length=MOST_ENTRIES)] = Field(default_factory=list[str])
    withdrawn: Annotated[dict[Id, Annotated[int, Field(strict=True)]], Field(max_length=MOST_ENTRIES)] = Field(
        default_factory=dict[str, int], exclude_if=_is_empty
    )
    turns: Annotated[list[TurnAsked], Field(max_length=MOST_ENTRIES)] = Field(default_factory=list[TurnAsked])


class HoldAnswer(Contract):
    """The answer to one hold: the hold as it stands in the books, or the limit that has no room for it."""

    hold: Hold | None = None
    excess: Excess | None = None


class TurnAnswer(Contract):
    """The answer to a run that wants to go on: its hold, or its place among those that wait."""

    hold: Hold | None = None
    place: Place | None = None


class BookAnswer(Contract):
    """The answer to a batch: one for each hold, and one for each run that wants to go on, in order.

    There are none at all, with a reason, where the ledger is not ready.
    """

    holds: list[HoldAnswer] = Field(default_factory=list[HoldAnswer])
    turns: list[TurnAnswer] = Field(default_factory=list[TurnAnswer])
    not_ready: str | None = None


class LedgerInput(LinkInput):
    """The input of `TenantLedger`: whose it is; the rest comes from an earlier link of the same ledger alone."""

    handed_on = ("books",)

    ledger: LedgerRef
    books: Packed[Books] | None = None
    limits: dict[str, Limit] = Field(default_factory=dict[str, Limit])
    spans: list[Span] = Field(default_factory=list[Span])


class LedgerView(Contract):
    """A ledger as people read it, without its holds one by one.

    Attributes:
        ledger: whose it is.
        ready: whether its books are whole; else it is reading them from the histories of runs.
        books: the sums, the periods' ends and the runs that spent most.
        limits: the limits that the last hold of each kind brought.
        spans: the days and months that the last batch brought.
        open_holds: how many holds are open.
        waiting: how many runs wait until they may be among those at once.
        at_ms: when this was so.
    """

    ledger: LedgerRef
    ready: bool
    books: Books
    limits: list[Limit]
    spans: list[Span]
    open_holds: int
    waiting: int = 0
    at_ms: int


class ReserveInput(Contract):
    """The input of `reserve`: a run draws amounts, under a name that is its own; `holder` is the run's key."""

    name: Id
    holder: Id
    tenant: Tenant
    agent: Name
    amounts: Spend


class Reserved(Contract):
    """A hold that a ledger made for a run, as the run's history records it."""

    ledger: LedgerRef
    hold: Hold


class ReserveResult(Contract):
    """The holds of a draw, one in each ledger that has a limit; or the limit without room, and then no hold at all.

    `warnings` are the shares of limits that this draw reached as the first.
    """

    held: list[Reserved] = Field(default_factory=list[Reserved])
    excess: Excess | None = None
    warnings: list[Crossing] = Field(default_factory=list[Crossing])


class EnqueueInput(Contract):
    """The input of `enqueue`: a run asks whether it may be one of those at once.

    Attributes:
        holder: the run's key.
        tenant: its tenant.
        agent: its agent.
        started_us: when the engine took its start, in microseconds since the epoch.
        waits_in: the ledger in which it was told to wait, which may have no limit any more.
    """

    holder: Id
    tenant: Tenant
    agent: Name
    started_us: Annotated[int, Field(strict=True)]
    waits_in: LedgerRef | None = None


class EnqueueResult(Contract):
    """Holds the place of a run among those at once, or among those that wait in a ledger, `waits_in`."""

    held: list[Reserved] = Field(default_factory=list[Reserved])
    place: Place | None = None
    waits_in: LedgerRef | None = None


class LookInput(Contract):
    """The input of `look`: a ledger in which runs wait.

    Attributes:
        ledger: the ledger.
        holders: runs that may have closed.
        agents: those of the runs that wait in one task queue.
        counts: whether the runs are wanted that go on now.
    """

    ledger: LedgerRef
    holders: Annotated[list[Holder], Field(max_length=10 * MOST_ENTRIES)]
    agents: Annotated[list[Name], Field(max_length=MOST_ENTRIES)]
    counts: bool


class LookResult(Contract):
    """The keys of runs that have closed, the open runs if they were wanted, and the limits of now by agent."""

    over: list[str] = Field(default_factory=list[str])
    at_work: AtWork | None = None
    room: dict[str, list[Limit]] = Field(default_factory=dict[str, list[Limit]])


class LimitNotice(Contract):
    """Tells a webhook that runs together near a limit; sent once for each limit, period and share.

    Attributes:
        event: always `limit_neared`.
        run_id: the run that reached the share as the first.
        agent: its agent.
        tenant: null where the limit is the organisation's.
        crossing: the limit's name, the period's key, the percentage, and what is used of how much.
    """

    event: Literal["limit_neared"] = "limit_neared"
    run_id: str
    agent: str
    tenant: str | None
    crossing: Crossing


class SweepInput(Contract):
    """The input of `sweep`: runs that have held something for a while."""

    holders: Annotated[list[Holder], Field(max_length=MOST_ENTRIES)]


class SweepResult(Contract):
    """Those runs that have closed, with what they spent, as their results or histories tell."""

    closings: list[Closing] = Field(default_factory=list[Closing])


class RestoreInput(Contract):
    """The input of `restore`: a ledger that has no books."""

    ledger: LedgerRef


class RestoreResult(Contract):
    """The books as the histories of the ledger's runs have them."""

    books: Packed[Books]
