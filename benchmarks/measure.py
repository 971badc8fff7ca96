"""Measures how much the contenders carry at once: on one worker and on several, and a run alone."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from .contenders import Contender
from .load import Load
from .report import Report, Row, in_turns
from .rig import Rig, rig

WARM = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """The size of a measurement: `runs` at once, of `steps` each, repeated `rounds` times, on each count of workers."""

    rounds: int = 5
    runs: int = 50
    steps: int = 20
    workers: tuple[int, ...] = (1, 4)


async def measure(plan: Plan, contenders: Sequence[Contender]) -> Report:
    """Starts a server, a model and the workers, warms each contender up, and measures."""
    rounds: dict[str, list[Row]] = {one.name: [{} for _ in range(plan.rounds)] for one in contenders}
    for count in plan.workers:
        async with rig(contenders, count) as built:
            for one in contenders:
                await built.carry(one, min(plan.runs, WARM * count), Load(plan.steps))

            async def measured(one: Contender, built: Rig = built, count: int = count) -> Row:
                return await _round(built, one, plan, count)

            for name, rows in (await in_turns(contenders, plan.rounds, measured)).items():
                for row, more in zip(rounds[name], rows, strict=True):
                    row |= more
    return Report("throughput", asdict(plan), rounds, {})


async def _round(built: Rig, contender: Contender, plan: Plan, workers: int) -> Row:
    wanted, steps = Load(plan.steps), plan.runs * plan.steps
    if workers > 1:
        together = await built.carry(contender, plan.runs, wanted)
        return {f"steps_per_s_{workers}_workers": steps / together.seconds}
    alone = await built.carry(contender, 1, wanted)
    together = await built.carry(contender, plan.runs, wanted)
    row = {
        "steps_per_s": steps / together.seconds,
        "worker_cpu_s_per_1000_steps": together.worker_cpu * 1000 / steps,
        "ms_per_step_alone": alone.seconds * 1000 / plan.steps,
        "worker_peak_mb": together.worker.peak_mb,
    }
    if contender.workflow is not None:
        execution = (await alone.handles[0].describe()).raw_description.workflow_execution_info
        row["server_cpu_s_per_1000_steps"] = together.server_cpu * 1000 / steps
        row["events_per_step"] = execution.history_length / plan.steps
        row["history_bytes_per_step"] = execution.history_size_bytes / plan.steps
    return row
