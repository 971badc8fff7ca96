"""A worker dies by SIGKILL between the drawing of a grant's use and its answer: the use is drawn once all the same."""

import asyncio
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

from backstay.adapters.engine.asking import queried
from backstay.adapters.engine.dev_server import DevServer
from backstay.contracts.names import AGENT_RUN, APPROVE, GRANTS
from backstay.kernel.keys import grants_id
from backstay.testing import Call, Reply, ScriptedModel

from .worker_process import supervised, worker_environment

TOML = '[approval]\ngroups = { finance = ["alice"] }\n'
RULES = """
@id("payments") @approval("finance") @grantable("uses:5,hours:1")
forbid(principal, action == Action::"pay", resource);
"""
TOOLS = '''
import os
import signal
from pathlib import Path

from backstay.adapters.engine.grants import Grants
from backstay.tools import tool

HERE = Path(__file__).parent
draw = Grants.use

async def use(self, tenant, wanted):
    """Draws a use; the first worker that got one dies."""
    result = await draw(self, tenant, wanted)
    if result.use and not (HERE / "died").exists():
        (HERE / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return result

Grants.use = use

@tool(effect="write")
def pay(bill: str) -> str:
    """Pays a bill."""
    with (HERE / "paid").open("a") as file:
        file.write(bill)
    return "paid"
'''


@pytest.mark.timeout(200)
async def test_a_worker_that_dies_during_a_use_draws_one_use_and_the_call_is_made_once(
    client: Client, temporal_server: DevServer, agent_folder: Callable[..., Path], tmp_path: Path
) -> None:
    agents, queue, tenant = agent_folder("clerk", TOML, TOOLS), f"chaos-{uuid.uuid4()}", f"acme {tmp_path.name}"
    (agents / "clerk" / "policy.cedar").write_text(RULES)
    script = [Reply(calls=[Call("pay", {"bill": "A"})]), Reply(calls=[Call("pay", {"bill": "B"})]), Reply("done")]
    async with (
        ScriptedModel(script) as model,
        supervised(worker_environment(agents, queue, model, temporal_server.address)) as deaths,
    ):
        request = {"goal": "pay", "agent": "clerk", "tenant": tenant}
        handle: WorkflowHandle[Any, Any] = await client.start_workflow(AGENT_RUN, request, id=queue, task_queue=queue)
        asked = await first_question(handle)
        answer = {"approval_id": asked, "by": "alice", "grant": {"uses": 2, "until": "1h"}}
        await handle.execute_update(APPROVE, answer)
        result = await asyncio.wait_for(handle.result(), 120)
        assert (result["status"], deaths) == ("completed", [-9])
        assert (agents / "clerk" / "paid").read_text() == "AB"
        view: Any = await client.get_workflow_handle(grants_id(tenant)).query(GRANTS)
        assert [grant["uses_left"] for grant in view["grants"]] == [1]


async def first_question(handle: WorkflowHandle[Any, Any]) -> str:
    async with asyncio.timeout(60):
        while not (pending := (await queried(handle, "status", (), timedelta(seconds=10)))["pending_approvals"]):
            await asyncio.sleep(0.1)
    return pending[0]["approval_id"]
