"""Measures single runs: the history of a step, the time of a replay, and a worker's work late in a long run."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowHistoryEventFilterType

from . import processes
from .contenders import Contender
from .load import Load
from .report import Report, Row
from .rig import Rig, rig

SIZES = (200, 2_000, 20_000)
REPLAYED = 200
EVERY_SECONDS = 0.05
PATIENCE_SECONDS = 3600.0


async def history(contenders: Sequence[Contender], steps: Sequence[int], sizes: Sequence[int]) -> Report:
    """Measures events and bytes of a step, in runs of several lengths with results of several sizes."""
    engines = [one for one in contenders if one.workflow is not None]
    rounds: dict[str, list[Row]] = {one.name: [{}] for one in engines}
    notes: dict[str, str] = {}
    async with rig(engines) as built:
        for one in engines:
            for size in sizes:
                for count in steps:
                    died = await _history_of(built, one, Load(count, size), rounds[one.name][0])
                    if died is not None:
                        notes[f"{one.name}, {count} steps, {size} B"] = died
                        break
    return Report("history", {"steps": list(steps), "sizes": list(sizes)}, rounds, notes)


async def _history_of(built: Rig, contender: Contender, wanted: Load, row: Row) -> str | None:
    """Adds the figures of one run, and returns why there are none where it died."""
    (handle,), done, died = await _lone(built, contender, wanted)
    if died is not None:
        return f"died at step {done}: {died}"
    events, size = await _whole(built.server.client, handle)
    name = f"{wanted.steps}_steps_{wanted.size}_B"
    row[f"events_per_step_{name}"] = events / wanted.steps
    row[f"bytes_per_step_{name}"] = size / wanted.steps
    if wanted.size == SIZES[0] and wanted.steps <= REPLAYED:
        row[f"replay_s_{wanted.steps}_steps"] = await _replay(built, contender, handle)
    return None


async def _lone(
    built: Rig, contender: Contender, wanted: Load
) -> tuple[list[WorkflowHandle[Any, Any]], int, str | None]:
    """Carries one run, and returns how many steps it took and why it died, if it did."""
    (worker,) = built.workers[contender.name]
    before = (await worker.used()).calls
    handles = await built.started(contender, 1, wanted)
    died = None
    try:
        await asyncio.wait_for(handles[0].result(), PATIENCE_SECONDS)
    except WorkflowFailureError as error:
        died = str(error.cause)[:200]
    except TimeoutError:
        died = "it makes no progress any more"
    done = (await worker.used()).calls - before
    if died is None and done != wanted.steps:
        raise RuntimeError(f"{contender.name}: {done} calls of the tool instead of {wanted.steps}")
    return handles, done, died


async def _whole(client: Client, handle: WorkflowHandle[Any, Any]) -> tuple[int, int]:
    """Returns the events and bytes of a run, over all links of its chain."""
    events = size = 0
    link = handle.first_execution_run_id or handle.result_run_id
    while link:
        one = client.get_workflow_handle(handle.id, run_id=link)
        execution = (await one.describe()).raw_description.workflow_execution_info
        events, size = events + execution.history_length, size + execution.history_size_bytes
        link = ""
        async for event in one.fetch_history_events(event_filter_type=WorkflowHistoryEventFilterType.CLOSE_EVENT):
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
                link = event.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
    return events, size


async def _replay(built: Rig, contender: Contender, handle: WorkflowHandle[Any, Any]) -> float:
    found = await built.server.client.get_workflow_handle(handle.id).fetch_history()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "history.json")
        await asyncio.to_thread(file.write_text, found.to_json())
        return await processes.replay_seconds(contender, file)


async def long(contenders: Sequence[Contender], steps: int) -> Report:
    """Measures a worker's processor time per step at step 50, at 1,000 and at the end of one long run."""
    rounds: dict[str, list[Row]] = {}
    notes: dict[str, str] = {}
    async with rig(contenders) as built:
        for one in contenders:
            points, ended = await _followed(built, one, Load(steps))
            at = sorted({min(50, steps), min(1_000, steps), steps})
            done = points[-1][0]
            rounds[one.name] = [{f"worker_cpu_ms_at_step_{step}": _at(points, step) for step in at if step <= done}]
            if ended is not None:
                notes[one.name] = f"died at step {done}: {ended}"
    return Report("long", {"steps": steps}, rounds, notes)


async def _followed(built: Rig, contender: Contender, wanted: Load) -> tuple[list[tuple[int, float]], str | None]:
    """Carries one run, and returns the worker's seconds by step, and why it died if it did."""
    (worker,) = built.workers[contender.name]
    first = await worker.used()
    points = [(0, first.cpu_s)]

    async def carried() -> str | None:
        if contender.workflow is None:
            await built.carry(contender, 1, wanted)
            return None
        return (await _lone(built, contender, wanted))[2]

    run = asyncio.create_task(carried())
    while not run.done():
        if contender.workflow is not None:
            now = await worker.used()
            if now.calls - first.calls > points[-1][0]:
                points.append((now.calls - first.calls, now.cpu_s))
        await asyncio.wait({run}, timeout=EVERY_SECONDS)
    last = await worker.used()
    points.append((last.calls - first.calls, last.cpu_s))
    return points, run.result()


def _at(points: Sequence[tuple[int, float]], step: int) -> float:
    """Returns the milliseconds per step around a step, over a window of a tenth of it and 25 steps at least."""
    reach = max(25, step // 20)
    inside = [point for point in points if abs(point[0] - step) <= reach]
    if len(inside) < 2:
        inside = [points[0], points[-1]]
    (first, began), (last, ended) = inside[0], inside[-1]
    return (ended - began) * 1000 / max(last - first, 1)
