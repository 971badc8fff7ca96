"""Payloads that lie outside of Temporal: a forged reference harms nothing, a large text takes no room in a history."""

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from backstay.client.fleet import waiting_approvals
from backstay.contracts.names import AGENT_RUN
from backstay.testing import Call, Reply
from backstay.testing.runtime import local_runtime

TOML = '[approval]\nrequire = { pay = "finance" }\ngroups = { finance = ["alice"] }\n'
TOOLS = '''
from backstay.tools import tool

@tool(effect="write")
def pay(amount: int) -> str:
    """Pays."""
    return "paid"
'''
FORGED = RawValue(
    Payload(
        metadata={"encoding": b"json/protobuf", "messageType": b"temporal.api.sdk.v1.ExternalStorageReference"},
        data=b'{"driverName": "somebody", "claimData": {"name": "../x"}}',
    )
)


async def asked(handle: WorkflowHandle[Any, Any]) -> list[dict[str, Any]]:
    async with asyncio.timeout(30):
        while not (waiting := (await handle.query("status"))["pending_approvals"]):
            await asyncio.sleep(0.1)
    return waiting


@pytest.mark.parametrize("keys", [None, "new:" + "A" * 43 + "="], ids=["plain", "sealed"])
async def test_references_of_anybodys_making_harm_no_run_and_no_list(
    client: Client, agent_folder: Callable[..., Path], keys: str | None
) -> None:
    agents = agent_folder(toml=TOML, tools=TOOLS)
    script = [Reply(calls=[Call("pay", {"amount": 1})]), Reply("done")]
    async with local_runtime(script, agents=agents, client=client, codec_keys=keys) as runtime:
        queue = runtime.settings.task_queue
        given = {"goal": "pay", "agent": "clerk"}
        memo = {"backstay.approvals": FORGED, "backstay.standing": FORGED}
        await client.start_workflow(AGENT_RUN, given, id=f"a-{queue}", task_queue=queue, memo=memo)
        bad = await client.start_workflow(AGENT_RUN, FORGED, id=f"b-{queue}", task_queue=queue)
        for name in ("approve", "kill_it", "model_trouble", "incident", "parent"):
            await client.get_workflow_handle(f"a-{queue}").signal(name, FORGED)
        handle = runtime.client.get_workflow_handle(f"a-{queue}")
        waiting_now = await asked(handle)
        with pytest.raises(WorkflowFailureError) as failed:
            await asyncio.wait_for(runtime.client.get_workflow_handle(bad.id).result(), 20)
        assert isinstance(failed.value.cause, ApplicationError)
        assert failed.value.cause.type == "InvalidInput"
        (waiting,) = await waiting_approvals(runtime.client, task_queue=queue)
        assert waiting.run_id == handle.id
        approval = waiting_now[0]["approval_id"]
        await handle.execute_update("approve", {"approval_id": approval, "by": "alice"})
        assert (await asyncio.wait_for(handle.result(), 30))["stop_reason"] == "completed"


async def test_a_large_answer_stands_outside_of_the_history_and_any_worker_reads_it(
    client: Client, agent_folder: Callable[..., Path], tmp_path: Path
) -> None:
    agents = agent_folder(toml=TOML, tools=TOOLS)
    long = f"paid {uuid.uuid4().hex} " + "x" * 300_000
    script = [Reply(long, calls=[Call("pay", {"amount": 1})]), Reply("done " + long)]
    settings = {"payload_store": str(tmp_path / "store"), "conversation_cache_mb": 0}
    async with local_runtime(script, agents=agents, client=client, worker=False, **settings) as runtime:
        handle = await runtime.start({"goal": "pay", "agent": "clerk"})
        async with runtime.serving():
            waiting = await asked(handle)
        async with runtime.serving():
            await handle.execute_update("approve", {"approval_id": waiting[0]["approval_id"], "by": "alice"})
            result = await asyncio.wait_for(handle.result(), 30)
        assert result["answer"] == "done " + long
        assert long.encode() in runtime.model.requests[-1].raw
        size = (await handle.describe()).raw_description.workflow_execution_info.history_size_bytes
        assert size < 60_000
