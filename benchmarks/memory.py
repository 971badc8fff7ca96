"""Measures whether a worker's memory stays flat over many runs: `python -m benchmarks.memory`.

Runs come in bursts of 50, three steps each; after each part of the runs the worker tells its peak of memory so far.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from .contenders import BACKSTAY
from .load import Load
from .rig import rig

STEPS = 3
AT_ONCE = 50
PARTS = 10


@dataclass(frozen=True, slots=True)
class Point:
    """The peak of memory in MB after some runs."""

    runs: int
    peak_mb: float


async def measure(runs: int) -> AsyncIterator[Point]:
    """Yields the peak after each part of the runs."""
    async with rig((BACKSTAY,)) as built:
        (worker,) = built.workers[BACKSTAY.name]
        done = 0
        for part in range(1, PARTS + 1):
            while done < runs * part // PARTS:
                count = min(AT_ONCE, runs * part // PARTS - done)
                await built.carry(BACKSTAY, count, Load(STEPS))
                done += count
            yield Point(done, (await worker.used()).peak_mb)


async def main() -> None:
    """Prints a line after each part of the runs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description="Measure a worker's memory.")
    parser.add_argument("--runs", type=int, default=10_000, help="how many runs (default: 10000)")
    print(f"{'runs':>8}{'peak MB':>10}", flush=True)
    async for point in measure(parser.parse_args().runs):
        print(f"{point.runs:>8}{point.peak_mb:>10.0f}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
