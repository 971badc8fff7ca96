"""Measures the contenders in turns, so that other load on the machine affects both."""

import asyncio
import contextlib
import statistics
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHandle

from backstay.adapters.engine.dev_server import dev_server
from backstay.contracts.names import AGENT_RUN

from . import load, processes
from .floor import FLOOR
from .processes import WorkerProcess

BACKSTAY = "backstay"
THE_FLOOR = "floor"
CONTENDERS = (BACKSTAY, THE_FLOOR)
PATIENCE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Plan:
    """The size of a measurement: `runs` at once, of `steps` each, repeated `rounds` times."""

    rounds: int = 5
    runs: int = 50
    steps: int = 20


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one contender, for one round or as medians of all rounds."""

    steps_per_s: float
    worker_cpu_s_per_1000_steps: float
    ms_per_step_alone: float
    events_per_step: float
    history_bytes_per_step: float
    worker_rss_mb: float


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of all rounds by contender, in the order of measurement."""

    plan: Plan
    rounds: dict[str, list[Figures]]

    def median(self, contender: str) -> Figures:
        """Returns the contender's median of each figure."""
        rounds = [asdict(figures) for figures in self.rounds[contender]]
        return Figures(**{name: statistics.median(figures[name] for figures in rounds) for name in rounds[0]})

    def share_of_floor(self) -> float:
        """Returns Backstay's throughput divided by the floor's, as the median over the rounds."""
        pairs = zip(self.rounds[BACKSTAY], self.rounds[THE_FLOOR], strict=True)
        return statistics.median(ours.steps_per_s / floors.steps_per_s for ours, floors in pairs)


async def measure(plan: Plan) -> Report:
    """Starts a server, a model and the workers, warms each contender up, and measures."""
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = await stack.enter_async_context(dev_server())
        model = await stack.enter_async_context(processes.scripted_model(folder, plan.steps))
        workers = {
            name: await stack.enter_async_context(processes.worker(name, server.address, model)) for name in CONTENDERS
        }
        for name in CONTENDERS:
            await burst(server.client, name, min(plan.runs, 5), plan.steps)
        rounds: dict[str, list[Figures]] = {name: [] for name in CONTENDERS}
        for turn in range(plan.rounds):
            for name in CONTENDERS if turn % 2 == 0 else CONTENDERS[::-1]:
                rounds[name].append(await _round(server.client, name, workers[name], plan))
        return Report(plan, rounds)


async def _round(client: Client, contender: str, worker: WorkerProcess, plan: Plan) -> Figures:
    alone, (handle, *_) = await burst(client, contender, 1, plan.steps)
    execution = (await handle.describe()).raw_description.workflow_execution_info
    before = await worker.used()
    together, _ = await burst(client, contender, plan.runs, plan.steps)
    after = await worker.used()
    steps = plan.runs * plan.steps
    return Figures(
        steps_per_s=steps / together,
        worker_cpu_s_per_1000_steps=(after.cpu_s - before.cpu_s) * 1000 / steps,
        ms_per_step_alone=alone * 1000 / plan.steps,
        events_per_step=execution.history_length / plan.steps,
        history_bytes_per_step=execution.history_size_bytes / plan.steps,
        worker_rss_mb=after.rss_mb,
    )


async def burst(
    client: Client, contender: str, runs: int, steps: int
) -> tuple[float, Sequence[WorkflowHandle[Any, Any]]]:
    """Starts runs at once and waits for all.

    Returns:
        The seconds from the first start to the last result, and the runs' handles.
    """
    began = time.monotonic()
    handles = await asyncio.gather(*(_start(client, contender, steps) for _ in range(runs)))
    results = await asyncio.wait_for(asyncio.gather(*(handle.result() for handle in handles)), PATIENCE_SECONDS)
    took = time.monotonic() - began
    for result in results:
        _check(contender, result, steps)
    return took, handles


async def _start(client: Client, contender: str, steps: int) -> WorkflowHandle[Any, Any]:
    run_id = f"{contender}-{uuid.uuid4()}"
    if contender == THE_FLOOR:
        return await client.start_workflow(FLOOR, steps, id=run_id, task_queue=contender)
    return await client.start_workflow(
        AGENT_RUN, {"goal": load.GOAL, "agent": load.AGENT}, id=run_id, task_queue=contender
    )


def _check(contender: str, result: Any, steps: int) -> None:
    """Refuses a run that stopped early, because it would count as a fast one."""
    if contender == BACKSTAY and (result["stop_reason"] != "completed" or result["spent"]["tool_calls"] != steps):
        raise RuntimeError(f"a run ended early: {result['stop_reason']}, {result['stop_detail']}")
