"""Sees which workers take tasks from a queue, so that two that cannot work together do not."""

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from backstay.errors import ConfigurationError

_MARK = "#"


def marked(identity: str, fingerprint: str) -> str:
    """Returns the identity of a worker that shows the fingerprint of its fleet's key."""
    return f"{identity}{_MARK}{fingerprint}"


def unmarked(identity: str) -> str:
    """Returns the identity of the process that a worker lives in."""
    return identity.partition(_MARK)[0]


async def check_same_fleet(client: Client, task_queue: str, fingerprint: str) -> None:
    """Checks that every worker that lately polled a queue for activities shows the same fingerprint.

    Raises:
        ConfigurationError: a worker holds another key, so the two would perform the same effect twice.
    """
    asked = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=task_queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    )
    found = await client.workflow_service.describe_task_queue(asked)
    for poller in found.pollers:
        worker, _, theirs = poller.identity.rpartition(_MARK)
        if theirs != fingerprint:
            raise ConfigurationError(
                f"the worker {worker or theirs} of this task queue holds another fleet key, or did 5 minutes ago",
                where="`BACKSTAY_FLEET_KEY`",
                mend="set the same value on every worker, so that an effect they share is performed once",
            )
