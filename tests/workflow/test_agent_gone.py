"""An agent that is no longer served costs nothing: its run waits for another worker, then fails and names it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

TOOLS = '''
from backstay.tools import tool

@tool(effect="write")
def pay(amount: int) -> str:
    """Pays."""
    return "paid"
'''
TOML = """
[model]
give_up_after = "12s"
[budget]
usd = "0.10"
[approval]
require = { pay = "finance" }
groups = { finance = ["alice"] }
"""


@asynccontextmanager
async def waiting(
    client: Client, agent_folder: Callable[..., Path]
) -> AsyncIterator[tuple[LocalRuntime, WorkflowHandle[Any, Any], Path]]:
    """A run that asked a person and got a yes, and whose agent's folder was renamed before any worker saw it."""
    agents = agent_folder(toml=TOML, tools=TOOLS)
    agent_folder("other")
    script = [Reply(calls=[Call("pay", {"amount": 5})]), Reply("done")]
    async with local_runtime(script, agents=agents, client=client, worker=False) as runtime:
        async with runtime.serving():
            handle = await runtime.start({"goal": "pay", "agent": "clerk"})
            async with asyncio.timeout(30):
                while not (pending := (await handle.query("status"))["pending_approvals"]):
                    await asyncio.sleep(0.05)
        (agents / "clerk").rename(agents / "renamed")
        await handle.signal("approve", {"approval_id": pending[0]["approval_id"], "by": "alice"})
        yield runtime, handle, agents


async def test_the_run_fails_by_name_and_nothing_is_phantom(client: Client, agent_folder: Callable[..., Path]) -> None:
    async with waiting(client, agent_folder) as (runtime, handle, _), runtime.serving():
        with pytest.raises(WorkflowFailureError) as failed:
            await asyncio.wait_for(handle.result(), 60)
        requests = len(runtime.model.requests)
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, "does not serve the agent `clerk`" in cause.message) == ("ModelUnavailable", True)
    result = cause.details[0]
    assert (result["spent"]["model_calls"], result["spent"]["usd_unbilled"]) == (requests, "0.00")


async def test_another_worker_that_serves_it_takes_the_run_over(
    client: Client, agent_folder: Callable[..., Path]
) -> None:
    async with waiting(client, agent_folder) as (runtime, handle, agents):
        async with runtime.serving():
            await asyncio.sleep(2)
        (agents / "renamed").rename(agents / "clerk")
        async with runtime.serving():
            result = await asyncio.wait_for(handle.result(), 60)
    assert (result["status"], result["spent"]["usd_unbilled"]) == ("completed", "0.00")
