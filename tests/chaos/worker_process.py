"""A worker in a process of its own, as it is run for good: with an environment, and started again whenever it dies."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from backstay.testing import ScriptedModel

ROOT = Path(__file__).resolve().parents[2]
SOAK = bool(os.environ.get("BACKSTAY_SOAK"))


def worker_environment(agents: Path, queue: str, model: ScriptedModel, address: str) -> dict[str, str]:
    """The environment of a worker that serves a folder of agents with a scripted model."""
    return {
        **os.environ,
        "BACKSTAY_AGENTS": str(agents),
        "BACKSTAY_TASK_QUEUE": queue,
        "BACKSTAY_MODEL_PRICE": "input=0.25,output=2.00",
        "OPENAI_BASE_URL": model.base_url,
        "TEMPORAL_ADDRESS": address,
    }


@contextlib.asynccontextmanager
async def supervised(environment: dict[str, str], workers: int = 1) -> AsyncGenerator[list[int]]:
    """Worker processes, each started again whenever it dies; yields the exit codes of those that did.

    With several, they die side by side, and what they leave behind is waited for side by side.
    """
    deaths: list[int] = []
    living: set[asyncio.subprocess.Process] = set()

    async def watch() -> None:
        while True:
            worker = await asyncio.create_subprocess_exec(
                sys.executable, "worker.py", cwd=ROOT, env=environment, stderr=asyncio.subprocess.DEVNULL
            )
            living.add(worker)
            deaths.append(await worker.wait())
            living.remove(worker)

    watching = [asyncio.create_task(watch()) for _ in range(workers)]
    try:
        yield deaths
    finally:
        for one in watching:
            one.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        for worker in living:
            if worker.returncode is None:
                worker.kill()
                await worker.wait()


@dataclass(slots=True)
class Worker:
    """A worker process that can be killed, and started anew."""

    environment: dict[str, str]
    log: Path
    kills: int = 0
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "worker.py", cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )

    async def kill(self) -> None:
        """Ends it by SIGKILL; one that has ended by itself is a fault of its own."""
        assert self.process is not None
        assert self.process.returncode is None, self.log.read_text()[-2_000:]
        self.process.kill()
        await self.process.wait()
        self.process = None

    async def dies(self) -> None:
        """Kills it and starts it anew."""
        await self.kill()
        self.kills += 1
        await self.start()


@contextlib.asynccontextmanager
async def working(environment: dict[str, str], log: Path) -> AsyncGenerator[Worker]:
    worker = Worker(environment, log)
    await worker.start()
    try:
        yield worker
    finally:
        if worker.process is not None:
            await worker.kill()
