"""Breakers: what ends in all fleets, judged by the rules of their org.toml, so that a part that fails is stopped.

It lies apart from the control plane, which wakes every worker with each event of its own.
"""

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError
from temporalio.workflow import ActivityConfig

from backstay.contracts import names
from backstay.contracts.breakers import (
    BreakersInput,
    BreakersView,
    LiftedInput,
    LiftedResult,
    Reports,
    TripInput,
    TripResult,
)
from backstay.contracts.messages import read_message
from backstay.contracts.problems import Problem
from backstay.contracts.run import plain
from backstay.kernel.breaker import Then, Trip
from backstay.kernel.breakers import Watched
from backstay.kernel.history import nearly_full
from backstay.kernel.ledger_period import milliseconds

from . import options
from .entity import done, failing
from .messages import invalid_input, repetitions
from .run.measure import breaker_tripped

SIGNALS_PER_LINK = 2_000
AGAIN = timedelta(seconds=5)
"""The wait after the control plane could not be told."""
ASKED_EVERY_MS = 2_000
"""The shortest time between two questions whether a stop was lifted."""
FOLLOWED_MS = 30_000
"""For so long after the last report canaries may still put a stop in force again because of it."""
FOLLOWS_CANARIES = "a breaker is open when canaries have put its incident in force again"
FOLLOWS_INCIDENTS = "a breaker on money is open while its incident is in force"
_REPORTS = "Tells what ended on a worker, and by which rules that is judged. Sent by the runtime."


@workflow.defn(name=names.BREAKERS)
class Breakers:
    """A workflow that is told what ends, and stops a scope in which too much fails."""

    @workflow.init
    def __init__(self, *args: Any) -> None:
        # Cron and retries have a run before them too; a state is believed from continue-as-new alone.
        given = repetitions() or BreakersInput.read(args, continued=workflow.info().continued_run_id is not None)
        self._problems: list[Problem] = given if isinstance(given, list) else []
        self._watched = Watched()
        self._stops: list[Trip] = []
        """Trips of which the control plane is still to be told."""
        if not isinstance(given, list):
            self._watched, self._stops = given.watched or Watched(), list(given.stops)
        self._announcing: set[asyncio.Task[None]] = set()
        self._signals = 0
        self._asked_ms = 0
        self._told_ms = 0

    @workflow.run
    async def run(self, *args: Any) -> None:
        """Watches for ever, in one link after the other; never returns."""
        if self._problems:
            raise invalid_input(self._problems)
        with failing("the breakers' workflow"):
            while not self._full():
                await self._one_turn()
            await workflow.wait_condition(lambda: not self._announcing)
            await workflow.wait_condition(workflow.all_handlers_finished)
            carried = self._watched.carried(self._now_ms())
            given = BreakersInput(watched=carried, stops=self._stops)
            workflow.continue_as_new(plain(given), memo={names.WATCHED: plain(self._view())})

    @workflow.signal(name=names.REPORTS, description=_REPORTS)
    def reports(self, *args: Any) -> None:
        """Judges what a worker saw end."""
        told = read_message(Reports, args)
        self._signals += 1
        if not isinstance(told, list) and not self._problems:
            now = self._told_ms = self._now_ms()
            self._after(*self._watched.told(told.rules, told.queue, told.reports, now))

    @workflow.query(name=names.WATCHED, description="The breakers of all fleets, and what they know. No input.")
    def watched(self, *args: Any) -> dict[str, Any]:
        """Returns a `BreakersView`."""
        return plain(self._view())

    async def _one_turn(self) -> None:
        """Tells the control plane of a trip, or asks it for stops that were lifted, or waits until there is a cause."""
        if self._stops:
            await self._stop(self._stops[0])
            return
        now, due = self._now_ms(), self._watched.due_ms()
        waiting = self._waiting(now)
        if waiting and now >= self._asked_ms + ASKED_EVERY_MS:
            await self._ask(waiting)
            return
        moments = [moment for moment in (due, self._asked_ms + ASKED_EVERY_MS if waiting else None) if moment]
        before = self._signals
        try:
            await workflow.wait_condition(
                lambda: self._signals != before or self._full(),
                timeout=timedelta(milliseconds=max(1, min(moments) - now)) if moments else None,
                timeout_summary="before a breaker trips, or its stop may have been lifted",
            )
        except TimeoutError:
            self._after(*self._watched.ticked(self._now_ms()))

    def _waiting(self, now_ms: int) -> list[str]:
        """Returns the incidents of which the control plane may know more by now."""
        waiting = self._watched.waiting()
        tried = self._watched.tried() if now_ms < self._told_ms + FOLLOWED_MS else []
        return [*waiting, *tried] if tried and workflow.patched(FOLLOWS_CANARIES) else waiting

    def _after(self, watched: Watched, trips: list[Trip]) -> None:
        self._watched = watched
        for trip in trips:
            workflow.logger.warning(TripInput(trip=trip).words)
            breaker_tripped(trip)
            if trip.then is not Then.WARN:
                self._stops.append(trip)
            task = asyncio.create_task(self._announce(trip))
            self._announcing.add(task)
            task.add_done_callback(self._announcing.discard)
        if any(trip.then is not Then.WARN and watched.rules[trip.digest].rule.spend for trip in trips):
            # Decided here alone: what tripped before knows nothing of its incident.
            self._watched = watched.stopped(trips) if workflow.patched(FOLLOWS_INCIDENTS) else watched
        if trips:
            workflow.upsert_memo({names.WATCHED: plain(self._view())})

    async def _stop(self, trip: Trip) -> None:
        try:
            result = await done(names.TRIP, TripInput(trip=trip), TripResult, options.TRIP)
        except ActivityError:
            await workflow.sleep(AGAIN, summary="before the control plane is told again")
            return
        self._stops.remove(trip)
        if result.refused:
            workflow.logger.warning("the control plane refuses incident %s: %s", trip.incident_id, result.refused)

    async def _ask(self, incidents: list[str]) -> None:
        self._asked_ms = self._now_ms()
        try:
            found = await done(names.LIFTED, LiftedInput(incidents=incidents), LiftedResult, options.LIFTED)
        except ActivityError:
            return
        for incident, at_ms in found.lifted.items():
            self._after(*self._watched.lifted(incident, at_ms, self._now_ms()))
        for incident in found.held:
            self._watched = self._watched.in_force_again(incident)

    async def _announce(self, trip: Trip) -> None:
        how: ActivityConfig = {**options.NOTIFY, "task_queue": self._watched.rules[trip.digest].queue}
        try:
            await workflow.execute_activity(names.ANNOUNCE, TripInput(trip=trip), **how)
        except ActivityError:
            workflow.logger.warning("nobody was told that the breaker %s tripped", trip.breaker)

    def _full(self) -> bool:
        info = workflow.info()
        full = nearly_full(info.get_current_history_size(), info.get_current_history_length())
        return self._signals >= SIGNALS_PER_LINK or full

    def _view(self) -> BreakersView:
        return BreakersView.of(self._watched, self._now_ms())

    def _now_ms(self) -> int:
        return milliseconds(workflow.now())
