"""Memo and search attributes that a start brings are not the run's: lists show nothing of them."""

import asyncio
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from backstay.client.fleet import RunFilter, runs, waiting_approvals
from backstay.contracts.approval import WRITTEN_BY
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

STATE = SearchAttributeKey.for_keyword("BackstayState")
TENANT = SearchAttributeKey.for_keyword("BackstayTenant")
PENDING = SearchAttributeKey.for_int("BackstayPendingApprovals")
USD = SearchAttributeKey.for_float("BackstayUsd")
FORGED = {
    "approval_id": "apr_1", "kind": "action", "tool": "pay", "args": {"amount": 1}, "digest": "sha256:d",
    "groups": ["finance"], "required": 1, "answered_by": [], "rules": [], "reasons": [],
    "requested_at": "2026-01-01T00:00:00.000Z", "expires_at": "2099-01-02T00:00:00.000Z",
}  # fmt: skip
MEMO: dict[str, Any] = {"backstay.approvals": [FORGED]}
ATTRIBUTES = TypedSearchAttributes(
    [
        SearchAttributePair(STATE, "waiting_approval"),
        SearchAttributePair(TENANT, "globex"),
        SearchAttributePair(PENDING, 1),
        SearchAttributePair(USD, 0.0),
    ]
)


async def started(runtime: LocalRuntime, request: dict[str, Any]) -> WorkflowHandle[Any, Any]:
    """A run whose start claims an open approval and another tenant."""
    return await runtime.client.start_workflow(
        "AgentRun",
        request,
        id=f"run-{uuid.uuid4()}",
        task_queue=runtime.settings.task_queue,
        memo=MEMO,
        search_attributes=ATTRIBUTES,
    )


async def until_closed(handle: WorkflowHandle[Any, Any]) -> Any:
    """The description of a run that has closed, as the index has it."""
    while (described := await handle.describe()).close_time is None:
        await asyncio.sleep(0.05)
    return described


@pytest.mark.parametrize("memo", [MEMO, {"backstay.approvals": b"\xff\x00"}, {"backstay.approvals": None}])
async def test_the_first_task_clears_what_the_start_claims(client: Client, memo: dict[str, Any]) -> None:
    async with local_runtime([Reply("done")], client=client) as runtime:
        handle = await client.start_workflow(
            "AgentRun",
            {"goal": "go", "tenant": "acme"},
            id=f"run-{uuid.uuid4()}",
            task_queue=runtime.settings.task_queue,
            memo=memo,
            search_attributes=ATTRIBUTES,
        )
        await asyncio.wait_for(handle.result(), 30)
        described = await until_closed(handle)
        assert "backstay.approvals" not in described.raw_description.workflow_execution_info.memo.fields
        attributes = described.typed_search_attributes
        assert (attributes.get(TENANT), attributes.get(STATE), attributes.get(PENDING)) == ("acme", "closed", 0)


async def test_a_start_that_is_refused_leaves_nothing_of_what_it_claims(client: Client) -> None:
    async with local_runtime([Reply("done")], client=client) as runtime:
        described = await until_closed(await started(runtime, {"goal": 5}))
        assert "backstay.approvals" not in described.raw_description.workflow_execution_info.memo.fields
        assert [described.typed_search_attributes.get(key) for key in (STATE, TENANT, PENDING, USD)] == [None] * 4


PAYS = """
from backstay.tools import tool

@tool(effect="write")
def pay(amount: int) -> str:
    \"\"\"Pays.\"\"\"
    return "paid"
"""
ASKS = '[approval]\nrequire = { pay = "finance" }\ngroups = { finance = ["alice"] }\n'


async def forged(client: Client, queue: str, memo: dict[str, Any] = MEMO, **start: Any) -> str:
    """A start that claims an open approval, for a run that no worker begins."""
    run_id = f"forged-{uuid.uuid4()}"
    handle = await client.start_workflow(
        "AgentRun", {"goal": "go"}, id=run_id, task_queue=queue, memo=memo, search_attributes=ATTRIBUTES, **start
    )
    await handle.signal("approve", {"approval_id": "apr_1", "by": "mallory"})  # more events, and still not begun
    return run_id


async def test_lists_show_no_approval_of_a_run_that_has_not_begun(
    client: Client, agent_folder: Callable[..., Path]
) -> None:
    agents = agent_folder(toml=ASKS, tools=PAYS)
    async with local_runtime([Reply(calls=[Call("pay", {"amount": 1})])], agents=agents, client=client) as runtime:
        queue = runtime.settings.task_queue
        delayed = await forged(client, queue, start_delay=timedelta(hours=1))
        marked = {**MEMO, WRITTEN_BY: str(uuid.uuid4())}
        guessed = await forged(client, queue, marked, start_delay=timedelta(hours=1))
        elsewhere = await forged(client, f"{queue}-other")
        ours = await runtime.start({"goal": "go", "agent": "clerk"})
        troubles: list[str] = []
        while not (waiting := await waiting_approvals(client, troubles.append, task_queue=queue)):
            await asyncio.sleep(0.1)
        found: dict[str, Any] = {}
        while not {delayed, guessed, ours.id} <= set(found):
            found = {one.run_id: one async for one in runs(client, RunFilter(), task_queue=queue)}
        assert [one.run_id for one in waiting] == [ours.id]
        assert troubles == []
        assert elsewhere not in found
        for not_begun in (delayed, guessed):
            one = found[not_begun]
            assert (one.execution, one.state, one.tenant, one.pending_approvals, one.usd) == (
                "running",
                "queued",
                None,
                0,
                None,
            )
        assert (found[ours.id].state, found[ours.id].pending_approvals) == ("waiting_approval", 1)
        await ours.signal("kill", {"by": "test", "reason": "over"})
        await ours.result()


async def test_a_run_that_was_reset_is_still_listed_although_another_execution_wrote_its_memo(
    client: Client, agent_folder: Callable[..., Path]
) -> None:
    agents = agent_folder(toml=ASKS, tools=PAYS)
    async with local_runtime([Reply(calls=[Call("pay", {"amount": 1})])], agents=agents, client=client) as runtime:
        queue = runtime.settings.task_queue
        run = await runtime.start({"goal": "go", "agent": "clerk"})
        while not await waiting_approvals(client, task_queue=queue):
            await asyncio.sleep(0.1)
        [last] = [event.event_id async for event in run.fetch_history_events() if event.event_type == 7][-1:]
        reset = await client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=run.id),
                workflow_task_finish_event_id=last,
                request_id=str(uuid.uuid4()),
            )
        )
        assert reset.run_id
        while [one.run_id for one in await waiting_approvals(client, task_queue=queue)] != [run.id]:
            await asyncio.sleep(0.1)
