"""A run that Temporal's server itself has paused is named, and hides none of the others: a real server, flag on."""

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionResponse,
    ListWorkflowExecutionsResponse,
    PauseWorkflowExecutionRequest,
    UnpauseWorkflowExecutionRequest,
)
from temporalio.client import Client

from backstay.adapters.engine.effects import Effects
from backstay.adapters.engine.executions import described, listed
from backstay.adapters.engine.history import RunHistory
from backstay.client.client import BackstayClient
from backstay.client.fleet import RunFilter, runs, waiting_approvals
from backstay.contracts.effect import CallRef
from backstay.contracts.history import RunRef
from backstay.errors import PausedByEngineError
from backstay.testing import Call, Reply
from backstay.testing.runtime import local_runtime
from tests.integration.command_place import Ended, Running

TOOLS = '''
from backstay.tools import tool

@tool(effect="write")
def pay(amount: int) -> str:
    """Pays."""
    return "paid"
'''
TOML = """
[approval]
require = { pay = "finance" }
groups = { finance = ["alice"] }
"""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Two runs that wait for approval; the server has paused the first."""

    client: BackstayClient
    paused: str
    other: str
    approval: str
    folder: Path
    environment: dict[str, str]

    async def backstay(self, *words: str, code: int = 0) -> Ended:
        command = (*("-m", "backstay"), *words)
        ended = await (await Running.of(self.folder, sys.executable, *command, **self.environment)).end()
        assert ended.code == code, ended.err
        return ended


@pytest_asyncio.fixture
async def fleet(client: Client, agent_folder: Callable[..., Path], tmp_path: Path) -> AsyncIterator[Fleet]:
    script = [Reply(calls=[Call("pay", {"amount": 5})]), Reply("done")]
    agents = agent_folder(toml=TOML, tools=TOOLS)
    async with local_runtime(script, agents=agents, client=client) as runtime:
        ours = BackstayClient(client, runtime.settings.task_queue, patience=1.0)
        paused, other = f"paused-{uuid.uuid4().hex}", f"other-{uuid.uuid4().hex}"
        started = [await runtime.start({"goal": "pay", "agent": "clerk"}, one) for one in (paused, other)]
        approvals = [await _waiting(handle) for handle in started]
        await client.workflow_service.pause_workflow_execution(
            PauseWorkflowExecutionRequest(
                namespace="default", workflow_id=paused, identity="olga", reason="looking", request_id=uuid.uuid4().hex
            )
        )
        await _until(lambda: _state(client, paused))
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("BACKSTAY_", "TEMPORAL_"))},
            "TEMPORAL_ADDRESS": client.service_client.config.target_host,
            "BACKSTAY_TASK_QUEUE": runtime.settings.task_queue,
            "BACKSTAY_USER": "olga",
        }
        yield Fleet(ours, paused, other, approvals[0], tmp_path, environment)


async def _waiting(handle: Any) -> str:
    async with asyncio.timeout(30):
        while not (pending := (await handle.query("status"))["pending_approvals"]):
            await asyncio.sleep(0.05)
    return pending[0]["approval_id"]


async def _state(client: Client, run_id: str) -> bool:
    found = [one async for one in listed(client, f"WorkflowId = '{run_id}' AND BackstayPendingApprovals > 0")]
    return [one.state for one in found] == ["paused_by_engine"]


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await holds():
            await asyncio.sleep(0.05)


async def test_a_paused_run_is_named_and_blinds_nothing(fleet: Fleet) -> None:
    client, temporal = fleet.client, fleet.client.temporal
    overview = await client.describe(fleet.paused)
    assert (overview.state, overview.open, overview.held_back) == ("paused_by_engine", True, True)
    queue = client.task_queue
    listing = runs(temporal, RunFilter(agent="clerk"), task_queue=queue)
    states = {one.run_id: one.execution async for one in listing}
    assert (states[fleet.paused], states[fleet.other]) == ("paused_by_engine", "running")
    inbox = {one.run_id: one.execution for one in await waiting_approvals(temporal, task_queue=queue)}
    assert (inbox[fleet.paused], inbox[fleet.other]) == ("paused_by_engine", "running")
    # What activities ask the engine about other runs: neither raises, and a paused run is not over.
    run_id = (await described(temporal, fleet.paused)).run_id
    call = CallRef(workflow_id=fleet.paused, run_id=run_id, call_id="1-0", task_queue=queue)
    assert not await Effects(temporal).is_over(call)
    assert await RunHistory(temporal, queue).relatives(RunRef(fleet.paused, run_id)) == []


async def test_what_asks_a_paused_run_says_why_nobody_answers_and_its_end_is_waited_for(fleet: Fleet) -> None:
    client = fleet.client
    for asked in (client.status(fleet.paused), client.approve(fleet.paused, fleet.approval, "alice")):
        with pytest.raises(PausedByEngineError, match="paused_by_engine"):
            await asked
    ending = asyncio.create_task(client.result(fleet.paused))
    await asyncio.sleep(0.5)
    assert not ending.done()
    await client.post_kill(fleet.paused, "olga", "enough")
    await client.temporal.workflow_service.unpause_workflow_execution(
        UnpauseWorkflowExecutionRequest(
            namespace="default", workflow_id=fleet.paused, identity="olga", request_id=uuid.uuid4().hex
        )
    )
    assert (await asyncio.wait_for(ending, 30)).stop_reason in ("killed", "completed")


async def test_the_command_names_it_too(fleet: Fleet) -> None:
    unpause = f"temporal workflow unpause --workflow-id {fleet.paused}"
    listing, inbox, shown, killed = await asyncio.gather(
        fleet.backstay("list", "--agent", "clerk", "-o", "json"),
        fleet.backstay("approvals"),
        fleet.backstay("show", fleet.paused),
        fleet.backstay("kill", fleet.paused, "--reason", "enough", code=124),
    )
    by_id = {one["run_id"]: one["execution"] for one in listing.json()["runs"]}
    assert (by_id[fleet.paused], by_id[fleet.other]) == ("paused_by_engine", "running")
    assert "(paused_by_engine)" in "".join(inbox.out.split())
    assert "paused_by_engine" in shown.out
    assert [unpause in "".join(f"{one.err} ".split("\n")) for one in (shown, killed)] == [True] * 2


async def test_a_status_of_a_later_server_is_named_by_its_number(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = WorkflowExecutionInfo(execution=WorkflowExecution(workflow_id="odd", run_id="1"), status=9)  # pyright: ignore[reportArgumentType]

    async def listing(*_: Any, **__: Any) -> ListWorkflowExecutionsResponse:
        return ListWorkflowExecutionsResponse(executions=[info])

    async def describing(*_: Any, **__: Any) -> DescribeWorkflowExecutionResponse:
        return DescribeWorkflowExecutionResponse(workflow_execution_info=info)

    monkeypatch.setattr(client.workflow_service, "list_workflow_executions", listing)
    monkeypatch.setattr(client.workflow_service, "describe_workflow_execution", describing)
    found = [*[one async for one in listed(client, "")], await described(client, "odd")]
    assert [(one.state, one.open, one.held_back) for one in found] == [("status_9", True, True)] * 2
