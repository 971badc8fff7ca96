"""The ports to the ledgers that count over many runs."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Protocol

from backstay.contracts.exposure import MeterSpec
from backstay.contracts.history import RunRef
from backstay.contracts.ledger import LedgerRef, TurnAsked
from backstay.kernel.ledger import Asked, Hold, Holder
from backstay.kernel.ledger_period import Span
from backstay.kernel.ledger_queue import AtWork, Place
from backstay.kernel.ledger_sums import Amounts, Excess, Limit


class Allowances(Protocol):
    """The organisation's limits on what runs spend together, as this worker knows them now."""

    def limits(
        self, tenant: str, agent: str, *, agent_only: bool = False
    ) -> Sequence[tuple[LedgerRef, tuple[Limit, ...]]]:
        """Returns the ledgers that limit what a run draws, each with its limits; empty where nothing does.

        Args:
            tenant: the run's tenant.
            agent: the run's agent.
            agent_only: leaves out all limits but those of the agent.
        """
        ...

    def at_once(self, tenant: str, agent: str) -> Sequence[tuple[LedgerRef, tuple[Limit, ...]]]:
        """Returns the ledgers that limit how many runs go on at once, each with its limits."""
        ...

    def of_meters(
        self, tenant: str, agent: str, meters: Mapping[str, MeterSpec]
    ) -> Sequence[tuple[LedgerRef, tuple[Limit, ...]]]:
        """Returns the ledgers that count some meters of a run: the tenant's, then the organisation's if that does.

        Args:
            tenant: the run's tenant.
            agent: the run's agent.
            meters: the meters, with the limits that the run was admitted with, which hold beside those of now.
        """
        ...

    def now_ms(self) -> int:
        """Returns the worker's time in milliseconds since the epoch."""
        ...

    def spans(self, at_ms: int | None = None) -> tuple[Span, ...]:
        """Returns the days and months around a moment, or around now, in the organisation's time zone."""
        ...


class Ledgers(Protocol):
    """The ledgers that count over many runs; whoever asks one starts it where there is none."""

    async def hold(self, ledger: LedgerRef, asked: Asked) -> Hold | Excess:
        """Reserves amounts; the same id gets its own hold again.

        Raises:
            LedgerUnansweredError: the ledger does not say whether there is room.
        """
        ...

    async def enqueue(self, ledger: LedgerRef, asked: TurnAsked) -> Hold | Place:
        """Lets a run be one of those at once, or has it wait; whoever asks again keeps what it has.

        Raises:
            LedgerUnansweredError: the ledger does not say whether there is room.
        """
        ...

    async def release(self, ledger: LedgerRef, hold_id: str, attempt: int) -> None:
        """Gives back a hold of which nothing was used, unless a later attempt has asked for it.

        Raises:
            LedgerUnansweredError: the ledger did not take it.
        """
        ...


class LedgerRuns(Protocol):
    """The runs that have drawn on ledgers, as the engine keeps them."""

    async def kept_before(self, ledger: LedgerRef, own: RunRef) -> bool:
        """Tells whether there was an earlier ledger of the same id, so that this one begins with its books lost.

        Raises:
            HistoryError: the engine does not say it for sure.
        """
        ...

    async def spent(self, holder: Holder) -> Amounts | None:
        """Returns what a closed run has spent; None while it is open, or where nobody can tell.

        Raises:
            HistoryError: the engine could not be asked.
        """
        ...

    async def over(self, holder: Holder) -> bool:
        """Tells whether a run has closed.

        Raises:
            HistoryError: the engine could not be asked.
        """
        ...

    async def at_work(self, ledger: LedgerRef) -> AtWork:
        """Returns the open runs that a ledger is for, as the engine's list shows them.

        Raises:
            HistoryError: the engine could not be asked.
        """
        ...

    def drawn(self, ledger: LedgerRef, since_ms: int) -> AsyncGenerator[tuple[Sequence[Hold], Amounts | None]]:
        """Yields for each run what it holds in a ledger, and what it spent once it has closed.

        Raises:
            HistoryError: the engine could not be asked.
        """
        ...
