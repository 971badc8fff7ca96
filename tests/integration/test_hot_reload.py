"""Rules change while runs go on: what is well is put in force, what is broken changes nothing."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from backstay.errors import ConfigurationError
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

TOOLS = '''
from backstay.tools import tool

@tool(effect="write")
def pay(amount: int) -> str:
    """Pays."""
    return "paid"
'''
FORBID = '@id("no-pay") forbid(principal, action == Action::"pay", resource);'


async def outcome(runtime: LocalRuntime) -> str:
    """Asks policy about a payment now."""
    handle = await runtime.start({"goal": "pay", "agent": "clerk"})
    await handle.result()
    records = (await handle.query("audit"))["items"]
    return str(next(r["facts"]["verdict"]["outcome"] for r in records if r["event"] == "call_judged"))


async def said(caplog: pytest.LogCaptureFixture, words: str) -> None:
    """Waits until the worker has said something."""
    for _ in range(200):
        if words in caplog.text:
            return
        await asyncio.sleep(0.05)
    raise TimeoutError(words)


async def test_a_new_rule_is_in_force_for_the_next_call_and_a_broken_one_never(
    client: Client, agent_folder: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    agents = agent_folder(tools=TOOLS)
    rules = agents / "clerk" / "policy.cedar"
    script: list[Any] = [Reply(calls=[Call("pay", {"amount": 5})]), Reply("done")]
    with caplog.at_level(logging.WARNING, "backstay.policy"):
        async with local_runtime(script, agents=agents, client=client) as runtime:
            assert await outcome(runtime) == "allow"
            rules.write_text(FORBID)
            await said(caplog, "new rules are in force for clerk")
            assert await outcome(runtime) == "deny"
            rules.write_text("forbid(principal")
            await said(caplog, "the new ones are broken")
            assert await outcome(runtime) == "deny"
            for put in (rules.unlink, rules.mkdir):
                caplog.clear()
                put()
                await said(caplog, "the rules of clerk stay as they were")
                assert await outcome(runtime) == "deny"


@pytest.mark.parametrize("made", ["directory", "link"])
async def test_rules_that_cannot_be_read_are_not_taken_for_none(agent_folder: Callable[..., Path], made: str) -> None:
    agents = agent_folder(tools=TOOLS)
    rules = agents / "clerk" / "policy.cedar"
    rules.mkdir() if made == "directory" else rules.symlink_to("/nonexistent/policy.cedar")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        async with local_runtime([], agents=agents, worker=True):
            pass
