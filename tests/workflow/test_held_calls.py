"""A stop that comes between two attempts at a call: the call waits, whatever time the stop takes, and is made once."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backstay.contracts import names
from backstay.testing import Call, Reply
from workflows import effect, options

from .conftest import Opener, Workshop

if TYPE_CHECKING:
    from temporalio.client import WorkflowHandle

    Handle = WorkflowHandle[Any, Any]

ATTEMPTS = 3
PAUSE = timedelta(milliseconds=500)
LONGER_THAN_ALL_ATTEMPTS = 5.0
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
