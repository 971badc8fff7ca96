"""A worker in a process of its own, as it is run for good: with an environment, and started again whenever it dies."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncGenerator
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
async def supervised(environment: dict[str, str]) -> AsyncGenerator[list[int]]:
    """A worker process that is started again whenever it dies; yields the exit codes of those that did."""
    deaths: list[int] = []
    process: list[asyncio.subprocess.Process] = []

    async def watch() -> None:
        while True:
            worker = await asyncio.create_subprocess_exec(
                sys.executable, "worker.py", cwd=ROOT, env=environment, stderr=asyncio.subprocess.DEVNULL
            )
            process[:] = [worker]
            deaths.append(await worker.wait())

    watching = asyncio.create_task(watch())
    try:
        yield deaths
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        for worker in process:
            if worker.returncode is None:
                worker.kill()
                await worker.wait()
