"""A shop: an agent whose tools share their effects between identical calls, and eyes on those effects."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.worker import Replayer, WorkerConfig

from backstay.adapters.engine.breakers import BreakerReports
from backstay.adapters.payload.converter import data_converter
from backstay.app import folders
from backstay.app.application import application
from backstay.app.worker import serving, workers
from backstay.app.workflows import sandbox
from backstay.client.connection import connect
from backstay.kernel.control import InForce
from backstay.testing import Call, Reply, Request
from backstay.testing.runtime import LocalRuntime, local_runtime

if TYPE_CHECKING:
    from temporalio.client import Client, WorkflowHandle

PATIENCE = 40.0
TOOLS = Path(__file__).with_name("clerk.py")
TOML = """
[approval]
unknown = "ops"
groups = { ops = ["olga"] }
"""


class Shop:
    """A runtime whose agent `clerk` makes the calls that its goal spells as JSON, all of them in one step."""

    def __init__(self, runtime: LocalRuntime, folder: Path) -> None:
        self.runtime = runtime
        self.folder = folder
        self.tenant = f"acme-{uuid.uuid4()}"  # the server is shared, and so are the effects of a tenant

    async def start(self, *calls: tuple[str, dict[str, Any]], tenant: str | None = None) -> WorkflowHandle[Any, Any]:
        """Starts a run that makes these calls at once."""
        request = {"goal": json.dumps(calls), "agent": "clerk", "tenant": tenant or self.tenant}
        return await self.runtime.start(request)

    async def results(self, handle: WorkflowHandle[Any, Any]) -> list[str]:
        """Returns the results of a run's calls, once it has ended."""
        await asyncio.wait_for(handle.result(), PATIENCE)
        items = (await handle.query("transcript"))["items"]
        return [item["text"] for item in items if item["kind"] == "result"]

    async def run(self, *calls: tuple[str, dict[str, Any]], tenant: str | None = None) -> list[str]:
        """Starts a run; returns the results of its calls."""
        return await self.results(await self.start(*calls, tenant=tenant))

    def lines(self, start: str = "") -> list[str]:
        """The effects so far."""
        file = self.folder / "log.txt"
        return [line for line in file.read_text().splitlines() if line.startswith(start)] if file.exists() else []

    def touch(self, name: str) -> None:
        """Opens a gate of the tools."""
        (self.folder / name).touch()

    async def until(self, holds: Callable[[], Any]) -> None:
        """Waits until a condition holds."""
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, f"the condition did not come to hold: {self.lines()}"
            await asyncio.sleep(0.02)

    async def until_acting(self, handle: WorkflowHandle[Any, Any]) -> None:
        """Waits until a run executes a call."""
        while True:
            pending = (await handle.describe()).raw_description.pending_activities
            if any(one.activity_id.startswith("act-") for one in pending):
                return
            await asyncio.sleep(0.05)

    async def effects(self) -> list[Any]:
        """The descriptions of all effects of this runtime."""
        query = f"WorkflowType='Effect' AND TaskQueue='{self.runtime.settings.task_queue}'"
        return [one async for one in self.runtime.client.list_workflows(query)]

    async def effect(self, handle: WorkflowHandle[Any, Any], claims: int = 1) -> WorkflowHandle[Any, Any]:
        """The one effect, once so many claims have reached it."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for one in await self.effects():
                found = self.runtime.client.get_workflow_handle(one.id)
                events = [event async for event in found.fetch_history_events()]
                accepted = [e for e in events if e.HasField("workflow_execution_update_accepted_event_attributes")]
                if len(accepted) >= claims:
                    return found
            await asyncio.sleep(0.05)
        raise AssertionError("there is no such effect")

    @contextlib.asynccontextmanager
    async def worker(self, effects: bool = True, **options: Any) -> AsyncGenerator[None]:
        """Another worker, on a connection of its own; without `effects` it performs none."""
        address = self.runtime.client.service_client.config.target_host
        client = await connect(target_host=address, namespace=self.runtime.client.namespace)
        app = application(self.runtime.settings)
        if effects:
            async with serving(app, client, **options):
                yield
            return
        reports = BreakerReports(client, (), app.settings.task_queue)
        runs, *_ = workers(app, client, InForce(), reports, WorkerConfig(**options))
        try:
            async with runs:
                yield
        finally:
            await app.catalog.close()

    async def kill(self, handle: WorkflowHandle[Any, Any], seconds: float = 5) -> list[str]:
        """Kills a run, which closes within some seconds; returns how its calls ended."""
        began = time.monotonic()
        await handle.execute_update("kill", {"by": "olga", "reason": "enough"})
        result = await asyncio.wait_for(handle.result(), PATIENCE)
        assert time.monotonic() - began < seconds
        return [flight["outcome"] for flight in result["in_flight"]]

    async def answered(self, handle: WorkflowHandle[Any, Any], answer: str) -> list[str]:
        """Answers for a call of unknown outcome; returns the results of the run's calls."""
        while not (asked := (await handle.query("status"))["pending_approvals"]):
            await asyncio.sleep(0.05)
        said = {"approval_id": asked[0]["approval_id"], "by": "olga", "answer": answer}
        await handle.execute_update("answer", said)
        return await self.results(handle)

    async def stopped(self, *calls: tuple[str, dict[str, Any]]) -> str:
        """Starts a run; returns the reason why it stops."""
        return (await asyncio.wait_for((await self.start(*calls)).result(), PATIENCE))["stop_reason"]

    @contextlib.asynccontextmanager
    async def worker_process(self) -> AsyncGenerator[None]:
        """A worker in a process of its own, which is killed at the end."""
        settings = self.runtime.settings
        environment = {
            **os.environ,
            "TEMPORAL_ADDRESS": self.runtime.client.service_client.config.target_host,
            "BACKSTAY_AGENTS": str(self.folder.parent),
            "BACKSTAY_TASK_QUEUE": settings.task_queue,
            "BACKSTAY_MODEL_PRICE": "input=0.25,cached_input=0.025,output=2.00",
            "OPENAI_BASE_URL": str(settings.openai_base_url),
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "backstay", "worker", env=environment, stdout=asyncio.subprocess.DEVNULL
        )
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def turn(request: Request) -> Reply:
    """The calls that the goal spells."""
    return Reply(calls=[Call(tool, args) for tool, args in json.loads(request.goal)])


async def replay(shop: Shop) -> None:
    """Every effect of a shop replays to the same decisions, and none of its workflow tasks has failed."""
    replayer = Replayer(
        workflows=[folders.effect.Effect],
        workflow_runner=sandbox(checked=True),
        data_converter=data_converter(),
    )
    for one in await shop.effects():
        history = await shop.runtime.client.get_workflow_handle(one.id, run_id=one.run_id).fetch_history()
        assert all(event.event_type != EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED for event in history.events)
        replayed = await replayer.replay_workflow(history, raise_on_replay_failure=False)
        assert replayed.replay_failure is None


Opener = Callable[..., AbstractAsyncContextManager[Shop]]


@pytest.fixture
def opened(client: Client, agent_folder: Callable[..., Path]) -> Opener:
    """Opens a shop."""

    @contextlib.asynccontextmanager
    async def open_shop(toml: str = TOML, **settings: Any) -> AsyncGenerator[Shop]:
        agents = agent_folder("clerk", toml, TOOLS.read_text())
        async with local_runtime([turn, Reply("done")], agents=agents, client=client, **settings) as runtime:
            shop = Shop(runtime, agents / "clerk")
            yield shop
            await replay(shop)

    return open_shop
