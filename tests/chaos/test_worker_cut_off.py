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

GIVEN_UP, RESET = "given-up", "reset"
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
async def test_a_call_that_goes_on_out_of_sight_is_not_done_again_before_it_is_over(
    client: Client, temporal_server: DevServer, agent_folder: Callable[..., Path]
) -> None:
    """Whether the engine gave the call up by itself, or an operator took the run back to before it."""
    agents = {agent_folder(name, tools=TOOLS) for name in (GIVEN_UP, RESET)}.pop()
    queue = f"cut-off-{uuid.uuid4()}"
    script: Any = [Reply(calls=[Call("refund")]), Reply("done")]

    def noted(agent: str, name: str) -> list[str]:
        return (agents / agent / name).read_text().split()

    async def until(name: str) -> None:
        async with asyncio.timeout(60):
            while not all((agents / agent / name).exists() for agent in (GIVEN_UP, RESET)):
                await asyncio.sleep(0.05)

    async with ScriptedModel({GIVEN_UP: script, RESET: script}) as model:
        environment = worker_environment(agents, queue, model, temporal_server.address)
        handles = {
            agent: await client.start_workflow(
                AGENT_RUN, {"goal": agent, "agent": agent}, id=f"{queue}-{agent}", task_queue=queue
            )
            for agent in (GIVEN_UP, RESET)
        }
        async with worker(environment) as lost:
            await until("begun")
            lost.send_signal(signal.SIGSTOP)
            handles[RESET] = await reset(client, handles[RESET], "act-1-0")
            async with worker(environment):
                await until("asked")  # the first worker is waited for no more
                assert not [agent for agent in handles if (agents / agent / "booked").exists()]
                lost.send_signal(signal.SIGCONT)
                results = {agent: await asyncio.wait_for(one.result(), 60) for agent, one in handles.items()}
    for agent, result in results.items():
        assert (agent, result["status"], result["spent"]["tool_calls"]) == (agent, "completed", 1)
        assert (agent, len(noted(agent, "booked"))) == (agent, 1)
        assert (agent, noted(agent, "asked")) == (agent, ["no", "yes"])
