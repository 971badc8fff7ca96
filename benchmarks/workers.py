"""Measures workers: their start, what a run's start costs, what waiting runs weigh, and whether age slows them."""

import asyncio
from collections.abc import Sequence

from .contenders import BACKSTAY, FLOOR, Contender
from .load import Load
from .measure import Plan
from .report import Report, Row, in_turns
from .rig import Rig, rig

SETTLED_SECONDS = 2.0
DELAY = 60
SERVED_STEPS = 3


async def start(contenders: Sequence[Contender], rounds: int, runs: int) -> Report:
    """Measures a worker's start, the cost of runs that only answer, and the memory of runs that wait for the model."""

    async def measured(one: Contender) -> Row:
        async with rig((one,)) as built:
            (worker,) = built.workers[one.name]
            await built.carry(one, min(runs, 5), Load(0))
            only = await built.carry(one, runs, Load(0))
            row = {"ready_s": worker.ready_s, "start_cpu_ms": only.worker_cpu * 1000 / runs}
            if one.workflow is not None:
                row["waiting_kb"] = await _waiting(built, one, runs)
            return row

    return Report("start", {"rounds": rounds, "runs": runs}, await in_turns(contenders, rounds, measured), {})


async def _waiting(built: Rig, contender: Contender, runs: int) -> float:
    """Returns the kB that each run takes while it waits for a slow model."""
    (worker,) = built.workers[contender.name]
    before = await worker.used()
    handles = await built.started(contender, runs, Load(0, delay=DELAY))
    last = before
    while True:
        await asyncio.sleep(SETTLED_SECONDS)
        now = await worker.used()
        if now.cpu_s - last.cpu_s < 0.05 * SETTLED_SECONDS:
            break
        last = now
    await asyncio.gather(*(handle.terminate() for handle in handles))
    return (now.now_mb - before.now_mb) * 1024 / runs


async def served(contenders: Sequence[Contender], plan: Plan, after: int) -> Report:
    """Measures a fresh worker and the same worker after some thousand runs, side by side with a fresh floor's."""
    wanted = [one for one in contenders if one in (BACKSTAY, FLOOR)]
    rounds: dict[str, list[Row]] = {one.name: [{} for _ in range(plan.rounds)] for one in wanted}
    async with rig(wanted) as built:
        for one in wanted:
            await built.carry(one, min(plan.runs, 5), Load(plan.steps))
        await _bursts(built, wanted, plan, "fresh", rounds)
        for one in wanted:
            left = after
            while left > 0:
                await built.carry(one, min(left, plan.runs), Load(SERVED_STEPS))
                left -= plan.runs
        await _bursts(built, wanted, plan, "after", rounds)
    return Report("served", {"rounds": plan.rounds, "runs": plan.runs, "steps": plan.steps, "after": after}, rounds, {})


async def _bursts(
    built: Rig, contenders: Sequence[Contender], plan: Plan, when: str, rounds: dict[str, list[Row]]
) -> None:
    async def measured(one: Contender) -> Row:
        burst = await built.carry(one, plan.runs, Load(plan.steps))
        steps = plan.runs * plan.steps
        return {
            f"steps_per_s_{when}": steps / burst.seconds,
            f"worker_cpu_s_per_1000_steps_{when}": burst.worker_cpu * 1000 / steps,
        }

    for name, rows in (await in_turns(contenders, plan.rounds, measured)).items():
        for row, more in zip(rounds[name], rows, strict=True):
            row |= more
