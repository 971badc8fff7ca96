"""A stop that comes between two attempts at a call: the call waits, whatever time the stop takes, and is made once."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backstay.contracts import names
from backstay.testing import Call, Reply
from backstay.testing.runtime import local_runtime
from workflows import effect, options

from .conftest import Opener, Workshop

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from temporalio.client import Client, WorkflowHandle

    Handle = WorkflowHandle[Any, Any]

ATTEMPTS = 3
PAUSE = timedelta(milliseconds=500)
LONGER_THAN_ALL_ATTEMPTS = 5.0
COPY_SECONDS = 2.5
LONGER_THAN_IT_LOOKS_FOR_WORKERS = 7.0
TOOLS = '''

@tool(effect="write", timeout="2s"{dedupe})
async def pay(call: ToolCall, order: str) -> str:
    """Pays, once the bank is open."""
    log(call, call.idempotency_key)
    while not is_open(call, "bank"):
        await asyncio.sleep(0.02)
    log(call, "paid")
    return "paid"
'''
WHO = {"by": "olga@example.com", "reason": "it pays twice"}
SHARES = ', dedupe="tenant"'
SHARED = pytest.mark.parametrize("dedupe", ["", SHARES], ids=["own", "shared"])


@pytest.fixture(autouse=True)
def few_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves a write three attempts, half a second apart."""
    monkeypatch.setattr(options, "WRITE_ATTEMPTS", ATTEMPTS)
    monkeypatch.setattr(options, "CLAIM_ATTEMPTS", ATTEMPTS)
    monkeypatch.setattr(options, "LONGEST_INTERVAL", PAUSE)


async def begun(shop: Workshop, plane: Handle) -> Handle:
    """A run with a call under way, whose tool is stopped before the first attempt ends without an answer."""
    run = await shop.start()
    await shop.until(shop.lines)
    await plane.execute_update(names.STOP, {**WHO, "incident_id": "i1", "scope": "tool:pay"})
    await asyncio.sleep(LONGER_THAN_ALL_ATTEMPTS)
    return run


def script() -> list[Reply]:
    return [Reply(calls=[Call("pay", {"order": uuid.uuid4().hex})]), Reply("done")]


@SHARED
async def test_a_call_waits_out_a_stop_that_lasts_longer_than_all_its_attempts_would(
    workshop: Opener, plane: Handle, dedupe: str
) -> None:
    async with workshop(script(), tools=TOOLS.format(dedupe=dedupe)) as shop:
        run = await begun(shop, plane)
        shop.open("bank")
        assert len(shop.lines()) == 1
        await plane.execute_update(names.LIFT, {**WHO, "incident_id": "i1"})
        assert (await shop.result(run)).stop_reason == "completed"
        *tried, last = shop.lines()
        assert (len(tried), len(set(tried)), last) == (2, 1, "paid")


async def test_a_shared_call_looks_ever_less_often_whether_a_long_stop_is_over(
    workshop: Opener, plane: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effect, "SERVED_PAUSE", timedelta(milliseconds=100))
    async with workshop(script(), tools=TOOLS.format(dedupe=SHARES)) as shop:
        run = await begun(shop, plane)
        client, queue = shop.runtime.client, shop.runtime.settings.task_queue
        [shared] = [one async for one in client.list_workflows(f"WorkflowType = 'Effect' AND TaskQueue = '{queue}'")]
        events = client.get_workflow_handle(shared.id).fetch_history_events()
        looks = [one async for one in events if one.HasField("activity_task_scheduled_event_attributes")]
        shop.open("bank")
        await plane.execute_update(names.LIFT, {**WHO, "incident_id": "i1"})
        assert (await shop.result(run)).stop_reason == "completed"
    assert 2 <= len(looks) <= 15


@SHARED
async def test_nobody_knows_what_became_of_a_call_that_is_killed_while_a_stop_holds_it(
    workshop: Opener, plane: Handle, dedupe: str
) -> None:
    async with workshop(script(), tools=TOOLS.format(dedupe=dedupe)) as shop:
        run = await begun(shop, plane)
        assert await shop.state(run) == "running"
        await run.execute_update("kill", {"by": "olga"})
        result = await shop.result(run)
        assert (result.stop_reason, [one.outcome for one in result.in_flight]) == ("killed", ["unknown"])


CLERK = '[model]\ngive_up_after = "6s"\n'
PAY = '''
from backstay.tools import tool

@tool(effect="write")
def pay(order: str) -> str:
    """Pays."""
    return "paid"
'''


async def test_the_time_of_a_stop_is_no_time_without_a_worker(
    client: Client, plane: Handle, agent_folder: Callable[..., Path]
) -> None:
    agents = agent_folder(toml=CLERK, tools=PAY)
    agent_folder("other")

    async def trouble(run: Handle, words: str) -> None:
        async with asyncio.timeout(30):
            while words not in ((await run.query("status"))["trouble"] or ""):
                await asyncio.sleep(0.1)

    async with local_runtime(script(), agents=agents, client=client, worker=False) as runtime:
        async with runtime.serving():
            await plane.execute_update(names.STOP, {**WHO, "incident_id": "i1", "scope": "tool:pay"})
            await asyncio.sleep(COPY_SECONDS)
            run = await runtime.start({"goal": "pay", "agent": "clerk"})
            await trouble(run, "is stopped by")
            await asyncio.sleep(LONGER_THAN_IT_LOOKS_FOR_WORKERS)
        (agents / "clerk").rename(agents / "renamed")
        async with runtime.serving():
            await plane.execute_update(names.LIFT, {**WHO, "incident_id": "i1"})
            await trouble(run, "does not serve the agent")
        (agents / "renamed").rename(agents / "clerk")
        async with runtime.serving():
            assert (await asyncio.wait_for(run.result(), 30))["status"] == "completed"
