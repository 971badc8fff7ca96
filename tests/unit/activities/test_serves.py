"""A worker tells over which queues the calls of its fleet go."""

from temporalio.testing import ActivityEnvironment

from activities.serves import Serves
from backstay.contracts.queue_hold import FleetQueues, FleetRef, QueueUse
from backstay.kernel.engine import CallKind

QUEUES = FleetQueues(queues=[QueueUse(queue="model-main", kind=CallKind.MODELS, alone=True, uses={"desk": ["gpt"]})])


class Fleet:
    def queues(self) -> FleetQueues:
        return QUEUES


async def test_the_answer_is_that_of_the_workers_catalog() -> None:
    assert await ActivityEnvironment().run(Serves(Fleet()).serves, FleetRef(task_queue="agents")) == QUEUES
