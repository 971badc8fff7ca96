"""Incident: the sweep of one stop, from the moment it is in force until it is lifted."""

import asyncio
import contextlib
from collections import Counter
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

from backstay.contracts import names
from backstay.contracts.control import LiftOrder, TripOrder
from backstay.contracts.incident import (
    ROWS_PER_PAGE,
    IncidentChange,
    IncidentInput,
    IncidentView,
    PlaneInput,
    ReportPage,
    ReportRequest,
    Told,
)
from backstay.contracts.messages import read_message
from backstay.contracts.problems import Problem
from backstay.contracts.run import plain
from backstay.kernel.control import Canary
from backstay.kernel.history import nearly_full
from backstay.kernel.ledger_period import milliseconds

from . import options
from .entity import done, failing
from .held_queues import HeldQueues
from .messages import fitting, invalid_input, repetitions
from .swept_runs import SweptRuns

ROUND = timedelta(seconds=0.5)
SLOW_ROUND = timedelta(seconds=10)
"""The pause between two looks at runs that do not obey."""
WATCHED_EVERY = timedelta(seconds=1)
MOST_EVENTS = 8_000
BY_CANARY = "the runs that went first"
ENOUGH_FAILED = 0.3
"""The share of failed runs among those that go first which puts the stop in force again."""
_CHANGED = "The control plane tells what is in force of the incident. Sent by the runtime."


@workflow.defn(name=names.INCIDENT_RUN)
class Incident:
    """A workflow that stops or freezes the runs in scope, lets them go again, and keeps the report."""

    @workflow.init
    def __init__(self, *args: Any) -> None:
        given = repetitions() or IncidentInput.read(args, continued=workflow.info().continued_run_id is not None)
        self._problems: list[Problem] = given if isinstance(given, list) else []
        self._swept: SweptRuns | None = None
        self._shown: IncidentView | None = None
        self._changes = 0
        self._queues = HeldQueues(None if isinstance(given, list) else given.engine)
        if not isinstance(given, list):
            self._swept = SweptRuns(given.incident, given.sweep, given.reports or ())

    @workflow.run
    async def run(self, *args: Any) -> dict[str, Any]:
        """Sweeps until the incident is lifted and holds no run any more; returns an `IncidentView`."""
        if self._swept is None:
            raise invalid_input(self._problems)
        with failing("the sweep"):
            watching = asyncio.create_task(self._watch(self._swept))
            holding = asyncio.create_task(self._hold_queues(self._swept))
            try:
                while not await self._over(self._swept):
                    self._continue_in_time(self._swept)
                await holding
            finally:
                watching.cancel()
                holding.cancel()
            await workflow.wait_condition(workflow.all_handlers_finished)
            return plain(self._view(self._swept))

    async def _over(self, swept: SweptRuns) -> bool:
        """Looks at the runs once, and waits until it is time to look again; True once the incident is over."""
        changes, pause = self._changes, None
        if swept.incident.scope.is_of_runs:
            self._show(swept)  # that it has begun: to look at many runs takes a while, and to tell them longer
            now = self._now()
            orders = await swept.look(now)
            self._show(swept)
            if orders is not None:
                await swept.tell(orders, now)
            pause = self._pause(swept)
        self._show(swept)
        if swept.incident.ended_ms is not None and changes == self._changes and pause is None:
            return True
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._changes != changes or (swept.incident.engine and self._full()), timeout=pause
            )
        return False

    def _pause(self, swept: SweptRuns) -> timedelta | None:
        """Returns when to look at the runs again; None where nothing in scope can move any more."""
        if not swept.have_ended(self._now()):
            return ROUND
        return SLOW_ROUND if swept.sweep.moving else None

    def _continue_in_time(self, swept: SweptRuns) -> None:
        if self._full():
            given = IncidentInput(
                incident=swept.incident,
                sweep=swept.sweep,
                reports=list(swept.reports.values()),
                engine=self._queues.hold,
            )
            workflow.continue_as_new(plain(given), memo={names.INCIDENT: plain(self._view(swept))})

    def _full(self) -> bool:
        """Tells whether the link of the chain is long: while the engine holds queues it grows, whatever runs do."""
        info = workflow.info()
        events = info.get_current_history_length()
        return events >= MOST_EVENTS or nearly_full(info.get_current_history_size(), events)

    async def _hold_queues(self, swept: SweptRuns) -> None:
        """Lets the engine hold queues where it is asked to, until the incident is over and all limits are put back."""
        await workflow.wait_condition(lambda: swept.incident.engine or swept.incident.ended_ms is not None)
        while swept.incident.engine:
            changes, incident = self._changes, swept.incident
            with contextlib.suppress(ActivityError):  # what cannot be read is asked for again
                await self._queues.settle(incident)
                self._show(swept)
                if incident.ended_ms is not None:
                    return
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda seen=changes: self._changes != seen,
                    timeout=self._queues.pause,
                    timeout_summary="before the engine is asked again what it holds",
                )

    async def _watch(self, swept: SweptRuns) -> None:
        """Watches the runs that go first: lets the others follow, or puts the stop in force again."""
        while True:
            await workflow.wait_condition(lambda: swept.incident.canary is not None)
            canary = swept.incident.canary
            if canary is None:
                continue
            order = await self._watched(swept, canary)
            if order is None:
                continue
            with contextlib.suppress(ActivityError):
                await done(names.ORDER, order, Told, options.ORDER)
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(lambda seen=canary: swept.incident.canary is not seen, timeout=SLOW_ROUND)

    async def _watched(self, swept: SweptRuns, canary: Canary) -> PlaneInput | None:
        """Returns what follows from how the first runs did; None where somebody else has decided meanwhile."""
        until, runs = workflow.now() + timedelta(seconds=canary.watch_s), sorted(canary.runs)
        incident_id = swept.incident.id
        while swept.incident.canary is canary:
            failed = await swept.failed(runs)
            if len(failed) >= max(1, round(ENOUGH_FAILED * len(runs))):
                text = f"{len(failed)} of {len(runs)} runs failed again: {', '.join(failed[:5])}"
                return PlaneInput(trip=TripOrder(by=BY_CANARY, incident_id=incident_id, reason=text[:2_000]))
            if workflow.now() >= until:
                text = f"{len(runs)} runs went on for {canary.watch_s} s without failing"
                return PlaneInput(
                    lift=LiftOrder(by=BY_CANARY, incident_id=incident_id, reason=text, stage=canary.stage.value)
                )
            await workflow.sleep(WATCHED_EVERY, summary="watches the runs that go first")
        return None

    @workflow.signal(name=names.CHANGED, description=_CHANGED)
    def changed(self, *args: Any) -> None:
        """Takes what the control plane has in force of this incident now."""
        change = read_message(IncidentChange, args)
        if self._swept is not None and not isinstance(change, list) and change.incident.id == self._swept.incident.id:
            self._swept.incident = change.incident
            self._changes += 1

    @workflow.query(name=names.REPORT, description='What became of each run. Input: {"after": 0}, optional.')
    def report(self, *args: Any) -> dict[str, Any]:
        """Returns a `ReportPage`."""
        if self._swept is None:
            raise invalid_input(self._problems)
        after = fitting(ReportRequest, args or ({},)).after
        rows = sorted(self._swept.reports.values(), key=lambda one: one.run_id)
        shown = rows[after : after + ROWS_PER_PAGE]
        following = after + len(shown) if after + len(shown) < len(rows) else None
        return plain(ReportPage(**dict(self._view(self._swept)), reports=shown, next=following))

    def _now(self) -> int:
        return milliseconds(workflow.now())

    def _show(self, swept: SweptRuns) -> None:
        """Writes how far the sweep has come where people read it without asking a worker."""
        view = self._view(swept)
        timeless = view.model_copy(update={"at_ms": 0})
        if timeless != self._shown:
            self._shown = timeless
            workflow.upsert_memo({names.INCIDENT: plain(view)})

    def _view(self, swept: SweptRuns) -> IncidentView:
        return IncidentView(
            incident=swept.incident,
            done=not swept.incident.scope.is_of_runs or swept.have_ended(self._now()),
            moving=len(swept.sweep.moving),
            counts=dict(Counter(one.outcome for one in swept.reports.values())),
            at_ms=self._now(),
            engine=self._queues.hold,
        )
