"""Starts the other processes of a measurement: the scripted model, and a worker for each contender."""

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from . import load

ROOT = Path(__file__).parent.parent
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Used:
    """The processor seconds and the memory that a process has used so far."""

    cpu_s: float
    rss_mb: float


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """The process of a contender's worker."""

    process: Process

    async def used(self) -> Used:
        """Asks the process for its processor time and memory."""
        if self.process.stdin is None:
            raise RuntimeError("the worker has no standard input")
        self.process.stdin.write(b"\n")
        return Used(**json.loads(await _line(self.process)))


@contextlib.asynccontextmanager
async def scripted_model(folder: Path, steps: int) -> AsyncGenerator[str]:
    """Starts a model server that answers at once, and yields its address."""
    script = folder / "script.json"
    script.write_text(json.dumps(load.script(steps)))
    async with _running("-m", "backstay.testing.model.server", "--script", str(script)) as process:
        words = (await _line(process)).split()
        yield next(word for word in words if word.startswith("http"))


@contextlib.asynccontextmanager
async def worker(contender: str, address: str, base_url: str) -> AsyncGenerator[WorkerProcess]:
    """Starts a contender's worker, and yields it once it serves."""
    async with _running("-m", "benchmarks.worker", contender, address, base_url) as process:
        await _line(process)
        yield WorkerProcess(process)


@contextlib.asynccontextmanager
async def _running(*arguments: str) -> AsyncGenerator[Process]:
    # Temporal imports workflow modules for every run; without bytecode on disk we would measure the compiler.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=ROOT, env=environment, stdin=PIPE, stdout=PIPE
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _line(process: Process) -> str:
    if process.stdout is None:
        raise RuntimeError("the process has no standard output")
    line = await asyncio.wait_for(process.stdout.readline(), PATIENCE_SECONDS)
    if not line:
        raise RuntimeError("the process ended before it answered")
    return line.decode()
