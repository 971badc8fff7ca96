"""Workers die by SIGKILL under a run with many children: what each child leaves comes back once."""

import asyncio
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client

from backstay.adapters.engine.asking import queried
from backstay.adapters.engine.dev_server import DevServer
from backstay.contracts.names import AGENT_RUN
from backstay.contracts.run import RunResult
from backstay.kernel.money import parse_usd
from backstay.testing import Call, Reply, ScriptedModel, Usage

from .worker_process import SOAK, worker_environment, working

CHILDREN = 10 if SOAK else 4
KILLS = 20 if SOAK else 2
TOOLS = '''
import asyncio
from backstay.tools import tool

@tool(effect="read", timeout="5s", repeatable=True)
async def look(at: str) -> str:
    """Takes a moment."""
    await asyncio.sleep(0.4)
    return f"seen {at}"
'''
LEAD = """tools = ["std:delegate", "look"]
[delegate]
agents = ["helper"]
[budget]
usd = "0.40"
seconds = 600
steps = 200
tool_calls = 400
"""


@pytest.mark.soak
@pytest.mark.timeout(1200 if SOAK else 120)
async def test_children_with_killed_workers_return_their_rest_once(
    client: Client, temporal_server: DevServer, agent_folder: Callable[..., Path], tmp_path: Path
) -> None:
    agent_folder("helper", "", TOOLS)
    agents = agent_folder("lead", LEAD, TOOLS)
    queue = f"children-{uuid.uuid4()}"
    usage = Usage(500, 100)
    looks = 15 if SOAK else 4
    helper = [Reply(calls=[Call("look", {"at": str(n)})], usage=usage) for n in range(looks)]
    calls = [Call("delegate", {"agent": "helper", "goal": f"help {n}"}) for n in range(CHILDREN)]
    lead = [Reply(calls=calls, usage=usage), Reply("led", usage=usage)]
    scripts = {"lead": lead, "help": [*helper, Reply("helped", usage=usage)]}
    async with (
        ScriptedModel(scripts) as model,
        working(worker_environment(agents, queue, model, temporal_server.address), tmp_path / "worker.log") as worker,
    ):
        request = {"goal": "lead", "agent": "lead"}
        handle = await client.start_workflow(AGENT_RUN, request, id=queue, task_queue=queue)
        for kill in range(KILLS):
            while len(model.requests) < (kill + 1) * CHILDREN:
                await asyncio.sleep(0.05)
            await worker.dies()
        result = RunResult.model_validate(await handle.result())
        status = await queried(handle, "status", (), timedelta(seconds=10))
        ended = [
            record
            for record in (await queried(handle, "audit", (), timedelta(seconds=10)))["items"]
            if record["event"] == "child_ended"
        ]
        read = sum(tokens for _, tokens, _ in model.served)
        written = sum(tokens for _, _, tokens in model.served)
    assert (result.status, result.answer) == ("completed", "led")
    assert [child.status for child in result.children] == ["completed"] * CHILDREN
    assert len({record["facts"]["run_id"] for record in ended}) == len(ended) == CHILDREN
    assert (status["held"]["usd"], status["held"]["steps"]) == ("0.00", 0)
    # What lost attempts may have cost counts at their holds: the run's books are never below the provider's.
    assert read * 0.25 + written * 2.0 <= parse_usd(result.spent.usd) <= 400_000
    own = [RunResult.model_validate(await client.get_workflow_handle(one.run_id).result()) for one in result.children]
    assert [one.spent.usd for one in own] == [child.spent.usd for child in result.children]
