"""Runs of many steps, over many links of a chain: as cheap per step at their end, whatever happens on the way."""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from backstay.adapters.engine.dev_server import DevServer
from backstay.client.client import BackstayClient
from backstay.contracts.names import AGENT_RUN
from backstay.testing import Call, Reply, ScriptedModel

from .worker_process import SOAK, Worker, worker_environment, working

STEPS = int(os.environ.get("BACKSTAY_LONG_STEPS", "10000" if SOAK else "150"))
KILLED_STEPS = int(os.environ.get("BACKSTAY_KILLED_STEPS", "2000" if SOAK else "60"))
KILLS = int(os.environ.get("BACKSTAY_KILLS", "20" if SOAK else "1"))
WINDOW = 16_000
SLOWER = 1.2 if SOAK else 2.0
"""The most that a step may take at the end of a run, as a multiple of its beginning; small sizes say little."""
MORE_MEMORY = 1.25
SEED = int(os.environ.get("BACKSTAY_SEED", "19"))
TOML = f"""
[budget]
steps = 20_000
tool_calls = 50_000
tokens = 1_000_000_000
usd = "10000"
seconds = 100_000
[model]
max_output_tokens = 500
context_window = {WINDOW}
"""
TOOLS = '''
from backstay.tools import tool

@tool(effect="read")
async def read(number: int, size: int = 0) -> str:
    """Reads a page."""
    return f"page {number} " + "x" * size
'''


def script(steps: int, size: int = 0) -> list[Reply]:
    """A call in each step, and an answer at last."""
    return [*[Reply(f"look {n}", calls=[Call("read", {"number": n, "size": size})]) for n in range(steps)], Reply("ok")]


def resident(worker: Worker) -> int:
    """The memory of a worker in bytes."""
    assert worker.process is not None
    pages = Path(f"/proc/{worker.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


async def watched(model: ScriptedModel, worker: Worker, asked: dict[int, tuple[float, int]]) -> None:
    """Keeps of each request when it came and how much memory the worker had then; forgets the request itself."""
    while True:
        requests, model.requests[:] = list(model.requests), []
        model.served.clear()
        memory = resident(worker)
        for request in requests:
            asked.setdefault(request.index, (request.at, memory))
        await asyncio.sleep(0.5)


def middle(numbers: list[float]) -> float:
    """The median: one slow link of a machine that others use says nothing of all steps."""
    return statistics.median(numbers)


@pytest.mark.soak
@pytest.mark.timeout(3600 if SOAK else 300)
async def test_a_step_costs_as_much_at_the_end_of_a_long_run_as_at_its_beginning(
    client: Client, temporal_server: DevServer, agent_folder: Callable[..., Path], tmp_path: Path
) -> None:
    agents, queue = agent_folder(toml=TOML, tools=TOOLS), f"long-{uuid.uuid4()}"
    asked: dict[int, tuple[float, int]] = {}
    async with ScriptedModel(script(STEPS, 2_000)) as model:
        environment = worker_environment(agents, queue, model, temporal_server.address)
        async with working(environment, tmp_path / "worker.log") as worker:
            watching = asyncio.create_task(watched(model, worker, asked))
            request = {"goal": "read all pages", "agent": "clerk"}
            result = await client.execute_workflow(AGENT_RUN, request, id=queue, task_queue=queue)
            await asyncio.sleep(1)
            watching.cancel()
    ended = {name: result[name] for name in ("stop_reason", "stop_detail", "steps")}
    assert ended == {"stop_reason": "completed", "stop_detail": None, "steps": STEPS + 1}, result["spent"]
    part = STEPS // 10
    times = [asked[step + 1][0] - asked[step][0] for step in range(STEPS)]
    first, last = times[part // 5 : part], times[-part:]  # the first steps find everything cold
    ratios = (sum(last) / len(last)) / (sum(first) / len(first)), middle(last) / middle(first)
    memory = [asked[step][1] / 2**20 for step in (part, STEPS // 2, STEPS)]
    print(
        f"{STEPS} steps: {1000 * sum(first) / len(first):.1f} ms at first, {1000 * sum(last) / len(last):.1f} ms at "
        f"last, medians {1000 * middle(first):.1f} and {1000 * middle(last):.1f} ms; worker {memory} MB"
    )
    assert min(ratios) <= SLOWER
    assert memory[2] <= MORE_MEMORY * memory[1]


@pytest.mark.soak
@pytest.mark.timeout(3600 if SOAK else 300)
async def test_a_run_whose_worker_dies_again_and_again_says_what_an_undisturbed_one_says(
    client: Client, temporal_server: DevServer, agent_folder: Callable[..., Path], tmp_path: Path
) -> None:
    agents, queue = agent_folder(toml=TOML, tools=TOOLS), f"killed-{uuid.uuid4()}"
    drawn = random.Random(SEED)
    moments = sorted(drawn.sample(range(5, KILLED_STEPS - 5), KILLS))
    told: list[list[dict[str, Any]]] = []
    async with ScriptedModel(script(KILLED_STEPS)) as model:
        environment = worker_environment(agents, queue, model, temporal_server.address)
        environment["BACKSTAY_LINK_EVENTS"] = "1000" if SOAK else "200"
        async with working(environment, tmp_path / "worker.log") as worker:
            for name, kills in (("calm", []), ("killed", moments)):
                run_id = f"{queue}-{name}"
                request = {"goal": "read all pages", "agent": "clerk"}
                handle = await client.start_workflow(AGENT_RUN, request, id=run_id, task_queue=queue)
                model.requests.clear()
                for moment in kills:
                    while not any(one.index >= moment for one in model.requests[-5:]):
                        await asyncio.sleep(0.02)
                    await asyncio.sleep(drawn.random() * 0.1)
                    await worker.dies()
                result = await handle.result()
                assert (result["stop_reason"], result["steps"]) == ("completed", KILLED_STEPS + 1)
                items = [item.model_dump() async for item in BackstayClient(client).transcript(run_id)]
                told.append(items)
    assert worker.kills == KILLS
    assert told[0] == told[1]
    print(f"{KILLS} workers killed in {KILLED_STEPS} steps, at {moments}")
