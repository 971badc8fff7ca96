"""An activity that is cancelled in the very task that schedules it ends like any other, and so does its run."""

import asyncio
import uuid

from temporalio.client import Client
from temporalio.worker import Worker

from backstay.app.workflows import sandbox
from tests.workflow.killed_at_once import KilledAtOnce


async def test_it_ends_like_every_cancelled_activity(client: Client) -> None:
    queue = f"at-once-{uuid.uuid4()}"
    async with Worker(client, task_queue=queue, workflows=[KilledAtOnce], workflow_runner=sandbox()):
        handle = await client.start_workflow(KilledAtOnce.run, id=queue, task_queue=queue)
        assert await asyncio.wait_for(handle.result(), 20) == "cancelled"
        assert not (await handle.describe()).raw_description.pending_activities
