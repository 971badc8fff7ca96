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
    PlaneInput,
    RunReport,
    TellInput,
    Told,
)
from backstay.errors import HistoryError
from backstay.ports import ScopedRuns

from .heartbeat import beating

_AT_ONCE = 50


class Incidents:
    """The activities `find_runs`, `tell_runs`, `account_runs` and `order`."""

    def __init__(self, runs: ScopedRuns) -> None:
        self._runs = runs

    @activity.defn(name=names.FIND_RUNS)
    async def find(self, given: FindInput) -> FindResult:
        """Returns the runs in scope that are open and, if wanted, those that have closed since the stop came.

        Raises:
            ApplicationError: of type `HistoryError`: the engine could not be asked.
        """
        try:
            async with beating():
                # In this order, so that a run which closes between the two is in one of them.
                runs = await self._runs.open_runs(given.incident)
                closed = await self._runs.closed_runs(given.incident) if given.closed else []
                return FindResult(runs=runs, closed=closed)
        except HistoryError as error:
            raise ApplicationError(str(error), type=error.code) from error

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
