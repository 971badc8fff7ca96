"""Many runs wait for people on one worker: it stays small, their list is fast, and all of them finish."""

import asyncio
import os
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from backstay.adapters.engine.dev_server import DevServer
from backstay.client.fleet import Waiting, waiting_approvals
from backstay.contracts.names import AGENT_RUN
from backstay.testing import Call, Reply, ScriptedModel

ROOT = Path(__file__).resolve().parents[2]
SOAK = bool(os.environ.get("BACKSTAY_SOAK"))
RUNS = 2_000 if SOAK else 24
AT_ONCE = 20

TOOLS = '''
from backstay.tools import tool

@tool(effect="write")
def pay(amount: int) -> str:
    """Pays."""
    return f"paid {amount}"
'''
TOML = '[approval]\nrequire = { pay = "finance" }\ngroups = { finance = ["alice"] }\n[budget]\nseconds = 36_000\n'


def largest_megabytes(pid: int) -> float:
    """The most memory that a process has had so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


async def all_waiting(client: Client, queue: str) -> list[Waiting]:
    """The open approvals of this test's runs, once every run has one."""
    while True:
        mine = [one for one in await waiting_approvals(client, task_queue=queue) if one.run_id.startswith(queue)]
        if len(mine) == RUNS:
            return mine
        await asyncio.sleep(1)


@pytest.mark.soak
@pytest.mark.timeout(3600 if SOAK else 240)
async def test_runs_that_wait_for_people_cost_little_and_all_finish(
    client: Client, temporal_server: DevServer, agent_folder: Callable[..., Path]
) -> None:
    queue = f"waiting-{uuid.uuid4()}"
    script: Any = {"pay": [Reply(calls=[Call("pay", {"amount": 5})]), Reply("done")]}
    room = asyncio.Semaphore(AT_ONCE)
    async with ScriptedModel(script) as model:
        environment = {
            **os.environ,
            "BACKSTAY_AGENTS": str(agent_folder(toml=TOML, tools=TOOLS)),
            "BACKSTAY_TASK_QUEUE": queue,
            "BACKSTAY_CACHED_RUNS": "200",
            "BACKSTAY_MODEL_PRICE": "input=0.25,output=2.00",
            "OPENAI_BASE_URL": model.base_url,
            "TEMPORAL_ADDRESS": temporal_server.address,
        }
        worker = await asyncio.create_subprocess_exec(sys.executable, "worker.py", cwd=ROOT, env=environment)

        async def begin(number: int) -> None:
            async with room:
                request = {"goal": "pay", "agent": "clerk"}
                await client.start_workflow(AGENT_RUN, request, id=f"{queue}-{number}", task_queue=queue)

        async def answer(one: Waiting) -> None:
            async with room:
                handle = client.get_workflow_handle(one.run_id)
                await handle.signal("approve", {"approval_id": one.approval.approval_id, "by": "alice"})

        async def status(one: Waiting) -> str:
            # A few at a time: the server limits how many callers may wait for results at once.
            async with room:
                return str((await client.get_workflow_handle(one.run_id).result())["status"])

        try:
            await asyncio.gather(*(begin(number) for number in range(RUNS)))
            await all_waiting(client, queue)
            began = time.monotonic()
            waiting = await all_waiting(client, queue)
            listed = time.monotonic() - began
            await asyncio.gather(*(answer(one) for one in waiting))
            statuses = await asyncio.gather(*(status(one) for one in waiting))
            memory = largest_megabytes(worker.pid)
            print(f"{RUNS} waiting: listed in {listed:.2f} s, worker at {memory:.0f} MB at most")
        finally:
            worker.kill()
            await worker.wait()
    assert statuses == ["completed"] * RUNS
    assert memory < 500
    assert listed < 5
