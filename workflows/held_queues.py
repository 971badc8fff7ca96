"""Lets the engine hold queues for an incident for as long as it is in force: a second line below the workers' own.

Rates of accounts change, fleets come and go, and people set limits by hand: what is held is looked at again and again.
"""

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError
from temporalio.workflow import ActivityConfig

from backstay.contracts import names
from backstay.contracts.queue_hold import (
    EngineHold,
    FleetQueues,
    FleetRef,
    FleetsInput,
    FoundFleets,
    HoldInput,
    QueueUse,
    UnheldQueue,
)
from backstay.kernel.control import Incident
from backstay.kernel.engine import CallKind
from backstay.kernel.scope import ScopeKind

from . import options
from .entity import done

SOON = timedelta(seconds=2)
"""The pause after the first hold: whoever read a limit just before it may have written it just after."""
LATER = timedelta(seconds=30)
ASKED_EVERY = timedelta(minutes=1)
SILENT = "no worker says which calls it carries"


class HeldQueues:
    """The queues that the engine holds for one incident; `hold` is what it holds, None until that is known."""

    def __init__(self, hold: EngineHold | None) -> None:
        self.hold = hold
        self.pause = SOON
        self._settled = False
        self._fleets: set[str] = set()
        self._queues: list[QueueUse] | None = None
        self._silent: list[str] = []
        self._asked_at: datetime | None = None

    async def settle(self, incident: Incident) -> None:
        """Lets the engine hold what the incident wants held, and put back the rest.

        Raises:
            ActivityError: the engine's answer cannot be read.
        """
        if self._asked_at is None or self._silent or workflow.now() >= self._asked_at + ASKED_EVERY:
            await self._ask(incident)
        self.hold = await self._held(incident, self._queues or [], self.hold)
        self.pause = LATER if self._settled else SOON
        self._settled = True

    async def _ask(self, incident: Incident) -> None:
        """Asks the fleets which calls go over which queue."""
        found = await done(names.FIND_FLEETS, FleetsInput(), FoundFleets, options.FIND_FLEETS)
        if self.hold is None and incident.scope.kind is ScopeKind.ALL:
            await self._held(incident, found.queues, None)  # to ask fleets takes a while where they have no workers
        # Each worker finds its own fleet first of all; whoever answers next time may not know of the others yet.
        self._fleets |= set(found.task_queues)
        fleets = sorted(self._fleets)
        answers = await asyncio.gather(*(_answer(queue) for queue in fleets))
        told = [use for answer in answers if answer for use in answer.queues]
        known = {use.queue for use in told}
        unknown = [use for use in found.queues if use.queue not in known]
        self._queues = [*told, *unknown]
        self._silent = [queue for queue, answer in zip(fleets, answers, strict=True) if answer is None]
        self._asked_at = workflow.now()

    async def _held(self, incident: Incident, queues: list[QueueUse], before: EngineHold | None) -> EngineHold:
        given = HoldInput(incident=incident, queues=queues, held=before.held if before else [])
        hold = await done(names.HOLD_QUEUES, given, EngineHold, options.HOLD_QUEUES)
        return EngineHold(held=hold.held, unheld=[*hold.unheld, *_unknown(incident, self._silent)])


async def _answer(queue: str) -> FleetQueues | None:
    """Asks the workers of a fleet; returns None where none of them answers."""
    how: ActivityConfig = {**options.SERVES, "task_queue": queue}
    try:
        return await done(names.SERVES, FleetRef(task_queue=queue), FleetQueues, how)
    except ActivityError:
        return None


def _unknown(incident: Incident, silent: Iterable[str]) -> list[UnheldQueue]:
    """Returns the queues of fleets that do not answer, where they may carry calls in scope."""
    kinds = [kind for kind in CallKind if incident.wants_engine(kind.stage)]
    return [UnheldQueue(queue=queue, kind=kind, why=SILENT) for queue in silent for kind in kinds]
