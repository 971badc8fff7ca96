"""What a run tells of itself is the same when another worker tells it from the history alone."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner

from backstay.app import folders
from backstay.client.trails import trails_of
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

TOML = '[approval]\nrequire = { pay = "finance" }\ngroups = { finance = ["alice"] }\n'
TOOLS = '''
import time
from backstay.tools import tool

@tool(effect="read")
def rest(seconds: float) -> str:
    """Takes a while."""
    time.sleep(seconds)
    return "rested"

@tool(effect="write")
def pay(amount: int) -> str:
    """Pays."""
    return "paid"
'''


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run that waits for an approval, while no worker serves it."""

    runtime: LocalRuntime
    handle: WorkflowHandle[Any, Any]
    vote: dict[str, str]


@pytest.fixture
async def waiting(client: Client, agent_folder: Callable[..., Path]) -> AsyncGenerator[Waiting]:
    agents = agent_folder(toml=TOML, tools=TOOLS)
    calls = [Call("pay", {"amount": 7}), Call("rest", {"seconds": 0.2}), Call("rest", {"seconds": 0.8})]
    script = [Reply(calls=calls), Reply("done")]
    async with local_runtime(script, agents=agents, client=client, worker=False) as runtime:
        async with runtime.serving():
            handle = await runtime.start({"goal": "pay", "agent": "clerk"}, f"told-{runtime.settings.task_queue}")
            async with asyncio.timeout(60):
                while [one["event"] for one in (await handle.query("audit"))["items"]].count("call_ended") < 2:
                    await asyncio.sleep(0.1)
            pending = (await handle.query("status"))["pending_approvals"]
        yield Waiting(runtime, handle, {"approval_id": pending[0]["approval_id"], "by": "alice"})


@contextlib.asynccontextmanager
async def asked_for_long(waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[None]:
    """A worker that takes its time to say where the run stands; it is asked with the run's next task."""
    with monkeypatch.context() as patched:
        patched.setattr(folders.agent_run, "wall_clock", slow_clock)
        question = asyncio.create_task(waiting.handle.query("status"))
        await asyncio.sleep(0.2)
        # Inside of the sandbox the clock is what it is elsewhere.
        async with waiting.runtime.serving(workflow_runner=UnsandboxedWorkflowRunner()):
            yield
            await question


def slow_clock() -> datetime:
    time.sleep(0.5)
    return datetime.now(UTC)


async def test_the_records_of_a_run_lead_to_its_head_though_somebody_asked_while_policy_judged(
    client: Client, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    await waiting.handle.signal("approve", waiting.vote)
    async with asked_for_long(waiting, monkeypatch):
        head = (await asyncio.wait_for(waiting.handle.result(), 60))["audit"]["head"]
    async with waiting.runtime.serving():
        [trail] = await trails_of(client, waiting.handle.id)
    assert trail.head.head == head


async def test_the_records_of_a_run_lead_to_its_head_though_it_was_taken_over_when_nothing_was_left_to_do(
    client: Client, waiting: Waiting
) -> None:
    async with waiting.runtime.serving():
        await waiting.handle.execute_update("approve", waiting.vote)
        head = (await asyncio.wait_for(waiting.handle.result(), 60))["audit"]["head"]
    async with waiting.runtime.serving():
        [trail] = await trails_of(client, waiting.handle.id)
    assert trail.head.head == head


async def test_a_run_that_was_paused_while_policy_judged_is_taken_over(
    waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    await waiting.handle.signal("approve", waiting.vote)
    async with asked_for_long(waiting, monkeypatch):
        await asyncio.sleep(0.3)
        await waiting.handle.signal("pause", {"by": "olga"})
        await paused(waiting.handle)
    async with waiting.runtime.serving():
        await paused(waiting.handle)
        await waiting.handle.signal("resume", {"by": "olga"})
        assert (await asyncio.wait_for(waiting.handle.result(), 60))["answer"] == "done"


async def paused(handle: WorkflowHandle[Any, Any]) -> None:
    async with asyncio.timeout(30):
        while (await handle.query("status"))["state"] != "paused":
            await asyncio.sleep(0.1)
