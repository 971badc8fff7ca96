"""Tells the sweep of an incident over which task queues the calls of this worker's fleet go."""

from temporalio import activity

from backstay.contracts import names
from backstay.contracts.queue_hold import FleetQueues, FleetRef
from backstay.ports import Served


class Serves:
    """The activity `serves`, on the queue of the fleet's runs: all of its workers give the same answer."""

    def __init__(self, served: Served) -> None:
        self._served = served

    @activity.defn(name=names.SERVES)
    async def serves(self, given: FleetRef) -> FleetQueues:
        """Returns which calls of the fleet go over which queue."""
        return self._served.queues()
