"""A place to run commands and workers in, as processes of their own: a model, agents and a task queue of its own."""

import asyncio
import json
import os
import sys
import time
import uuid
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backstay.adapters.engine.dev_server import DevServer, temporal_binary
from backstay.testing import Call, Failure, Reply, ScriptedModel

ROOT = Path(__file__).resolve().parents[2]
PRICE = "input=0.25,cached_input=0.025,output=2.00"
PATIENCE = 60.0

TOOLS = '''
import asyncio, os, pathlib, time
from backstay.tools import tool

LOG = pathlib.Path(os.environ["CLERK_LOG"])

def note(text):
    with LOG.open("a") as log:
        log.write(text + "\\n")

@tool(effect="read")
def add(left: int, right: int) -> int:
    """Adds two numbers."""
    return left + right

@tool(effect="write", timeout="120s")
async def work(name: str, seconds: float) -> str:
    """Works for a while."""
    note(f"{name} begins")
    await asyncio.sleep(seconds)
    note(f"{name} ends")
    return "worked"

@tool(effect="read", timeout="300s")
def hang(name: str) -> str:
    """Never returns."""
    note(f"{name} begins")
    while True:
        time.sleep(1)
'''
CLERK = """
instructions = "You are a careful clerk."
[approval]
budget = "ops"
groups = { ops = ["olga@example.com"] }
"""


def work(name: str, seconds: float) -> Reply:
    return Reply(calls=[Call("work", {"name": name, "seconds": seconds})])


SCRIPTS = {
    "add": [Reply(calls=[Call("add", {"left": 2, "right": 3})]), Reply("it is 5")],
    "fail": [Failure(400, "no such model")],
    "wait": [work("waiting", 60)],
    "impatient": [work("impatient", 60)],
    "handover": [work("handover", 3), Reply("done")],
    "hang": [Reply(calls=[Call("hang", {"name": "hanging"})])],
    "steer": [Reply("\x1b[2Jred\x1b[31m")],
}


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Running:
    """A process that writes to files, so that it never waits for its reader."""

    process: Process
    out: Path
    err: Path

    @classmethod
    async def of(cls, folder: Path, *command: str, **environment: str) -> "Running":
        return await cls.within(ROOT, folder, *command, **environment)

    @classmethod
    async def within(cls, cwd: Path, folder: Path, *command: str, **environment: str) -> "Running":
        """A process that runs in one folder, and writes to files in another."""
        name = uuid.uuid4().hex
        out, err = folder / f"{name}.out", folder / f"{name}.err"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                *command, cwd=cwd, env=environment, stdin=DEVNULL, stdout=stdout, stderr=stderr
            )
        return cls(process, out, err)

    async def says(self, text: str) -> None:
        """Waits until stderr holds `text`."""

        async def said() -> bool:
            assert self.process.returncode is None or text in self.err.read_text(), self.err.read_text()
            return text in self.err.read_text()

        await eventually(said)

    async def end(self, within: float = PATIENCE) -> Ended:
        code = await asyncio.wait_for(self.process.wait(), within)
        out, err = self.out.read_text(), self.err.read_text()
        assert "Traceback" not in err, err
        return Ended(code, out, err)


@dataclass(frozen=True, slots=True)
class Place:
    """Runs commands in one environment, and reads the clerk's log."""

    environment: dict[str, str]
    log: Path
    started: list[Running] = field(default_factory=list[Running])
    cwd: Path = ROOT

    async def start(self, *command: str, **environment: str) -> Running:
        known = {**self.environment, **environment}
        running = await Running.within(self.cwd, self.log.parent, sys.executable, *command, **known)
        self.started.append(running)
        return running

    async def close(self) -> None:
        """Ends what a failed test left running."""
        for running in self.started:
            if running.process.returncode is None:
                running.process.kill()
            await running.process.wait()

    async def backstay(self, *arguments: str, **environment: str) -> Ended:
        return await (await self.start("-m", "backstay", *arguments, **environment)).end()

    @asynccontextmanager
    async def worker(self, **environment: str) -> AsyncGenerator[Running]:
        """A worker that is ready; it may end before the context does."""
        worker = await self.start("worker.py", **environment)
        try:
            await worker.says("worker ready: agents clerk, default on task queue ")
            yield worker
        finally:
            if worker.process.returncode is None:
                worker.process.kill()
            await worker.process.wait()

    async def logged(self, line: str, times: int = 1) -> None:
        await eventually(lambda: asyncio.to_thread(lambda: self.count(line) >= times))

    def count(self, line: str) -> int:
        """Counts a line in the log of the place's tools, which tests share."""
        return self.log.read_text().splitlines().count(line) if self.log.exists() else 0


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not await holds():
        assert time.monotonic() < deadline, "it never came to that"
        await asyncio.sleep(0.05)


async def temporal(place: Place, *arguments: str) -> Ended:
    return await (await Running.of(place.log.parent, temporal_binary(), *arguments, **place.environment)).end()


def fresh(word: str) -> str:
    return f"{word}-{uuid.uuid4().hex[:8]}"


@asynccontextmanager
async def command_place(server: DevServer, home: Path) -> AsyncGenerator[Place]:
    """An environment with a model, agents and a task queue of its own; no worker runs yet."""
    clerk = home / "agents" / "clerk"
    clerk.mkdir(parents=True)
    (clerk / "agent.toml").write_text(CLERK)
    (clerk / "tools.py").write_text(TOOLS)
    log = home / "clerk.log"
    ours = ("OPENAI_", "BACKSTAY_", "TEMPORAL_", "SHOP_", "OTEL_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    async with ScriptedModel(SCRIPTS) as model:
        environment = {
            **inherited,
            "PYTHONPATH": str(ROOT),
            "TEMPORAL_ADDRESS": server.address,
            "OPENAI_BASE_URL": model.base_url,
            "BACKSTAY_AGENTS": str(home / "agents"),
            "BACKSTAY_MODEL_PRICE": PRICE,
            "BACKSTAY_TASK_QUEUE": fresh("commands"),
            "BACKSTAY_USER": "olga@example.com",
            "CLERK_LOG": str(log),
        }
        place = Place(environment, log)
        yield place
        await place.close()
