"""An answer that is handled after the expiry does not count, although no worker ran when it came."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError

from backstay.testing import Call, Reply
from backstay.testing.runtime import local_runtime

EXPIRES_SECONDS = 4
TOOLS = '''
from pathlib import Path
from backstay.tools import tool

@tool(effect="once")
def pay(amount: int) -> str:
    """Pays."""
    with Path(__file__).with_name("done.txt").open("a") as file:
        file.write(f"{amount}\\n")
    return f"paid {amount}"
'''
TOML = f"""
[approval]
require = {{ pay = "finance" }}
groups = {{ finance = ["alice"] }}
expires_after = "{EXPIRES_SECONDS}s"
"""
SCRIPT = [Reply(calls=[Call("pay", {"amount": 5})]), Reply("nobody answered")]


async def asked(handle: WorkflowHandle[Any, Any]) -> str:
    """The id of the one open approval, once it is there."""
    async with asyncio.timeout(30):
        while not (pending := (await handle.query("status"))["pending_approvals"]):
            await asyncio.sleep(0.05)
    return pending[0]["approval_id"]


async def refusals(handle: WorkflowHandle[Any, Any]) -> list[tuple[str, str, str]]:
    """The refused messages in the run's audit: name, code, and who sent them."""
    records = (await handle.query("audit"))["items"]
    facts = [record["facts"] for record in records if record["event"] == "message_refused"]
    return [(one["message"], one["code"], one["by"]) for one in facts]


@pytest.mark.parametrize(
    ("way", "message", "on_expiry", "stop_reason"),
    [
        ("signal", "approve", "deny", "completed"),
        ("update", "approve", "deny", "completed"),
        ("signal", "approve", "stop", "approval_expired"),
        ("update", "deny", "deny", "completed"),
    ],
)
async def test_it_is_refused_as_late_and_nothing_is_done(
    way: str,
    message: str,
    on_expiry: str,
    stop_reason: str,
    client: Client,
    agent_folder: Callable[..., Path],
) -> None:
    agents = agent_folder(toml=f'{TOML}on_expiry = "{on_expiry}"\n', tools=TOOLS)
    async with local_runtime(SCRIPT, agents=agents, client=client, worker=False) as runtime:
        async with runtime.serving():
            handle = await runtime.start({"goal": "pay", "agent": "clerk"})
            answer = {"approval_id": await asked(handle), "by": "alice"}
        await asyncio.sleep(EXPIRES_SECONDS + 1)
        late: asyncio.Task[Any] | None = None
        if way == "signal":
            await handle.signal(message, answer)
        else:
            late = asyncio.create_task(handle.execute_update(message, answer))
            await asyncio.sleep(0.5)
        async with runtime.serving():
            result = await asyncio.wait_for(handle.result(), 60)
            assert await refusals(handle) == [(message, "ApprovalExpired", "alice")]
            if late is not None:
                with pytest.raises(WorkflowUpdateFailedError) as refused:
                    await late
                assert "late" in str(refused.value.cause)
    assert result["stop_reason"] == stop_reason
    assert result["spent"]["tool_calls"] == 0
    assert not (agents / "clerk" / "done.txt").exists()
