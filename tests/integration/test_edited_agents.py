"""An agent is edited while its runs go on: new runs take the edit, open ones go on as they were admitted."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

from backstay.app.agents import keep_agents_current, reload_agent
from backstay.app.application import Application, application
from backstay.app.worker import serving
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

TOML = """
[approval]
require = { pay = "finance" }
groups = { finance = ["alice@example.com"] }
"""
TOOLS = '''
from backstay.tools import tool

@tool(effect="write")
def pay(amount: int) -> str:
    """Pays."""
    return "paid the old way"
'''
EDITED = TOOLS.replace("amount: int", "amount: int, currency: str").replace("old way", "new way")
SCRIPTS: dict[str, Any] = {
    "before": [Reply(calls=[Call("pay", {"amount": 5})]), Reply("done")],
    "after": [Reply(calls=[Call("pay", {"amount": 5, "currency": "EUR"})]), Reply("done")],
}


@dataclass(frozen=True, slots=True)
class Place:
    """A worker that serves the clerk, and what a person is told of its edits."""

    runtime: LocalRuntime
    app: Application
    folder: Path
    said: list[str]

    def edit(self, tools: str) -> str:
        (self.folder / "tools.py").write_text(tools)
        reload_agent(self.app, self.folder, self.said.append)
        return self.said[-1]

    async def waiting(self, goal: str) -> WorkflowHandle[Any, Any]:
        handle = await self.runtime.start({"goal": goal, "agent": "clerk"})
        while not (await handle.query("status"))["pending_approvals"]:
            pass
        return handle

    async def paid(self, handle: WorkflowHandle[Any, Any]) -> tuple[str, str]:
        """Approves the call; returns its answer, and the version of the agent that gave it."""
        [asked] = (await handle.query("status"))["pending_approvals"]
        await handle.execute_update("approve", {"approval_id": asked["approval_id"], "by": "alice@example.com"})
        result = await handle.result()
        items = (await handle.query("transcript"))["items"]
        return next(one["text"] for one in items if one["kind"] == "result"), result["agent_version"]


@pytest.fixture
async def place(
    client: Client, agent_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Place]:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    agents = agent_folder(toml=TOML, tools=TOOLS)
    async with local_runtime(SCRIPTS, agents=agents, client=client, worker=False) as runtime:
        app = application(runtime.settings)
        async with serving(app, client):
            yield Place(runtime, app, app.catalog.agents["clerk"].folder, [])


async def test_open_runs_keep_their_version_and_new_ones_take_the_edit(place: Place) -> None:
    opened = await place.waiting("before")
    assert place.edit(EDITED).startswith("clerk: new runs take the new version; open runs keep theirs")
    (place.folder / "policy.cedar").write_text('@id("spare") forbid(principal, action, resource) when { false };')
    started = await place.waiting("after")
    (old, first), (new, second) = await place.paid(opened), await place.paid(started)
    assert (old, new) == ("paid the old way", "paid the new way")
    assert first != second


@pytest.mark.parametrize(
    ("broken", "line", "why"),
    [
        (TOOLS + "def broken(:\n", "tools.py:8", "invalid syntax"),
        (TOOLS.replace("amount: int", "amount"), "tools.py:4", "type"),
        (TOOLS.replace('"write"', '"wirte"'), "tools.py:4", "`wirte` is no effect"),
        (TOOLS.replace("pay", "play"), "agent.toml:4", "lists no tool `pay`"),
    ],
    ids=["no Python", "no type", "no effect", "a rule about a tool that is gone"],
)
async def test_a_broken_edit_changes_nothing_and_names_file_and_line(
    place: Place, broken: str, line: str, why: str
) -> None:
    words = place.edit(broken)
    assert words.startswith("clerk: the version before stays in force, because the edit is broken")
    assert why in words
    assert f"{place.folder}/{line}: " in words
    assert (await place.paid(await place.waiting("before")))[0] == "paid the old way"


async def test_a_new_folder_is_served_at_once_and_one_that_is_no_agent_is_left_alone(place: Place) -> None:
    scribe, odd = place.folder.parent / "scribe", place.folder.parent / "odd"
    scribe.mkdir()
    odd.mkdir()
    (scribe / "agent.toml").write_text('instructions = "You write."\n')
    for folder in (scribe, odd, scribe):
        reload_agent(place.app, folder, place.said.append)
    assert len(place.said) == 1
    assert place.said[0].startswith("scribe: served from now on")
    assert (await place.runtime.run_to_end({"goal": "before", "agent": "scribe"})).agent == "scribe"


async def test_a_first_shared_effect_needs_another_start(place: Place) -> None:
    words = place.edit(TOOLS.replace('effect="write"', 'effect="write", dedupe="tenant"'))
    assert "start `dev` again" in words


async def test_a_first_agent_of_an_account_needs_another_start(place: Place) -> None:
    file = place.folder / "agent.toml"
    file.write_text(file.read_text() + '[model]\naccount = "main"\n')
    words = place.edit(TOOLS)
    assert "the first agent of the account `main` needs a worker of its own; start `dev` again" in words


@pytest.mark.parametrize("file", ["agent.toml", "tools.py"])
async def test_an_edit_is_served_whichever_file_it_is_in(place: Place, file: str) -> None:
    watch = asyncio.create_task(keep_agents_current(place.app, place.said.append))
    edited, before = place.folder / file, place.app.catalog.agents["clerk"].version
    try:
        async with asyncio.timeout(30):
            while not place.said:
                with edited.open("a") as out:  # again and again, until the watch has begun
                    out.write("# edited\n")
                await asyncio.sleep(1)
    finally:
        watch.cancel()
    assert place.said[0].startswith("clerk: new runs take the new version; open runs keep theirs")
    started = await place.waiting("before")
    assert (await place.paid(started))[1] == place.app.catalog.agents["clerk"].version != before


async def test_an_edit_that_was_refused_is_tried_again_once_its_rule_is_mended(place: Place) -> None:
    watch = asyncio.create_task(keep_agents_current(place.app, place.said.append))
    rule = '@id("large") forbid(principal, action == Action::"pay", resource) when { context.input.amount > 9 };\n'
    try:
        await asyncio.sleep(1)
        (place.folder / "tools.py").write_text(EDITED)
        (place.folder / "policy.cedar").write_text(rule.replace("amount", "amout"))
        async with asyncio.timeout(30):
            while not any("the edit is broken" in line for line in place.said):
                await asyncio.sleep(0.1)
            (place.folder / "policy.cedar").write_text(rule)
            while "take the new version" not in place.said[-1]:
                await asyncio.sleep(0.1)
    finally:
        watch.cancel()
    assert "large" in place.app.gate.bundle("clerk").enforced.rules
