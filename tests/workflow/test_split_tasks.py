"""A worker that has a run in no memory takes it over, wherever the tasks of its workflow were split."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import ActivityTaskScheduledEventAttributes
from temporalio.client import Client, WorkflowHandle

from backstay.contracts.names import AGENT_RUN
from backstay.testing import Call, Reply
from backstay.testing.runtime import local_runtime

TOML = '[approval]\nrequire = { pay = "finance" }\ngroups = { finance = ["alice"] }\n'
RULE = '@id("abroad") forbid(principal, action == Action::"pay", resource) unless { context.facts.country == "DE" };\n'
TOOLS = """
import time
from backstay.tools import tool

def country(amount):
    time.sleep({seconds})
    return "DE"

@tool(effect="write", facts={{"country": ("String", country)}})
def pay(amount: int) -> str:
    \"\"\"Pays.\"\"\"
    return "paid"
"""
TASK = timedelta(seconds=1)
"""The time limit of a task: policy takes nearly as long."""


async def asked(handle: WorkflowHandle[Any, Any], calls: int) -> None:
    async with asyncio.timeout(60):
        while len((await handle.query("status"))["pending_approvals"]) != calls:
            await asyncio.sleep(0.2)


@pytest.mark.parametrize("calls", [1, 2])
async def test_verdicts_that_outlast_a_task_are_replayed_as_they_were(
    client: Client, agent_folder: Callable[..., Path], calls: int
) -> None:
    agents = agent_folder(toml=TOML, tools=TOOLS.format(seconds=0.8 / calls))
    (agents / "clerk" / "policy.cedar").write_text(RULE)
    script = [Reply(calls=[Call("pay", {"amount": number}) for number in range(calls)]), Reply("done")]
    async with local_runtime(script, agents=agents, client=client, worker=False) as runtime:
        queue, run_id = runtime.settings.task_queue, f"split-{runtime.settings.task_queue}"
        async with runtime.serving():
            handle = await client.start_workflow(
                AGENT_RUN, {"goal": "pay", "agent": "clerk"}, id=run_id, task_queue=queue, task_timeout=TASK
            )
            await asked(handle, calls)
        async with runtime.serving():
            await asked(handle, calls)
            await handle.execute_update("kill", {"by": "olga", "reason": "enough"})
            assert (await asyncio.wait_for(handle.result(), 60))["stop_reason"] == "killed"


async def test_a_run_that_is_killed_while_policy_judges_gets_no_verdict(
    client: Client, agent_folder: Callable[..., Path]
) -> None:
    agents = agent_folder(toml=TOML, tools=TOOLS.format(seconds=2))
    (agents / "clerk" / "policy.cedar").write_text(RULE)
    script = [Reply(calls=[Call("pay", {"amount": 7})]), Reply("done")]
    async with local_runtime(script, agents=agents, client=client) as runtime:
        handle = await runtime.start({"goal": "pay", "agent": "clerk"}, f"judged-{runtime.settings.task_queue}")
        async with asyncio.timeout(60):
            while "authorize-1-0" not in [one.activity_id async for one in scheduled(handle)]:
                await asyncio.sleep(0.1)
        await handle.execute_update("kill", {"by": "olga", "reason": "enough"})
        result = await asyncio.wait_for(handle.result(), 60)
        events = [one["event"] for one in (await handle.query("audit"))["items"]]
    assert (result["stop_reason"], result["in_flight"]) == ("killed", [])
    assert events[-3:] == ["decided", "killed", "closed"]


async def scheduled(handle: WorkflowHandle[Any, Any]) -> AsyncGenerator[ActivityTaskScheduledEventAttributes]:
    async for event in handle.fetch_history_events():
        if event.HasField("activity_task_scheduled_event_attributes"):
            yield event.activity_task_scheduled_event_attributes


async def test_a_run_takes_down_in_its_first_task_all_that_it_knows(
    client: Client, agent_folder: Callable[..., Path]
) -> None:
    agents = agent_folder(toml=TOML, tools=TOOLS.format(seconds=0))
    async with local_runtime([Reply("done")], agents=agents, client=client) as runtime:
        queue = runtime.settings.task_queue
        given = {"goal": "pay", "agent": "clerk"}
        handle = await client.start_workflow(AGENT_RUN, given, id=f"known-{queue}", task_queue=queue)
        await handle.result()
        history = await handle.fetch_history()
    kinds = [event.event_type for event in history.events]
    scheduled = kinds.index(EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)
    assert kinds[:scheduled].count(EventType.EVENT_TYPE_MARKER_RECORDED) == 1
