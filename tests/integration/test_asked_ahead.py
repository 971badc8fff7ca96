"""A query that reaches a worker before the task that another one has lost makes no history that cannot be replayed."""

import asyncio
import contextlib
import os
import sys
import uuid
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from pathlib import Path

from temporalio.client import Client, WorkflowHandle, WorkflowQueryFailedError
from temporalio.service import RPCError
from temporalio.worker import Replayer

from backstay.adapters.engine.dev_server import DevServer
from backstay.adapters.engine.sandbox import LeanSandbox

from .waiting_process import OPENS_AFTER, QUEUE, Opens

ROOT = Path(__file__).parents[2]


@contextlib.asynccontextmanager
async def serving(address: str) -> AsyncGenerator[Process]:
    """A worker in a process of its own, which is killed at the end."""
    command = [sys.executable, "-m", "tests.integration.waiting_process", address]
    worker = await asyncio.create_subprocess_exec(
        *command, stdout=PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        assert worker.stdout
        assert await asyncio.wait_for(worker.stdout.readline(), 60) == b"serves\n"
        yield worker
    finally:
        with contextlib.suppress(ProcessLookupError):
            worker.kill()
        await worker.wait()


async def test_a_run_that_was_asked_ahead_goes_on_and_can_be_replayed(
    client: Client, temporal_server: DevServer
) -> None:
    async with serving(temporal_server.address):
        handle = await client.start_workflow(Opens.run, id=f"ahead-{uuid.uuid4()}", task_queue=QUEUE)
        began = asyncio.get_running_loop().time()
        await handle.query(Opens.is_open)
    async with serving(temporal_server.address):
        # A query waits two seconds for the worker that was killed; the timer fires within them.
        await asyncio.sleep(max(0.0, began + OPENS_AFTER - 0.8 - asyncio.get_running_loop().time()))
        await asyncio.wait_for(_opened(handle), 60)
        await handle.signal(Opens.answer)
        assert await asyncio.wait_for(handle.result(), 30) == 0
    history = await handle.fetch_history()
    replayer = Replayer(workflows=[Opens], workflow_runner=LeanSandbox())
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    assert result.replay_failure is None


async def _opened(handle: WorkflowHandle[Opens, int]) -> None:
    """Asks until the workflow says that it is open."""
    while True:
        with contextlib.suppress(RPCError, WorkflowQueryFailedError):
            if await handle.query(Opens.is_open):
                return
        await asyncio.sleep(0.02)
