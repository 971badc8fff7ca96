"""Workers die between a yes and the call that it releases: the call is executed once, and only after a yes."""

import asyncio
import contextlib
import sqlite3
import sys
import uuid
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

from backstay.adapters.engine.dev_server import DevServer
from backstay.contracts.names import AGENT_RUN
from backstay.testing import Call, Reply, ScriptedModel
from tests.chaos.worker_process import ROOT, SOAK, worker_environment

RUNS = 30 if SOAK else 6
TOOLS = '''
import sqlite3
from pathlib import Path
from backstay.tools import ToolCall, tool

@tool(effect="write")
def pay(call: ToolCall, amount: int) -> str:
    """Pays."""
    db = sqlite3.connect(Path(__file__).with_name("books.sqlite3"), timeout=30, isolation_level=None)
    db.execute("CREATE TABLE IF NOT EXISTS payments (key TEXT PRIMARY KEY, amount INTEGER)")
    db.execute("INSERT OR IGNORE INTO payments VALUES (?, ?)", (call.idempotency_key, amount))
    db.close()
    return f"paid {amount}"
'''
TOML = '[approval]\nrequire = { pay = "finance" }\ngroups = { finance = ["alice"] }\n'


def payments(folder: Path) -> list[int]:
    """Reads the shop's books; they are empty before the first payment."""
    file = folder / "books.sqlite3"
    if not file.exists():
        return []
    with contextlib.closing(sqlite3.connect(file)) as db:
        return sorted(amount for (amount,) in db.execute("SELECT amount FROM payments"))


@contextlib.asynccontextmanager
async def killed_at_the_end(environment: dict[str, str]) -> AsyncGenerator[None]:
    """A worker that is killed where the context ends, with no time to put anything in order."""
    worker = await asyncio.create_subprocess_exec(sys.executable, "worker.py", cwd=ROOT, env=environment)
    try:
        yield
    finally:
        worker.kill()
        assert await worker.wait() == -9


async def asked(handle: WorkflowHandle[Any, Any]) -> str:
    """The id of the run's open approval, once it is there."""
    async with asyncio.timeout(60):
        while not (memo := (await handle.describe()).raw_description.workflow_execution_info.memo.fields):
            await asyncio.sleep(0.1)
    assert "backstay.approvals" in memo
    pending = await handle.describe()
    return str((await pending.memo_value("backstay.approvals"))[0]["approval_id"])


@pytest.mark.soak
@pytest.mark.timeout(1800 if SOAK else 240)
@pytest.mark.parametrize("answered", ["while no worker lives", "and the worker is killed at once"])
async def test_a_released_call_is_executed_once_whoever_dies_between_the_yes_and_the_call(
    client: Client, temporal_server: DevServer, agent_folder: Callable[..., Path], answered: str
) -> None:
    agents = agent_folder(toml=TOML, tools=TOOLS)
    queue = f"answered-{uuid.uuid4()}"
    scripts: dict[str, Any] = {
        f"<{n}>": [Reply(calls=[Call("pay", {"amount": n})]), Reply("done")] for n in range(RUNS)
    }
    async with ScriptedModel(scripts) as model:
        environment = worker_environment(agents, queue, model, temporal_server.address)

        async def begin(number: int) -> WorkflowHandle[Any, Any]:
            request = {"goal": f"<{number}>", "agent": "clerk"}
            return await client.start_workflow(AGENT_RUN, request, id=f"{queue}-{number}", task_queue=queue)

        async def answer(number: int, approval_id: str) -> None:
            yes = number % 3 != 2
            await handles[number].signal("approve" if yes else "deny", {"approval_id": approval_id, "by": "alice"})

        handles = [await begin(number) for number in range(RUNS)]
        async with killed_at_the_end(environment):
            approvals = [await asked(handle) for handle in handles]
            assert payments(agents / "clerk") == []
            if answered == "and the worker is killed at once":
                await asyncio.gather(*(answer(*each) for each in enumerate(approvals)))
        if answered == "while no worker lives":
            await asyncio.gather(*(answer(*each) for each in enumerate(approvals)))
        async with killed_at_the_end(environment):
            results = [await asyncio.wait_for(handle.result(), 120) for handle in handles]
    released = [number for number in range(RUNS) if number % 3 != 2]
    assert payments(agents / "clerk") == released
    assert [result["spent"]["tool_calls"] for result in results] == [int(n in released) for n in range(RUNS)]
    assert {result["status"] for result in results} == {"completed"}
