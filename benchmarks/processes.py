"""Starts the other processes of a measurement: the scripted model, and the workers of each contender."""

import asyncio
import contextlib
import json
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

from .contenders import ROOT, Contender
from .load import Load
from .usage import Used

READY_SECONDS = 60.0
PATIENCE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Helper:
    """A process that tells what it has used.

    Attributes:
        ready_s: the seconds from its start until it served.
    """

    process: Process
    ready_s: float
    room: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def used(self) -> Used:
        """Asks the process for its processor time, its memory and its calls."""
        return Used(**json.loads(await self._ask("")))

    async def carry(self, load: Load, runs: int) -> int:
        """Lets the loop without an engine run a load, and returns how many runs ended well."""
        return int(await self._ask(json.dumps({"goal": load.goal, "runs": runs})))

    async def _ask(self, line: str) -> str:
        if self.process.stdin is None:
            raise RuntimeError("the process has no standard input")
        async with self.room:
            self.process.stdin.write(f"{line}\n".encode())
            return await said(self.process, PATIENCE_SECONDS)


@dataclass(frozen=True, slots=True)
class Model:
    """The scripted model's process and its address."""

    helper: Helper
    base_url: str


@contextlib.asynccontextmanager
async def scripted_model() -> AsyncGenerator[Model]:
    """Starts a model server that plays every load."""
    began = time.monotonic()
    async with running(sys.executable, "-m", "benchmarks.model") as process:
        base_url = (await said(process)).strip()
        yield Model(Helper(process, time.monotonic() - began), base_url)


@contextlib.asynccontextmanager
async def worker(contender: Contender, address: str, base_url: str) -> AsyncGenerator[Helper]:
    """Starts a contender's worker, and yields it once it serves."""
    began = time.monotonic()
    async with running(contender.python, "-m", "benchmarks.worker", contender.name, address, base_url) as process:
        await said(process)
        yield Helper(process, time.monotonic() - began)


async def replay_seconds(contender: Contender, history: Path) -> float:
    """Replays a saved history in the contender's environment."""
    command = ("-m", "benchmarks.worker", "replay", contender.name, str(history))
    async with running(contender.python, *command) as process:
        return float(await said(process, PATIENCE_SECONDS))


@contextlib.asynccontextmanager
async def running(*command: str) -> AsyncGenerator[Process]:
    """Runs a command in the checkout until the context ends."""
    # Temporal imports workflow modules for every run; without bytecode on disk we would measure the compiler.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment, stdin=PIPE, stdout=PIPE)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def said(process: Process, patience: float = READY_SECONDS) -> str:
    """Returns the next line that a process prints."""
    if process.stdout is None:
        raise RuntimeError("the process has no standard output")
    line = await asyncio.wait_for(process.stdout.readline(), patience)
    if not line:
        raise RuntimeError("the process ended before it answered")
    return line.decode()
