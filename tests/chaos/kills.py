"""Serves the tests of kills: a tool's own marks, the budget of runs that go on and on, and the figures."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from .worker_process import SOAK

BOUND = 1.0 if SOAK else 5.0
"""The seconds from a kill to the silence of the tool and to the close; other tests share the machine in `make test`."""
HANDING_OVER = 0.1 if SOAK else 0.5
"""The seconds within which a call begins that was still wanted when the engine was asked, just before the kill."""
PATIENCE = 60.0

MARKING = """
import asyncio, time
from backstay.tools import ToolCall, tool

def mark(call: ToolCall, word: str) -> None:
    with open(call.metadata["marks"], "a") as marks:
        marks.write(f"{word} {time.monotonic()}\\n")
"""
"""The beginning of tools that leave marks of their own, each a word and a time."""
LONG = """
[budget]
steps = 2_000
tool_calls = 20_000
tokens = 50_000_000
usd = "50.00"
"""
"""The budget of a run that goes on until it is killed."""


def marked(marks: Path, word: str = "") -> list[float]:
    """Reads the times of the marks with a word; a line that is being written is none yet."""
    lines = marks.read_text().splitlines() if marks.exists() else []
    return [float(line.split()[1]) for line in lines if line.startswith(word) and line.count(" ") == 1]


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await holds():
            await asyncio.sleep(0.02)


def p99(values: Sequence[float]) -> float:
    """The value that 99 in 100 do not exceed."""
    return sorted(values)[math.ceil(0.99 * len(values)) - 1]
