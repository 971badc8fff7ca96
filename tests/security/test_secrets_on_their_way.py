"""Payloads that somebody else writes for our activities count for nothing, and readers of a history find no secret."""

import asyncio
import base64
import logging
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.workflowservice.v1 import RespondActivityTaskCompletedByIdRequest
from temporalio.client import Client, WorkflowHandle

from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

TOOLS = '''
import asyncio
from backstay.tools import tool

@tool(effect="once")
async def pay(seconds: float) -> str:
    """Pays."""
    await asyncio.sleep(seconds)
    return "paid"
'''
KEYS: dict[str, Any] = {"codec_keys": "2026a:" + base64.b64encode(os.urandom(32)).decode()}
TOKEN = "T0KEN-of-the-hook-93d1"
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"status": "completed", "text": "paid"}')


def script(seconds: float) -> list[Reply]:
    return [Reply(calls=[Call("pay", {"seconds": seconds})]), Reply("done")]


async def acted(client: Client, run_id: str) -> Payload:
    """The result of a run's call, as the engine keeps it."""
    scheduled = 0
    async for event in client.get_workflow_handle(run_id).fetch_history_events():
        if event.activity_task_scheduled_event_attributes.activity_type.name == "act":
            scheduled = event.event_id
        done = event.activity_task_completed_event_attributes
        if scheduled and done.scheduled_event_id == scheduled:
            return done.result.payloads[0]
    raise LookupError("the run called no tool")


async def completed_by_hand(client: Client, handle: WorkflowHandle[Any, Any], result: Payload) -> None:
    """Completes the call of a run that is under way with somebody's own payload."""
    async with asyncio.timeout(20):
        while not (pending := (await handle.describe()).raw_description.pending_activities) or (
            pending[0].activity_type.name != "act"
        ):
            await asyncio.sleep(0.05)
    await client.workflow_service.respond_activity_task_completed_by_id(
        RespondActivityTaskCompletedByIdRequest(
            namespace=client.namespace,
            workflow_id=handle.id,
            activity_id=pending[0].activity_id,
            result=Payloads(payloads=[result]),
        )
    )


@pytest.fixture
async def zone(client: Client, agent_folder: Callable[..., Path]) -> AsyncIterator[LocalRuntime]:
    """A strict worker with keys."""
    scripts = {"first": script(0), "second": script(5), "third": script(5)}
    agents = agent_folder(tools=TOOLS)
    async with local_runtime(scripts, agents=agents, client=client, codec_strict=True, **KEYS) as runtime:
        yield runtime


async def test_a_result_that_somebody_wrote_or_moved_is_a_lost_answer_and_never_ours(
    client: Client, zone: LocalRuntime
) -> None:
    first = await zone.start({"goal": "first", "agent": "clerk"})
    assert (await asyncio.wait_for(first.result(), 30))["status"] == "completed"
    moved = await acted(client, first.id)
    for goal, forged in (("second", PLAIN), ("third", moved)):
        handle = await zone.start({"goal": goal, "agent": "clerk"})
        await completed_by_hand(client, handle, forged)
        result = await asyncio.wait_for(handle.result(), 30)
        assert (result["status"], result["stop_reason"]) == ("stopped", "outcome_unknown"), goal


@pytest.mark.parametrize("written", ["plain", "reference"])
async def test_the_address_of_a_webhook_is_in_no_history_log_or_failure(
    client: Client,
    agent_folder: Callable[..., Path],
    written: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    refused = asyncio.Event()

    async def refuse(_: web.Request) -> web.Response:
        refused.set()
        return web.Response(status=500)

    app = web.Application()
    app.router.add_post(f"/services/{TOKEN}", refuse)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}/services/{TOKEN}"
    monkeypatch.setenv("APPROVALS_WEBHOOK", address)
    notify = address if written == "plain" else "secret:APPROVALS_WEBHOOK"
    toml = f'[approval]\nrequire = {{ pay = "finance" }}\ngroups = {{ finance = ["alice"] }}\nnotify = "{notify}"\n'
    agents = agent_folder(toml=toml, tools=TOOLS)
    async with local_runtime(script(0), agents=agents, client=client, webhook_secret="long-secret") as runtime:
        handle = await runtime.start({"goal": "pay", "agent": "clerk"})
        await asyncio.wait_for(refused.wait(), 30)
        async with asyncio.timeout(20):
            while b"answers 500" not in (kept := (await handle.describe()).raw_description.SerializeToString()):
                await asyncio.sleep(0.05)
        events = [event.SerializeToString() async for event in handle.fetch_history_events()]
        await handle.terminate()
    await runner.cleanup()
    assert TOKEN.encode() not in b"".join([kept, *events])
    assert TOKEN not in caplog.text
