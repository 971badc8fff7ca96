"""Looks at the runs in the scope of an incident, tells them, and finds out what became of them."""

import asyncio

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.incident import (
    AccountInput,
    AccountResult,
    FindInput,
    FindResult,
    FoundRun,
    PlaneInput,
    RunReport,
    TellInput,
    Told,
)
from backstay.errors import HistoryError
from backstay.kernel.control import Incident
from backstay.ports import ScopedRuns

from .heartbeat import beating

_AT_ONCE = 50
ROWS = 1_000
"""The most runs that the engine lists at once."""
ENOUGH_BYTES = 400_000
"""An answer of this size ends; the next one goes on there."""
MOST_BYTES = 1_600_000
"""The most that is answered: the engine takes two megabytes."""
_OPEN, _CLOSED = "open", "closed"


class Incidents:
    """The activities `find_runs`, `tell_runs`, `account_runs` and `order`."""

    def __init__(self, runs: ScopedRuns) -> None:
        self._runs = runs

    @activity.defn(name=names.FIND_RUNS)
    async def find(self, given: FindInput) -> FindResult:
        """Returns runs in scope that are open and, if wanted, those that have closed since the stop came.

        Raises:
            ApplicationError: of type `HistoryError`: the engine could not be asked.
        """
        try:
            async with beating():
                return await self._found(given)
        except HistoryError as error:
            raise ApplicationError(str(error), type=error.code) from error

    async def _found(self, given: FindInput) -> FindResult:
        """Looks at runs until the answer is large enough."""
        kind, after = _place(given.after)
        runs, closed, size = list[FoundRun](), list[str](), 0
        while kind is not None and size < ENOUGH_BYTES:
            if kind == _OPEN:
                page, after = await self._fitting(given.incident, after)
                runs += page
                size += _size(page)
            else:
                ids, after = await self._runs.closed_runs(given.incident, after, ROWS)
                closed += ids
                size += sum(len(run_id) for run_id in ids)
            if not after:
                # In this order, so that a run which closes between the two is in one of them.
                kind = _CLOSED if kind == _OPEN and given.closed else None
        return FindResult(runs=runs, closed=closed, next=None if kind is None else f"{kind}:{after.hex()}")

    async def _fitting(self, incident: Incident, after: bytes) -> tuple[list[FoundRun], bytes]:
        """Returns open runs that fit into one answer: fewer where each of them says much."""
        rows = ROWS
        while True:
            page, following = await self._runs.open_runs(incident, after, rows)
            if rows == 1 or _size(page) <= MOST_BYTES - ENOUGH_BYTES:
                return page, following
            rows = max(1, rows // 4)

    @activity.defn(name=names.TELL_RUNS)
    async def tell(self, given: TellInput) -> Told:
        """Sends runs an order, fifty at a time; returns those that could not be told, and why."""
        room = asyncio.Semaphore(_AT_ONCE)
        failed: dict[str, str] = {}

        async def told(run_id: str) -> None:
            async with room:
                try:
                    await self._runs.tell(run_id, given.order)
                except HistoryError as error:
                    failed[run_id] = str(error)

        async with beating():
            await asyncio.gather(*(told(run_id) for run_id in given.runs))
        return Told(failed=failed)

    @activity.defn(name=names.ACCOUNT_RUNS)
    async def account(self, given: AccountInput) -> AccountResult:
        """Returns what became of runs.

        Raises:
            ApplicationError: of type `HistoryError`: the engine could not be asked.
        """
        room = asyncio.Semaphore(_AT_ONCE)

        async def report(run_id: str) -> RunReport:
            async with room:
                return await self._runs.report(run_id, given.incident)

        try:
            async with beating():
                return AccountResult(reports=await asyncio.gather(*(report(run_id) for run_id in given.runs)))
        except HistoryError as error:
            raise ApplicationError(str(error), type=error.code) from error

    @activity.defn(name=names.ORDER)
    async def order(self, given: PlaneInput) -> Told:
        """Sends the control plane an order.

        Raises:
            ApplicationError: of type `HistoryError`: it did not answer. An order that it refuses is not sent again.
        """
        try:
            await self._runs.order(given)
        except HistoryError as error:
            raise ApplicationError(str(error), type=error.code) from error
        return Told()


def _size(runs: list[FoundRun]) -> int:
    return sum(len(one.model_dump_json()) + 1 for one in runs)


def _place(after: str | None) -> tuple[str | None, bytes]:
    """Reads where an earlier answer ended: in which of the two lists, and after which of its runs."""
    kind, _, place = (after or _OPEN).partition(":")
    return kind, bytes.fromhex(place)
