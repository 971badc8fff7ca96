"""Finds out what became of runs that hold something of a ledger, where holds are old or books are lost."""

import asyncio

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.ledger import Closing, RestoreInput, RestoreResult, SweepInput, SweepResult
from backstay.errors import HistoryError
from backstay.kernel.ledger import Books, Holder
from backstay.kernel.ledger_period import Period
from backstay.ports import Allowances, LedgerRuns

from .heartbeat import beating
from .prepare import this_run

_AT_ONCE = 20


class Sweep:
    """The activities `sweep` and `restore`."""

    def __init__(self, allowances: Allowances, runs: LedgerRuns) -> None:
        self._allowances = allowances
        self._runs = runs

    @activity.defn(name=names.SWEEP)
    async def sweep(self, given: SweepInput) -> SweepResult:
        """Returns what closed runs have spent; runs that are open, or of which nobody can tell, are left out.

        Raises:
            ApplicationError: of type `HistoryError`: the engine could not be asked.
        """
        room = asyncio.Semaphore(_AT_ONCE)

        async def closing(holder: Holder) -> Closing | None:
            async with room:
                spent = await self._runs.spent(holder)
            return None if spent is None else Closing(holder=holder, spent=dict(spent))

        try:
            async with beating():
                found = await asyncio.gather(*(closing(holder) for holder in given.holders))
        except HistoryError as error:
            raise ApplicationError(str(error), type=error.code) from error
        return SweepResult(closings=[one for one in found if one])

    @activity.defn(name=names.RESTORE)
    async def restore(self, given: RestoreInput) -> RestoreResult:
        """Returns the books of a ledger that starts: empty, unless an earlier one of its id was ended from outside.

        Then they come from the histories of this month's runs, and of those that are still open.

        Raises:
            ApplicationError: of type `HistoryError`: the engine could not be asked; the ledger waits until it can.
        """
        try:
            async with beating():
                return RestoreResult(books=await self._restored(given))
        except HistoryError as error:
            raise ApplicationError(str(error), type=error.code) from error

    async def _restored(self, given: RestoreInput) -> Books:
        books = Books(given.ledger.level)
        if not await self._runs.kept_before(given.ledger, this_run()):
            return books
        spans = self._allowances.spans()
        month = next(span for span in spans if span.period is Period.MONTH and span.holds(self._allowances.now_ms()))
        async for holds, spent in self._runs.drawn(given.ledger, month.start_ms):
            for hold in holds:
                books = books.restored(hold, self._allowances.spans(hold.at_ms))
            if spent is not None:
                # One that held no more than its place among those at once counts where that was given to it.
                at_ms = max(hold.at_ms for hold in holds)
                slots = all(not hold.keys for hold in holds)
                when = (self._allowances.spans(at_ms), at_ms) if slots else (spans, self._allowances.now_ms())
                books = books.close(holds[0].holder, spent, *when)
        return books.forgetting(self._allowances.now_ms())
