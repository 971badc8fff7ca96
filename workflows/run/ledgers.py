"""A run and the ledgers that count over many runs: it waits for their answers, and tells them what it gives back."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

from backstay.contracts import names
from backstay.contracts.ledger import MOST_ENTRIES, Closing, LedgerRef, Releasing
from backstay.contracts.problems import Contract
from backstay.contracts.run import plain
from backstay.kernel.draw import spent_of
from backstay.kernel.events import LimitNeared, Uncounted
from backstay.kernel.keys import hold_id, ledger_id
from backstay.kernel.ledger import Holder
from backstay.kernel.ledger_sums import Crossing

from ..outcome import nothing_done
from .changes import knows
from .live import LiveRun
from .measure import limit_neared
from .served import lost

R = TypeVar("R", bound=Contract)

FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(seconds=30)
UNANSWERED = "the ledger does not say whether there is room"
WAITS = "a run waits while nobody knows the limits"


class RunLedgers:
    """The ledgers that hold something for a run: they are told what it gives back, and what it spent when it ends."""

    def __init__(self, run: LiveRun) -> None:
        self._run = run
        self._known: list[LedgerRef] = []
        self._freed: dict[str | None, list[str]] = {}
        self._telling: asyncio.Task[None] | None = None

    @property
    def all(self) -> tuple[LedgerRef, LedgerRef]:
        """Both ledgers that may hold something for the run."""
        return LedgerRef(tenant=self._run.request.tenant), LedgerRef()

    @property
    def known(self) -> list[LedgerRef]:
        """The ledgers that are to know when the run ends."""
        return list(self._known)

    def know(self, ledgers: Iterable[LedgerRef]) -> None:
        """Remembers ledgers that are to know when the run ends."""
        self._known += [ledger for ledger in ledgers if ledger not in self._known]

    def warn(self, warnings: Iterable[Crossing]) -> None:
        """Takes down shares of limits that the run reached as the first."""
        for warning in warnings:
            self._run.apply(LimitNeared(warning))
            limit_neared(warning)

    async def answered(self, attempt: Callable[[], Awaitable[R]]) -> R | None:
        """Repeats an activity until the ledgers answer, and says why the run waits; None where it was interrupted."""
        run, pause, trouble = self._run, FIRST_PAUSE, None
        while True:
            try:
                result = await attempt()
            except ActivityError as error:
                trouble = self._told(trouble, _trouble(error))
                over = (not _is_held(error) and lost(run, error)) or run.record.over
                # Not in a `finally`: a run that leaves its worker is dropped here, and nothing of it may run any more.
                if over or await run.running.interrupted_within(pause) or not await run.running.go_ahead():
                    self._told(trouble, None)
                    return None
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                self._told(trouble, None)
                return result

    def give_back(self, holds: Iterable[str], ledgers: Iterable[LedgerRef]) -> None:
        """Gives holds back of which nothing was used; what is given back in one task is told in one signal.

        Args:
            holds: the names of the holds.
            ledgers: the ledgers that hold them.
        """
        named = tuple(holds)
        self._run.apply(Uncounted(named))
        for ledger in ledgers:
            self._freed.setdefault(ledger.tenant, []).extend(hold_id(self._run.key, name) for name in named)
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell())

    async def told(self) -> None:
        """Waits until the ledgers know what was given back."""
        if self._telling is not None:
            await self._telling

    async def close(self) -> None:
        """Tells the ledgers what the run has spent; one that has no worker now reads it later.

        The signal outlives both workers. A ledger that is gone comes back with the books of the runs' histories.
        """
        await self.told()
        run, info, admission = self._run, workflow.info(), self._run.admission
        meters = [name for name, meter in admission.exposure.items() if meter.counted]
        alone = admission.draws is not None and admission.draws.agent_only
        holder = Holder(run.key, info.workflow_id, info.run_id, run.request.agent, alone)
        spent = spent_of(run.state, meters, draws=admission.draws is not None)
        for ledger in self._known:
            await _signal(ledger.tenant, names.CLOSED, Closing(holder=holder, spent=dict(spent)))

    async def _tell(self) -> None:
        while self._freed:
            freed, self._freed = self._freed, {}
            for tenant, holds in freed.items():
                for first in range(0, len(holds), MOST_ENTRIES):
                    part = Releasing(holds=holds[first : first + MOST_ENTRIES])
                    await _signal(tenant, names.RELEASED, part)

    def _told(self, before: str | None, now: str | None) -> str | None:
        """Shows why the run waits, in place of what was shown before, and returns it."""
        if before is not None:
            self._run.record.waits_no_more(before)
        if now is not None:
            self._run.record.waits_for(now)
        return now


async def _signal(tenant: str | None, name: str, told: Contract) -> None:
    """Tells a ledger something; one that is not there reads it in the run's history when it comes back."""
    with contextlib.suppress(FailureError):
        await workflow.get_external_workflow_handle(ledger_id(tenant)).signal(name, plain(told))


def _is_held(error: ActivityError) -> bool:
    """Tells whether nobody knows now what is in force: that passes, and the run waits for it."""
    failure = nothing_done(error)
    return failure is not None and failure.type == names.HELD and knows(WAITS)


def _trouble(error: ActivityError) -> str:
    cause = error.cause
    known = isinstance(cause, ApplicationError) and cause.type in (names.LEDGER_UNANSWERED, names.HELD)
    return cause.message if known and isinstance(cause, ApplicationError) else UNANSWERED
