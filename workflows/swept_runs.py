"""The runs in the scope of one stop: looks at them, tells them, and takes down what became of each.

INVARIANT: a run is taken down before it is told, so that the report is whole whoever dies on the way.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence

from temporalio.exceptions import ActivityError

from backstay.contracts import names
from backstay.contracts.incident import (
    ROWS_PER_PAGE,
    AccountInput,
    AccountResult,
    FindInput,
    FindResult,
    FoundRun,
    IncidentOrder,
    RunReport,
    TellInput,
    Told,
)
from backstay.kernel.control import Incident, Mode
from backstay.kernel.sweep import Sweep

from . import options
from .entity import done

COULD_NOT = "could_not_stop"


class SweptRuns:
    """The runs in the scope of an incident; `incident` is the one that the control plane has in force."""

    def __init__(self, incident: Incident, sweep: Sweep | None, reports: Iterable[RunReport]) -> None:
        self.incident = incident
        self.sweep = sweep or Sweep(incident.told.at_ms)
        self.reports = {one.run_id: one for one in reports}

    async def look(self, at_ms: int) -> Mapping[str, str] | None:
        """Looks at the open runs once; returns what each must be told that does not stand as it should.

        None where the engine could not be asked: the next round asks it again.
        """
        try:
            runs, closed = await self._found()
        except ActivityError:
            return None
        orders = {one.run_id: order for one in runs if (order := self._order(one)) is not None}
        held = [one for one in runs if one.held is not None]
        self.sweep = self.sweep.listed(orders.keys(), at_ms).closed(closed, at_ms)
        self._take_down(_frozen(one) for one in held if one.run_id not in orders)
        return orders

    async def _found(self) -> tuple[list[FoundRun], list[str]]:
        """Returns all open runs in scope, and those that have closed.

        Raises:
            ActivityError: the engine could not be asked.
        """
        # Once runs are let go they end by themselves, and all that were open when the stop came are known.
        given = FindInput(incident=self.incident, closed=not self.incident.lifted)
        runs, closed = list[FoundRun](), list[str]()
        while True:
            page = await done(names.FIND_RUNS, given, FindResult, options.LIST_RUNS)
            runs += page.runs
            closed += page.closed
            if page.next is None:
                return runs, closed
            given = given.model_copy(update={"after": page.next})

    async def tell(self, orders: Mapping[str, str], at_ms: int) -> None:
        """Tells runs what they must do, and asks after those that ended."""
        due = self.sweep.due(at_ms)
        self.sweep = self.sweep.told(due, at_ms)
        await asyncio.gather(*(self._tell(do, runs) for do, runs in _pages(orders, due)))
        await self._account(at_ms)

    def have_ended(self, at_ms: int) -> bool:
        """Tells whether the report says of each run in scope what became of it."""
        return self.sweep.has_ended(at_ms, self.reports.keys())

    async def failed(self, runs: Sequence[str]) -> list[str]:
        """Returns which of some runs have ended by a failure."""
        return [one.run_id for one in await self._asked(runs) if one.failed]

    def _order(self, found: FoundRun) -> str | None:
        """Returns what a run must be told; None where it stands as it should."""
        if self.incident.lets_go(found.run_id):
            return "thaw" if found.held is not None else None
        if self.incident.mode is Mode.STOP:
            return "stop"
        return "freeze" if found.held is None else None

    async def _tell(self, do: str, runs: list[str]) -> None:
        told = self.incident.lifted[-1] if do == "thaw" and self.incident.lifted else self.incident.told
        fields = {"incident_id": self.incident.id, "do": do, "scope": str(self.incident.scope)}
        order = IncidentOrder.model_validate({**fields, "by": told.by, "reason": told.reason})
        with contextlib.suppress(ActivityError):  # those that were not told are told again
            await done(names.TELL_RUNS, TellInput(runs=runs, order=order), Told, options.TELL_RUNS)

    async def _account(self, at_ms: int) -> None:
        """Finds out what became of the runs that do not move any more, and of those that should not."""
        self.sweep = self.sweep.account([run for run in self.sweep.gone if self._is_settled(run)])
        late = [run for run in self.sweep.late(at_ms) if run not in self.reports]
        self._take_down(await self._asked([*self.sweep.gone, *late]))

    async def _asked(self, runs: Sequence[str]) -> list[RunReport]:
        reports: list[RunReport] = []
        for at in range(0, len(runs), ROWS_PER_PAGE):
            given = AccountInput(incident=self.incident, runs=list(runs[at : at + ROWS_PER_PAGE]))
            try:
                reports += (await done(names.ACCOUNT_RUNS, given, AccountResult, options.LIST_RUNS)).reports
            except ActivityError:
                break
        return reports

    def _take_down(self, reports: Iterable[RunReport]) -> None:
        """Keeps the first report of each run, and another one only after it could not be stopped."""
        for one in reports:
            if not self._is_settled(one.run_id):
                self.reports[one.run_id] = one
            if self._is_settled(one.run_id):
                self.sweep = self.sweep.account([one.run_id])

    def _is_settled(self, run_id: str) -> bool:
        known = self.reports.get(run_id)
        return known is not None and known.outcome != COULD_NOT


def _pages(orders: Mapping[str, str], due: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Returns who is told which order, so many at a time."""
    by_order: dict[str, list[str]] = {}
    for run_id in due:
        by_order.setdefault(orders[run_id], []).append(run_id)
    return [
        (do, runs[at : at + ROWS_PER_PAGE])
        for do, runs in by_order.items()
        for at in range(0, len(runs), ROWS_PER_PAGE)
    ]


def _frozen(found: FoundRun) -> RunReport:
    held = found.held
    calls = held.in_flight if held else []
    return RunReport(run_id=found.run_id, outcome="frozen", in_flight=calls, usd=held.usd if held else None)
