"""Lets the engine hold queues for an incident, and puts back their limits once no incident wants them held.

INVARIANT: each attempt reads what is in force and what the engine holds, and changes only what differs. So it does not
matter where an earlier attempt was killed, nor which incident's attempt comes first.
"""

from collections.abc import Collection, Mapping

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.queue_hold import (
    EngineHold,
    FleetsInput,
    FoundFleets,
    HeldQueue,
    HoldInput,
    QueueHold,
    QueueLimit,
    UnheldQueue,
)
from backstay.errors import HistoryError
from backstay.kernel.control import Incident, InForce
from backstay.kernel.engine import CallKind, Traffic, merged, planned
from backstay.ports import Orders, TaskQueues


class HoldQueues:
    """The activities `find_fleets` and `hold_queues`."""

    def __init__(self, queues: TaskQueues, orders: Orders) -> None:
        self._queues = queues
        self._orders = orders

    @activity.defn(name=names.FIND_FLEETS)
    async def find(self, given: FleetsInput) -> FoundFleets:
        """Returns the fleets of the namespace, and the queues that are known without asking them.

        Raises:
            ApplicationError: of type `HistoryError`: the engine could not be asked.
        """
        try:
            return await self._queues.fleets()
        except HistoryError as error:
            raise ApplicationError(str(error), type=error.code) from error

    @activity.defn(name=names.HOLD_QUEUES)
    async def hold(self, given: HoldInput) -> EngineHold:
        """Holds the queues that the incident wants held and frees the others; returns what the engine holds then.

        Raises:
            ApplicationError: of type `HistoryError`: the engine or the control plane could not be asked.
        """
        try:
            return await self._settled(given)
        except HistoryError as error:
            raise ApplicationError(str(error), type=error.code) from error

    async def _settled(self, given: HoldInput) -> EngineHold:
        state = await self._in_force(given.incident)
        traffic = [one.traffic for one in given.queues]
        incident = state.incidents.get(given.incident.id, given.incident)
        plan = planned(incident.scope, traffic)
        # A queue that its fleet tells nothing of any more stays held: the workers may only be gone for a while.
        told = {one.queue for one in merged(traffic) if one.uses is not None}
        held_on = {one.queue: one.kind for one in given.held if one.queue not in told}
        every = {**plan.held, **held_on}
        wanted = {queue: kind for queue, kind in every.items() if incident.wants_engine(kind.stage)}
        held: list[HeldQueue] = []
        others = [one for one in plan.unheld if one.queue not in wanted and incident.wants_engine(one.kind.stage)]
        unheld = [UnheldQueue.of(one) for one in others]
        failures: list[HistoryError] = []
        for queue, kind in wanted.items():
            try:
                done = await self._held(queue, kind, incident.id)
            except HistoryError as error:
                failures.append(error)
                continue
            if isinstance(done, HeldQueue):
                held.append(done)
            else:
                unheld.append(UnheldQueue(queue=queue, kind=kind, why=done))
        rest = {*(one.queue for one in traffic if one.alone), *(one.queue for one in given.held)} - wanted.keys()
        failures += [fault for queue in sorted(rest) if (fault := await self._freed(queue, incident.id, given))]
        if failures:  # another attempt follows; what fails at one queue must not keep the others as they are
            raise failures[0]
        return EngineHold(held=held, unheld=unheld)

    async def _in_force(self, incident: Incident) -> InForce:
        """Returns what is in force; where nobody knows it, the incident itself: nothing is freed then."""
        try:
            return await self._orders.in_force()
        except HistoryError:
            if not any(incident.wants_engine(kind.stage) for kind in CallKind):
                raise
            return InForce(confirmed=False)

    async def _held(self, queue: str, kind: CallKind, incident_id: str) -> HeldQueue | str:
        """Holds a queue, if it is not held yet; returns with which limit it is put back, or why it cannot be held."""
        limit = await self._queues.limit_of(queue)
        if isinstance(limit, str):
            return limit
        known = QueueHold.read(limit.rate, limit.why)
        hold = (known or QueueHold((), limit.rate, limit.why)).beside(incident_id)
        if hold != known:
            refused = await self._queues.limit(queue, QueueLimit(rate=0, why=hold.words))
            if refused is not None:
                return refused
        return HeldQueue(queue=queue, kind=kind, rate=hold.rate, why=hold.why)

    async def _freed(self, queue: str, incident_id: str, given: HoldInput) -> HistoryError | None:
        """Takes an incident's hold of a queue back; returns why that could not be done, None where it is."""
        try:
            limit = await self._queues.limit_of(queue)
            if isinstance(limit, QueueLimit):
                await self._free(queue, limit, incident_id, [one.traffic for one in given.queues])
            elif any(one.queue == queue for one in given.held):
                return HistoryError(limit)
        except HistoryError as error:
            return error
        return None

    async def _free(self, queue: str, limit: QueueLimit, incident_id: str, traffic: Collection[Traffic]) -> None:
        """Takes an incident's hold of a queue back; the last one puts the limit back that was there before."""
        hold = QueueHold.read(limit.rate, limit.why)
        if hold is None or not hold.is_of(incident_id):
            return
        state = await self._orders.in_force()
        left = hold.without(incident_id, _holding(state) if state.confirmed else None)
        if left.incidents:
            await self._set(queue, QueueLimit(rate=0, why=left.words))
            return
        await self._set(queue, QueueLimit(rate=hold.rate, why=hold.why))
        # Another incident may have come since, and found the queue held by this one.
        for other, kind in _wanting(await self._orders.in_force(), queue, traffic).items():
            if other != incident_id:
                await self._held(queue, kind, other)

    async def _set(self, queue: str, limit: QueueLimit) -> None:
        if (refused := await self._queues.limit(queue, limit)) is not None:
            raise HistoryError(refused)


def _holding(state: InForce) -> list[str]:
    """Lists the incidents that may want a queue held."""
    return [one.id for one in state.stops if any(one.wants_engine(kind.stage) for kind in CallKind)]


def _wanting(state: InForce, queue: str, traffic: Collection[Traffic]) -> Mapping[str, CallKind]:
    """Returns the incidents that want a queue held."""
    found: dict[str, CallKind] = {}
    for one in state.stops:
        kind = planned(one.scope, traffic).held.get(queue)
        if kind is not None and one.wants_engine(kind.stage):
            found[one.id] = kind
    return found
