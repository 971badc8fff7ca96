"""A run that waits for a worker that serves its agent goes on in another link, and asks there for the same."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from temporalio.client import Client

from backstay.testing import Call, Reply
from backstay.testing.runtime import local_runtime

from .test_chain import LONG

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TOOLS = '''
from backstay.tools import tool

@tool(effect="write")
def pay(amount: int) -> str:
    """Pays."""
    return f"paid {amount}"
'''
PEOPLE = '[approval]\nrequire = { pay = "ops" }\ngroups = { ops = ["olga"] }\n'


async def until(holds: Callable[[], Any]) -> Any:
    async with asyncio.timeout(60):
        while not (found := await holds()):
            await asyncio.sleep(0.05)
        return found


async def test_a_decision_that_nobody_serves_is_asked_for_in_another_link(
    client: Client, agent_folder: Callable[..., Path]
) -> None:
    agents = agent_folder(toml=LONG, tools=TOOLS)
    agent_folder("other")
    script = [Reply(calls=[Call("pay", {"amount": 5})], delay=1), Reply("done")]
    async with local_runtime(script, agents=agents, client=client, worker=False, link_events=40) as runtime:
        async with runtime.serving():
            handle = await runtime.start({"goal": "pay", "agent": "clerk"})
            await until(lambda: _step(handle, 1))
            await handle.execute_update("pause", {"by": "olga"})
            await until(lambda: _said(handle, "decision"))
        (agents / "clerk").rename(agents / "renamed")
        async with runtime.serving():
            await handle.execute_update("resume", {"by": "olga"})
            await until(lambda: _trouble(handle))
            for number in range(100):
                if (await handle.query("status"))["link"] > 1:
                    break
                await handle.execute_update("resume", {"by": "olga", "reason": str(number)})
            assert (await handle.query("status"))["link"] > 1
            requests = len(runtime.model.requests)
        (agents / "renamed").rename(agents / "clerk")
        async with runtime.serving():
            result = await asyncio.wait_for(handle.result(), 60)
        assert (result["answer"], result["spent"]["steps"], requests) == ("done", 2, 1)
        assert result["spent"]["usd_unbilled"] == "0.00"


async def _step(handle: Any, step: int) -> bool:
    return (await handle.query("status"))["step"] >= step


async def _said(handle: Any, kind: str) -> bool:
    return any(item["kind"] == kind for item in (await handle.query("transcript"))["items"])


async def _trouble(handle: Any) -> bool:
    return bool((await handle.query("status"))["trouble"])


async def test_a_yes_that_nobody_can_judge_is_judged_in_another_link(
    client: Client, agent_folder: Callable[..., Path]
) -> None:
    agents = agent_folder(toml=LONG + PEOPLE, tools=TOOLS)
    agent_folder("other")
    script = [Reply(calls=[Call("pay", {"amount": 5})]), Reply("done")]
    async with local_runtime(script, agents=agents, client=client, worker=False, link_events=40) as runtime:
        async with runtime.serving():
            handle = await runtime.start({"goal": "pay", "agent": "clerk"})
            [asked] = await until(lambda: _pending(handle))
        (agents / "clerk").rename(agents / "renamed")
        async with runtime.serving():
            await handle.execute_update("approve", {"approval_id": asked["approval_id"], "by": "olga"})
            await until(lambda: _trouble(handle))
            for number in range(100):
                if (await handle.query("status"))["link"] > 1:
                    break
                await handle.execute_update("resume", {"by": "olga", "reason": str(number)})
            assert (await handle.query("status"))["link"] > 1
        (agents / "renamed").rename(agents / "clerk")
        async with runtime.serving():
            result = await asyncio.wait_for(handle.result(), 60)
        assert (result["answer"], result["spent"]["tool_calls"], len(runtime.model.requests)) == ("done", 1, 2)


async def _pending(handle: Any) -> list[dict[str, Any]]:
    return (await handle.query("status"))["pending_approvals"]
