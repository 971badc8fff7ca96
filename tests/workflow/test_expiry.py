"""A day of waiting for people, on a server that skips time: an expiry is a durable timer, and never early."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.testing import WorkflowEnvironment

from backstay.adapters.engine.dev_server import temporal_binary
from backstay.adapters.payload.converter import data_converter
from backstay.contracts.names import AGENT_RUN, NOTIFY
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

TOOLS = '''
from pathlib import Path
from backstay.tools import tool

@tool(effect="write")
def pay(amount: int) -> str:
    """Pays."""
    with Path(__file__).with_name("done.txt").open("a") as file:
        file.write(f"{amount}\\n")
    return f"paid {amount}"
'''
TOML = """
[budget]
seconds = 200_000
[approval]
require = { pay = "finance" }
groups = { finance = ["alice"] }
"""
SCRIPT = {"pay": [Reply(calls=[Call("pay", {"amount": 5})]), Reply("done")]}
REQUEST = {"goal": "pay", "agent": "clerk"}


@pytest_asyncio.fixture
async def skipping() -> AsyncIterator[WorkflowEnvironment]:
    """A server of the test's own that skips time where a run only waits."""
    async with await WorkflowEnvironment.start_time_skipping_v2(
        dev_server_existing_path=temporal_binary(),
        data_converter=data_converter(),
        dev_server_extra_args=["--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"],
    ) as environment:
        yield environment


async def asked(handle: WorkflowHandle[Any, Any]) -> dict[str, Any]:
    """The one open approval, once it is there."""
    async with asyncio.timeout(30):
        while not (pending := (await handle.query("status"))["pending_approvals"]):
            await asyncio.sleep(0.05)
    return pending[0]


async def started(skipping: WorkflowEnvironment, runtime: LocalRuntime) -> tuple[WorkflowHandle[Any, Any], str]:
    """A run that waits for its approval on real time, until the test moves its clock."""
    with skipping.with_time_skipping_disabled():
        handle = await runtime.start(REQUEST)
    return handle, (await asked(handle))["approval_id"]


async def test_after_23_of_24_hours_a_yes_still_releases_the_call(
    skipping: WorkflowEnvironment, agent_folder: Callable[..., Path]
) -> None:
    agents = agent_folder(toml=TOML, tools=TOOLS)
    async with local_runtime(SCRIPT, agents=agents, client=skipping.client, search_attributes=False) as runtime:
        handle, approval_id = await started(skipping, runtime)
        assert await skipping.fast_forward(handle, timedelta(hours=23))
        answer = await handle.execute_update("approve", {"approval_id": approval_id, "by": "alice"})
        result = await handle.result()
    assert answer["state"] == "closed"
    assert (result["status"], (agents / "clerk" / "done.txt").read_text()) == ("completed", "5\n")
    assert result["spent"]["seconds"] < 3600, "waiting for people does not use up the run's seconds"


async def test_after_24_hours_the_call_is_refused_and_a_yes_comes_too_late(
    skipping: WorkflowEnvironment, agent_folder: Callable[..., Path]
) -> None:
    agents = agent_folder(toml=TOML, tools=TOOLS)
    script = {"pay": [*SCRIPT["pay"][:1], *SCRIPT["pay"]]}
    async with local_runtime(script, agents=agents, client=skipping.client, search_attributes=False) as runtime:
        handle, approval_id = await started(skipping, runtime)
        assert await skipping.fast_forward(handle, timedelta(hours=24, seconds=1))
        again = (await asked(handle))["approval_id"]
        assert again != approval_id
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update("approve", {"approval_id": approval_id, "by": "alice"})
        assert not (agents / "clerk" / "done.txt").exists()
        await handle.execute_update("deny", {"approval_id": again, "by": "alice"})
        result = await handle.result()
        assert "before the approval expired" in runtime.model.requests[1].raw.decode()
    assert (result["status"], result["spent"]["tool_calls"]) == ("completed", 0)


COUNTED = "[budget]\nseconds_exclude_approvals = false\nseconds = 200_000\n"
LONG = '[approval]\nexpires_after = "50h"\n'


@pytest.mark.parametrize(
    ("more", "seconds", "stop_reason", "shown", "hours"),
    [
        ('[approval]\non_expiry = "stop"\n', None, "approval_expired", 24, 24),
        (COUNTED + LONG, 7200, "deadline_exceeded", 2, 2),
        (LONG + 'on_expiry = "stop"\n', 60, "approval_expired", 50, 50),
        (LONG + 'wait_at_most = "60h"\n', None, "approval_expired", 50, 60),
    ],
    ids=["the agent says stop", "the deadline comes first", "the deadline leaves waiting out", "all waiting ends"],
)
async def test_what_ends_a_run_that_nobody_answers(
    skipping: WorkflowEnvironment,
    agent_folder: Callable[..., Path],
    more: str,
    seconds: int | None,
    stop_reason: str,
    shown: int,
    hours: int,
) -> None:
    approval = TOML.partition("[approval]\n")[2]
    toml = more + approval if "[approval]" in more else more + "[approval]\n" + approval
    agents = agent_folder(toml=toml, tools=TOOLS)
    script = {"pay": [*SCRIPT["pay"][:1] * 3]}
    request = {**REQUEST, "budget": {"seconds": seconds}} if seconds else REQUEST
    async with local_runtime(script, agents=agents, client=skipping.client, search_attributes=False) as runtime:
        handle = await runtime.start(request)
        result = await asyncio.wait_for(handle.result(), 60)
        closed = await handle.describe()
        records = (await handle.query("audit"))["items"]
    assert result["stop_reason"] == stop_reason
    assert closed.close_time is not None
    assert int((closed.close_time - closed.start_time) / timedelta(hours=1)) == hours
    first = next(one["facts"]["approval"] for one in records if one["event"] == "approval_opened")
    assert round((first["expires_at_ms"] - first["requested_at_ms"]) / 3_600_000, 2) == shown
    assert result["spent"]["seconds"] <= result["budget"]["seconds"]


@pytest_asyncio.fixture
async def hook() -> AsyncIterator[tuple[str, list[str]]]:
    """A web address that takes notices, and the events that it was told."""
    told: list[str] = []

    async def take(request: web.Request) -> web.Response:
        told.append((await request.json())["event"])
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook", told
    await runner.cleanup()


@pytest.mark.parametrize(
    ("budget", "expires_after", "minutes"),
    [("", "10h", 9 * 60), ("[budget]\nseconds_exclude_approvals = false\nseconds = 7200\n", "2h", 54)],
    ids=["its own time", "the deadline"],
)
async def test_people_are_reminded_in_the_last_tenth_of_the_time_that_they_were_shown(
    skipping: WorkflowEnvironment,
    agent_folder: Callable[..., Path],
    hook: tuple[str, list[str]],
    budget: str,
    expires_after: str,
    minutes: int,
) -> None:
    address, told = hook
    approval = f'{TOML.partition("200_000")[2]}expires_after = "{expires_after}"\nnotify = "{address}"\n'
    agents = agent_folder(toml=budget + approval, tools=TOOLS)
    request = {**REQUEST, "budget": {"seconds": 3600}} if budget else REQUEST
    async with local_runtime(
        SCRIPT, agents=agents, client=skipping.client, search_attributes=False, webhook_secret="long-secret"
    ) as runtime:
        handle = await runtime.start(request)
        await asyncio.wait_for(handle.result(), 60)
        history = await handle.fetch_history()
    assert told[:2] == ["opened", "expiring"]
    sent = [
        event.event_time.ToDatetime()
        for event in history.events
        if event.activity_task_scheduled_event_attributes.activity_type.name == NOTIFY
    ]
    assert round((sent[1] - sent[0]) / timedelta(minutes=1)) == minutes


async def test_an_approval_shows_the_end_that_the_engine_sets_to_the_run(
    client: Client, agent_folder: Callable[..., Path]
) -> None:
    agents = agent_folder(toml=TOML, tools=TOOLS)
    async with local_runtime(SCRIPT, agents=agents, client=client) as runtime:
        handle = await client.start_workflow(
            AGENT_RUN,
            REQUEST,
            id=f"run-{uuid.uuid4()}",
            task_queue=runtime.settings.task_queue,
            execution_timeout=timedelta(minutes=10),
        )
        asking = await asked(handle)
        started = (await handle.describe()).start_time
        await handle.signal("kill")
    assert datetime.fromisoformat(asking["expires_at"]) - started <= timedelta(minutes=10)


async def test_a_call_counts_in_the_minute_in_which_it_is_executed(
    skipping: WorkflowEnvironment, agent_folder: Callable[..., Path]
) -> None:
    toml = TOML.replace("[approval]", "tools = { pay = { per_minute = 1 } }\n[approval]")
    agents = agent_folder(toml=toml, tools=TOOLS)
    script = {"pay": [*(Reply(calls=[Call("pay", {"amount": amount})]) for amount in (5, 6)), Reply("done")]}
    async with local_runtime(script, agents=agents, client=skipping.client, search_attributes=False) as runtime:
        handle, approval_id = await started(skipping, runtime)
        assert await skipping.fast_forward(handle, timedelta(seconds=70))
        await handle.execute_update("approve", {"approval_id": approval_id, "by": "alice"})
        result = await asyncio.wait_for(handle.result(), 60)
    assert (result["stop_reason"], result["stop_detail"]) == ("budget_exhausted", "tool:pay:per_minute")
    assert (agents / "clerk" / "done.txt").read_text() == "5\n"
