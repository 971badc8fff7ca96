"""The engine's ways of repeating a workflow: schedules start a run each, retries and cron are refused."""

import asyncio
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleSpec,
    WorkflowContinuedAsNewError,
    WorkflowFailureError,
)
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

from backstay.contracts.names import AGENT_RUN, EFFECT
from backstay.testing import Call, Reply
from backstay.testing.runtime import local_runtime

TOOLS = '''
from pathlib import Path
from backstay.tools import ToolCall, tool

@tool(effect="write")
def pay(call: ToolCall) -> str:
    """Pays."""
    with Path(__file__).with_name("keys.txt").open("a") as file:
        file.write(f"{call.idempotency_key}\\n")
    return "paid"
'''
REQUEST = {"goal": "pay", "agent": "clerk"}


async def refusal(handle: Any) -> ApplicationError:
    """The error that the last attempt of a start ends with."""
    with pytest.raises((WorkflowFailureError, WorkflowContinuedAsNewError)) as failed:
        await asyncio.wait_for(handle.result(), 40)
    cause = failed.value.__cause__
    assert isinstance(cause, ApplicationError)
    return cause


async def test_a_second_attempt_by_the_callers_retry_policy_spends_nothing(client: Client) -> None:
    async with local_runtime([Reply("late", delay=30)], client=client) as runtime:
        handle = await client.start_workflow(
            AGENT_RUN,
            {"goal": "wait", "budget": {"model_calls": 1}},
            id=f"retried-{uuid.uuid4()}",
            task_queue=runtime.settings.task_queue,
            run_timeout=timedelta(seconds=3),
            retry_policy=RetryPolicy(maximum_attempts=3, initial_interval=timedelta(milliseconds=100)),
        )
        error = await refusal(handle)
        assert (error.type, [one["field"] for one in error.details[0]]) == ("InvalidInput", ["retry_policy"])
        assert len(runtime.model.requests) == 1


@pytest.mark.parametrize("workflow", [AGENT_RUN, EFFECT])
async def test_a_cron_start_is_refused_with_what_to_use_instead(client: Client, workflow: str) -> None:
    async with local_runtime([Reply("done")], client=client) as runtime:
        handle = await client.start_workflow(
            workflow,
            {"goal": "again and again"},
            id=f"cron-{uuid.uuid4()}",
            task_queue=runtime.settings.task_queue,
            cron_schedule="@every 1s",
        )
        first = client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)
        try:
            history = [event async for event in first.fetch_history_events(wait_new_event=True)]
        finally:
            await handle.terminate("the test is over")
        failed = history[-1].workflow_execution_failed_event_attributes.failure
        assert failed.application_failure_info.type == "InvalidInput"
        assert "Temporal Schedule" in failed.message
        assert runtime.model.requests == []


async def test_a_schedule_starts_a_run_of_its_own_each_time(client: Client, agent_folder: Callable[..., Path]) -> None:
    agents = agent_folder(tools=TOOLS)
    script = [Reply(calls=[Call("pay")]), Reply("done")]
    async with local_runtime([*script, *script], agents=agents, client=client) as runtime:
        action = ScheduleActionStartWorkflow(
            AGENT_RUN, REQUEST, id=f"nightly-{uuid.uuid4()}", task_queue=runtime.settings.task_queue
        )
        schedule = await client.create_schedule(f"pay-{uuid.uuid4()}", Schedule(action, spec=ScheduleSpec()))
        try:
            for firing in (1, 2):
                await schedule.trigger()
                async with asyncio.timeout(40):
                    while len((described := await schedule.describe()).info.recent_actions) < firing:
                        await asyncio.sleep(0.2)
                run = described.info.recent_actions[-1].action
                assert isinstance(run, ScheduleActionExecutionStartWorkflow)
                result = await asyncio.wait_for(client.get_workflow_handle(run.workflow_id).result(), 40)
                assert result["status"] == "completed"
                await asyncio.sleep(1.1)  # the time of its start, in seconds, is part of a run's id
        finally:
            await schedule.delete()
    keys = (agents / "clerk" / "keys.txt").read_text().split()
    assert len(keys) == len(set(keys)) == 2
