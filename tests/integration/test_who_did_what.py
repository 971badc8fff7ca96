"""Whoever looks at a run reads who may act, who did what, when and why, and which messages were refused."""

import asyncio
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError

from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime
from tests.integration.commands import command_of

pytestmark = pytest.mark.timeout(180)

TOML = """
[approval]
require = { pay = "finance" }
budget = "finance"
groups = { finance = ["alice", "bob"] }
"""
TOOLS = '''
from backstay.tools import tool

@tool(effect="write")
def pay(amount: int) -> str:
    """Pays."""
    return "paid"
'''
SCRIPT = [Reply(calls=[Call("pay", {"amount": 5}), Call("pay", {"amount": 6})]), Reply("late", delay=60)]
DONE = [
    ("bob", "granted", None, "steps=1: more to do"),
    ("alice", "edited", "pay", "too much"),
    ("bob", "approved", "pay", "fine"),
    ("alice", "denied", "pay", "not today"),
    ("carol", "killed", None, "enough"),
]
WHEN = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
Run = WorkflowHandle[Any, Any]


async def asked(handle: Run, amount: int) -> str:
    """The open approval of a payment, once it is there."""
    async with asyncio.timeout(60):
        while True:
            pending = (await handle.query("status"))["pending_approvals"]
            if found := [one["approval_id"] for one in pending if one["args"] == {"amount": amount}]:
                return found[0]
            await asyncio.sleep(0.05)


async def handled(runtime: LocalRuntime, handle: Run) -> None:
    """Everything that people can do to a run, one after the other, and two messages that it refuses."""
    five, six = await asked(handle, 5), await asked(handle, 6)
    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update("approve", {"approval_id": five, "by": "mallory"})
    await handle.signal("pause", "stop it")
    await handle.execute_update("grant", {"by": "bob", "reason": "more to do", "budget": {"steps": 1}})
    edit = {"approval_id": five, "by": "alice", "args": {"amount": 4}, "comment": "too much"}
    await handle.execute_update("edit", edit)
    four = await asked(handle, 4)
    await handle.execute_update("approve", {"approval_id": four, "by": "bob", "comment": "fine"})
    await handle.execute_update("deny", {"approval_id": six, "by": "alice", "comment": "not today"})
    while len(runtime.model.requests) < 2:
        await asyncio.sleep(0.05)
    await handle.execute_update("kill", {"by": "carol", "reason": "enough"})
    await asyncio.wait_for(handle.result(), 60)


async def test_show_and_the_page_of_a_run_tell_who_did_what_and_what_was_refused(
    client: Client, agent_folder: Callable[..., Path]
) -> None:
    agents = agent_folder(toml=TOML, tools=TOOLS)
    async with local_runtime(SCRIPT, agents=agents, client=client) as runtime:
        backstay = command_of(runtime, COLUMNS="200")
        handle = await runtime.start({"goal": "pay", "agent": "clerk", "budget": {"steps": 5}})
        await asked(handle, 6)
        _, waiting, _ = await backstay("show", handle.id)
        began = datetime.now(UTC) - timedelta(seconds=5)
        await handled(runtime, handle)
        (_, text, _), (_, data, _) = await asyncio.gather(
            backstay("show", handle.id), backstay("show", handle.id, "-o", "json")
        )
        page = (await handle.query("__temporal_workflow_metadata")).current_details

    assert len(re.findall(r"^may answer +alice, bob *$", waiting, re.M)) == 2
    shown = json.loads(data)
    told = shown["people"]
    assert [(one["by"], one["did"], one["tool"], one["comment"]) for one in told] == DONE
    assert all(began <= datetime.fromisoformat(one["at"]) <= datetime.now(UTC) for one in told)
    for one, (who, did, tool, comment) in zip(told, DONE, strict=True):
        what = f"{did} {tool}" if tool else did
        assert re.search(rf"{WHEN} +{who} +{what} +{comment} *$", text, re.M), text
        assert f"- {one['at']} · {who} {what}: {comment}" in page, page

    refused = {(one["message"], one["code"], one["by"]): one["instead"] for one in shown["refused"]}
    assert set(refused) == {("approve", "NotInGroup", "mallory"), ("pause", "InvalidMessage", None)}
    for (message, code, by), instead in refused.items():
        assert re.search(rf"{WHEN} +{message} +{by or '-'} +{code} +{re.escape(instead)} *$", text, re.M), text
        assert re.search(
            rf"· `{message}`{f' by {by}' if by else ''}: {code}\. Instead: {re.escape(instead)}$", page, re.M
        )
