"""A worker's copy of what is in force: soon after a change, never older than it says, closed where there is none."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from backstay.adapters.engine import control
from backstay.adapters.engine.control import OLDEST_SECONDS, ControlCopy
from backstay.app import folders
from backstay.contracts import names
from backstay.kernel.control import Stage
from backstay.kernel.scope import Subject

CALL = Subject("run-1", "clerk", "acme", tool="pay")
WHO = {"by": "olga@example.com", "reason": "it pays twice"}
STOP = {**WHO, "incident_id": "i1", "scope": "all"}
PATIENCE = 30.0


@pytest.fixture
def ages(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The ages that copies tell as a metric."""
    told: list[float] = []
    monkeypatch.setattr(control, "gauge", lambda *_: told.append)
    return told


@pytest.fixture
async def copy(client: Client, monkeypatch: pytest.MonkeyPatch, ages: list[float]) -> AsyncGenerator[ControlCopy]:
    """A copy of a control plane of its own."""
    one = f"control-{uuid.uuid4()}"
    monkeypatch.setattr(names, "CONTROL_ID", one)
    monkeypatch.setattr(names, "CONTROL_QUEUE", one)
    kept = ControlCopy(client)
    async with kept.kept():
        yield kept
    with contextlib.suppress(Exception):
        await plane(client).terminate()


@contextlib.asynccontextmanager
async def serving(client: Client) -> AsyncGenerator[None]:
    runner = UnsandboxedWorkflowRunner()
    workflows = [folders.control_plane.ControlPlane]
    async with Worker(client, task_queue=names.CONTROL_QUEUE, workflows=workflows, workflow_runner=runner):
        yield


def plane(client: Client) -> WorkflowHandle[Any, Any]:
    return client.get_workflow_handle(names.CONTROL_ID)


def open_stages(copy: ControlCopy) -> list[Stage]:
    return [stage for stage in Stage if copy.holds(stage, CALL) is None]


async def until(holds: Callable[[], bool]) -> float:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < PATIENCE, "the condition did not come to hold"
        await asyncio.sleep(0.01)
    return time.monotonic() - began


async def test_who_finds_none_starts_one_that_holds_nothing_even_before_a_worker_serves_it(copy: ControlCopy) -> None:
    assert open_stages(copy) == list(Stage)
    assert copy.age < OLDEST_SECONDS


async def test_a_stop_reaches_the_copy_long_before_it_is_asked_for_again(client: Client, copy: ControlCopy) -> None:
    async with serving(client):
        await plane(client).execute_update(names.LIMIT, {**WHO, "tenant": "acme", "runs": 1})  # the link is followed
        await asyncio.sleep(0.1)
        await plane(client).execute_update(names.STOP, STOP)
        assert await until(lambda: open_stages(copy) == []) < 5
        await plane(client).execute_update(names.LIFT, {**WHO, "incident_id": "i1"})
        await until(lambda: open_stages(copy) == list(Stage))
        await plane(client).execute_update(names.BLOCK, {**WHO, "tool": "pay"})
        await until(lambda: copy.blocked(CALL) is not None)


async def test_one_that_is_terminated_comes_back_closed_with_what_was_known(client: Client, copy: ControlCopy) -> None:
    async with serving(client):
        await plane(client).execute_update(names.STOP, STOP)
        await plane(client).execute_update(names.LIFT, {**WHO, "incident_id": "i1", "stage": "models"})
        await until(lambda: open_stages(copy) == [Stage.READS, Stage.MODELS])
        await plane(client).terminate()
        await until(lambda: open_stages(copy) == [Stage.READS])
        assert copy.fresh
        assert copy.trouble is not None
        assert copy.trouble.endswith("then run `backstay control confirm --reason WHY`")
        await plane(client).terminate()  # once more: what was known is not lost with the second
        await asyncio.sleep(2 * OLDEST_SECONDS)
        await plane(client).execute_update(names.CONFIRM, WHO)
        await until(lambda: open_stages(copy) == [Stage.READS, Stage.MODELS])
        assert copy.trouble is None


async def test_a_copy_that_cannot_be_asked_for_holds_all_but_reads(
    client: Client,
    copy: ControlCopy,
    ages: list[float],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def silent(*_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(control, "find", silent)
        waited = await until(lambda: open_stages(copy) == [Stage.READS])
        assert waited < OLDEST_SECONDS + 1
        assert copy.trouble == "its copy of the control plane is too old, so that effects and new decisions wait"
        await until(lambda: ages[-1] > OLDEST_SECONDS)
