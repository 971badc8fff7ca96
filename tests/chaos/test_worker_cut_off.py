"""A worker that is cut off comes back after the engine has given it up: its effect happens once all the same."""

import asyncio
import contextlib
import signal
import sys
import uuid
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from backstay.adapters.engine.dev_server import DevServer
from backstay.contracts.names import AGENT_RUN
from backstay.testing import Call, Reply, ScriptedModel
from tests.chaos.worker_process import ROOT, worker_environment
from tests.workflow.resets import reset

TOOLS = '''
import time
from pathlib import Path
from backstay.tools import NOT_HAPPENED, Happened, ToolCall, tool

HERE = Path(__file__).parent

def lines(name):
    file = HERE / name
    return file.read_text().splitlines() if file.exists() else []

def note(name, line):
    with (HERE / name).open("a") as file:
        file.write(line + "\\n")

def look(call: ToolCall):
    happened = call.idempotency_key in lines("booked")
    note("asked", "yes" if happened else "no")
    return Happened("refunded") if happened else NOT_HAPPENED

@tool(effect="once", timeout="4s", reconcile=look)
def refund(call: ToolCall) -> str:
    """Refunds after a while, in a thread that nothing can stop."""
    note("begun", call.idempotency_key)
    time.sleep(2)
    note("booked", call.idempotency_key)
    return "refunded"
'''


@contextlib.asynccontextmanager
async def worker(environment: dict[str, str]) -> AsyncGenerator[asyncio.subprocess.Process]:
    # In a session of its own: a stopped member can get a whole group of processes hung up.
    process = await asyncio.create_subprocess_exec(
        sys.executable, "worker.py", cwd=ROOT, env=environment, start_new_session=True
    )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


@pytest.mark.timeout(150)
@pytest.mark.parametrize("taken_back", [False, True], ids=["given up", "reset"])
async def test_a_call_that_goes_on_out_of_sight_is_not_done_again_before_it_is_over(
    client: Client, temporal_server: DevServer, agent_folder: Callable[..., Path], taken_back: bool
) -> None:
    agents = agent_folder(tools=TOOLS)
    queue = f"cut-off-{uuid.uuid4()}"
    script: Any = [Reply(calls=[Call("refund")]), Reply("done")]

    async def until(name: str) -> None:
        async with asyncio.timeout(60):
            while not (agents / "clerk" / name).exists():
                await asyncio.sleep(0.05)

    async with ScriptedModel(script) as model:
        environment = worker_environment(agents, queue, model, temporal_server.address)
        handle = await client.start_workflow(
            AGENT_RUN, {"goal": "refund", "agent": "clerk"}, id=queue, task_queue=queue
        )
        async with worker(environment) as lost:
            await until("begun")
            lost.send_signal(signal.SIGSTOP)
            if taken_back:
                handle = await reset(client, handle, "act-1-0")
            async with worker(environment):
                await until("asked")  # the first worker is waited for no more, and nothing is booked yet
                lost.send_signal(signal.SIGCONT)
                result = await asyncio.wait_for(handle.result(), 60)
    assert (result["status"], result["spent"]["tool_calls"]) == ("completed", 1)
    assert len((agents / "clerk" / "booked").read_text().splitlines()) == 1
    assert (agents / "clerk" / "asked").read_text().split() == ["no", "yes"]
