"""Two zones on one server, cut by task queue and fleet key or by namespace, cannot act for each other."""

import asyncio
import base64
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from backstay.adapters.engine.dev_server import DevServer
from backstay.adapters.engine.search_attributes import register
from backstay.client.connection import connect
from backstay.client.fleet import waiting_approvals
from backstay.errors import ConfigurationError
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

TOOLS = '''
from pathlib import Path
from backstay.tools import tool

@tool(effect="once", dedupe="tenant")
def pay(amount: int) -> str:
    """Pays an amount."""
    with Path(__file__).with_name("paid.txt").open("a") as file:
        file.write(f"{amount}\\n")
    return "paid"
'''
ASKS = "[approval]\ngroups = { finance = ['alice'] }\nrequire = { pay = 'finance' }\n"
PAYS: list[Any] = [Reply(calls=[Call("pay", {"amount": 7})]), Reply("done")]
OURS, THEIRS = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))


async def namespace_of_another_team(server: DevServer) -> Client:
    """A client of a new namespace, once the server knows it everywhere."""
    name = f"team-{uuid.uuid4().hex[:8]}"
    asked = RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=Duration(seconds=86_400))
    await server.client.workflow_service.register_namespace(asked)
    other = await connect(target_host=server.address, namespace=name)
    until = time.monotonic() + 60
    while True:
        try:
            await register(other, mend="-")
            return other
        except (ConfigurationError, RPCError):  # its parts read the list of namespaces every few seconds
            assert time.monotonic() < until
            await asyncio.sleep(0.5)


async def waits(runtime: LocalRuntime, run_id: str) -> WorkflowHandle[Any, Any]:
    """A run that waits for `alice`."""
    handle = await runtime.start({"goal": "pay", "agent": "desk"}, run_id)
    queue = runtime.settings.task_queue
    while [one.run_id for one in await waiting_approvals(runtime.client, task_queue=queue)] != [run_id]:
        await asyncio.sleep(0.1)
    return handle


async def test_zones_of_two_queues_share_no_effect_and_no_list(
    client: Client, agent_folder: Callable[..., Path], tmp_path: Path
) -> None:
    agents = agent_folder("desk", "", TOOLS)
    async with (
        local_runtime(PAYS, agents=agents, client=client, fleet_key=OURS) as ours,
        local_runtime(PAYS, agents=agents, client=client, fleet_key=THEIRS) as theirs,
    ):
        for zone in (ours, ours, theirs):
            assert (await zone.run_to_end({"goal": "pay", "agent": "desk"})).status == "completed"
    # Twice the same effect within a zone is one payment; the other zone learns nothing of it, and makes its own.
    assert (tmp_path / "agents" / "desk" / "paid.txt").read_text().split() == ["7", "7"]


async def test_an_answer_in_one_namespace_releases_nothing_of_the_same_name_in_another(
    client: Client, temporal_server: DevServer, agent_folder: Callable[..., Path], tmp_path: Path
) -> None:
    agents = agent_folder("desk", ASKS, TOOLS)
    run_id = f"run-{uuid.uuid4()}"
    other = await namespace_of_another_team(temporal_server)
    queue = f"agents-{uuid.uuid4()}"  # even the queue has the same name
    async with (
        local_runtime(PAYS, agents=agents, client=client, task_queue=queue) as ours,
        local_runtime(PAYS, agents=agents, client=other, task_queue=queue) as theirs,
    ):
        mine, yours = await asyncio.gather(waits(ours, run_id), waits(theirs, run_id))
        [open_] = await waiting_approvals(other, task_queue=queue)
        await yours.execute_update("approve", {"approval_id": open_.approval.approval_id, "by": "alice"})
        assert (await asyncio.wait_for(yours.result(), 30))["status"] == "completed"
        assert (tmp_path / "agents" / "desk" / "paid.txt").read_text().split() == ["7"]
        assert (await mine.query("status"))["state"] == "waiting_approval"
        await mine.signal("kill", {"by": "alice", "reason": "the test is over"})
        assert (await asyncio.wait_for(mine.result(), 30))["stop_reason"] == "killed"
