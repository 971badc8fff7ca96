"""Finds out by a trial whether the server shares a task queue fairly, which no request tells."""

import asyncio
import uuid
from collections.abc import Sequence
from datetime import timedelta

from temporalio.api.common.v1 import ActivityType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueRequest,
    RespondActivityTaskCompletedRequest,
    StartActivityExecutionRequest,
)
from temporalio.client import Client

FIRST, SECOND = "first", "second"
MANY, FEW = 64, 16
"""So many activities come first, and so few after them."""
EARLY = 14
"""One of the few is among so many that are handed out first, unless each partition of the queue keeps its order."""
LAG_SECONDS = 1.5
"""Seconds until all that was started is in the queue: it comes later, not always in order, and no figure tells when."""
_PATIENCE = timedelta(seconds=5)
_LIFE = timedelta(seconds=30)


async def shares_fairly(client: Client) -> bool | None:
    """Hands activities of two keys to a queue of their own and takes them out again; None where that cannot be done.

    Raises:
        RPCError: the server does not answer, or knows no activities without a workflow.
    """
    queue = f"backstay-trial-{uuid.uuid4()}"
    for key, many in ((FIRST, MANY), (SECOND, FEW)):
        await asyncio.gather(*(_start(client, queue, key, number) for number in range(many)))
        await asyncio.sleep(LAG_SECONDS)
    taken: list[str] = []
    for _ in range(MANY + FEW):
        key = await _take(client, queue)
        if key is None:
            return None
        taken.append(key)
    return is_fair(taken)


def is_fair(taken: Sequence[str]) -> bool:
    """Tells by the order of keys whether the few came out among the many, and not after them."""
    return SECOND in taken[:EARLY]


async def _start(client: Client, queue: str, key: str, number: int) -> None:
    asked = StartActivityExecutionRequest(
        namespace=client.namespace,
        identity=client.identity,
        request_id=str(uuid.uuid4()),
        activity_id=f"{queue}-{key}-{number}",
        activity_type=ActivityType(name="trial"),
        task_queue=TaskQueue(name=queue),
    )
    asked.start_to_close_timeout.FromTimedelta(_LIFE)
    asked.schedule_to_close_timeout.FromTimedelta(_LIFE)
    asked.retry_policy.maximum_attempts = 1
    asked.priority.fairness_key = key
    await client.workflow_service.start_activity_execution(asked, timeout=_PATIENCE)


async def _take(client: Client, queue: str) -> str | None:
    """Takes the next activity and ends it; returns its key, None where none comes."""
    asked = PollActivityTaskQueueRequest(
        namespace=client.namespace, identity=client.identity, task_queue=TaskQueue(name=queue)
    )
    try:
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            task = await client.workflow_service.poll_activity_task_queue(asked)
    except TimeoutError:
        return None
    done = RespondActivityTaskCompletedRequest(
        namespace=client.namespace, identity=client.identity, task_token=task.task_token
    )
    await client.workflow_service.respond_activity_task_completed(done, timeout=_PATIENCE)
    return task.priority.fairness_key
