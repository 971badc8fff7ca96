"""People as they are: names in many spellings, loops of any shape, errors that say nothing, pages."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
import time
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncGenerator, Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from backstay.adapters.engine.dev_server import DevServer
from backstay.client.connection import connect
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE = 40.0
ROOT = Path(__file__).resolve().parents[2]
TOML = """instructions = "You are a careful clerk."
[model]
api = "chat"
[stop]
failures = 50
[approval]
require = { refund = "finance:2" }
groups = { finance = ["alice@example.com", "Bob <bob@example.com>", "jos\\u00e9@example.com"], ops = ["olga"] }
unknown = "ops"
"""
RULES = '@id("no-erasing") forbid (principal, action == Action::"erase", resource);\n'
DONE = Reply("done")
REFUND = [Reply(calls=[Call("refund", {"order": "A1"})]), DONE]
KILLED = [Reply("late", delay=30)]


def looks(*decisions: str) -> list[Reply]:
    """Decisions that look up some keys each, and then for ever something new."""
    replies = [Reply(calls=[Call("look", {"key": key}) for key in keys.split()]) for keys in decisions]
    return [*replies, DONE]


@dataclass(frozen=True, slots=True)
class Loop:
    """One run: the calls that its model asks for, and the end it has to come to."""

    script: list[Reply]
    stop_reason: str
    steps: int
    told: bool
    """Tells whether the model was told that it gets nowhere."""


DOWN = Call("press", {"key": "Down"})
TWELVE = " ".join(f"order{n}" for n in range(12))
LOOPS = {
    "three equal decisions": Loop(looks("a", "a", "a"), "no_progress", 3, True),
    "two equal decisions": Loop(looks("a", "a"), "completed", 3, True),
    "three equal calls in one reply": Loop(
        [Reply(calls=[Call("press", {"key": "Down"})] * 3), DONE], "completed", 2, False
    ),
    "twelve orders polled twice": Loop(looks(TWELVE, TWELVE), "completed", 3, True),
    "twelve orders polled three times": Loop(looks(TWELVE, TWELVE, TWELVE), "no_progress", 3, True),
    "read, written, read again": Loop(looks(TWELVE, "other", TWELVE, "another"), "completed", 5, False),
    "pairs that end in either order": Loop(looks("slow b", "slow b", "slow b"), "no_progress", 3, True),
    "pairs asked for in either order": Loop(looks("slow b", "b slow", "slow b"), "no_progress", 3, True),
    "a cycle of two pairs": Loop(looks(*["slow b", "c d"] * 3), "no_progress", 6, True),
    "another loop after the first": Loop(looks("a", "a", "b", "b", "c"), "completed", 6, True),
}
ERASE = Call("erase", {"disk": "C"})
DENIALS = {
    "three denied beside one allowed": ([ERASE, Call("press", {"key": "a"}), ERASE, ERASE], 0, "policy_denied"),
    "three denied after one allowed": ([Call("press", {"key": "a"}), ERASE, ERASE, ERASE], 0, "policy_denied"),
    "three denied beside one that waits": ([Call("refund", {"order": "A1"}), ERASE, ERASE, ERASE], 0, "policy_denied"),
    "two denied beside one allowed": ([ERASE, Call("press", {"key": "a"}), ERASE], 1, "completed"),
}
# The tool, the error it raises, how often it charges under two calls of the model, and what the model is told.
ERRORS = {
    **{
        f"{name} says nothing": ("charge", name, "charged, says the bank")
        for name in ("timeout", "reset", "httpx", "aiohttp", "requests", "cancelled", "group", "wrapped")
    },
    "a shared effect": ("settle", "timeout", "charged, says the bank"),
    "a wrong value": ("charge", "value", "failed: ValueError: no such order"),
    "a refusal": ("charge", "refused", "failed: the shop is closed"),
}
VOTES: dict[str, tuple[str | None, list[tuple[str, str]]]] = {
    "members spell their names otherwise": (
        None,
        [("ALICE@Example.com", "open"), ("mailto:bob@example.com", "closed")],
    ),
    "one member in two spellings": (
        None,
        [
            ("alice@example.com", "open"),
            ("Alice@example.com", "AlreadyAnswered"),
            ("ali\u200bce@example.com", "AlreadyAnswered"),
            ("Alice Lee <alice@example.com>", "AlreadyAnswered"),
            ("\uff41lice\uff20example.com ", "AlreadyAnswered"),
            ("bob@example.com", "closed"),
        ],
    ),
    "who asked, composed otherwise": (
        "jose\u0301@example.com",
        [("jos\u00e9@example.com", "RequesterMayNotApprove"), ("JOS\u00c9@example.com", "RequesterMayNotApprove")],
    ),
    "who asked, with a display name": (
        "Alice Lee <alice@example.com>",
        [("alice@example.com", "RequesterMayNotApprove"), ("a\u00adlice@example.com\ufe0f", "RequesterMayNotApprove")],
    ),
    "a name of two lines": (
        None,
        [("alice@example.com\nbob@example.com", "InvalidMessage"), ("alice@example.com\x00", "InvalidMessage")],
    ),
    "a stranger": (None, [("\u0430lice@example.com", "NotInGroup")]),
}
KILLS = {
    "as it should be": ([{"by": "olga", "reason": "enough"}], "by olga: enough"),
    "nothing": ([], "by unknown: no reason given"),
    "text": (["stop it"], "by unknown: no reason given"),
    "a reason alone": ([{"reason": "enough"}], "by unknown: enough"),
    "a name of two lines": ([{"by": "olga\nann", "reason": "enough"}], "by unknown: enough"),
    "more than is asked": ([{"by": "olga", "reason": "enough", "colour": "red"}], "by olga: enough"),
}


# How the shell starts a command, its environment, and whether what it only shows counts as shown.
CONSOLES = {
    "ascii": ("", {"PYTHONIOENCODING": "ascii"}, True),
    "a reader that had enough": ("| head -1", {}, True),
    "a full disk": ("> /dev/full", {}, False),
    "closed": (">&-", {}, False),
}


def losing(tool: str, error: str) -> list[Reply]:
    """A call that is executed, and ends with an error."""
    return [Reply(calls=[Call(tool, {"error": error})]), DONE]


def scripts() -> dict[str, list[Any]]:
    """The script of each row, by its goal."""
    return {
        **{f"votes: {row}.": REFUND for row in VOTES},
        **{f"loop: {row}.": loop.script for row, loop in LOOPS.items()},
        **{f"denials: {row}.": [Reply(calls=calls), DONE] for row, (calls, _, _) in DENIALS.items()},
        **{f"error: {row}.": losing(tool, error) for row, (tool, error, _) in ERRORS.items()},
        "transfer": losing("transfer", "timeout"),
        **{f"kill: {row}.": KILLED for row in KILLS},
        **{f"console: {row}.": KILLED for row in CONSOLES},
    }


class Desk:
    """The agent at work on one worker."""

    def __init__(self, runtime: LocalRuntime, book: Path) -> None:
        self.runtime = runtime
        self._book = book

    async def start(self, goal: str, **request: Any) -> WorkflowHandle[Any, Any]:
        return await self.runtime.start({"goal": goal, "agent": "desk", **request})

    async def run(self, goal: str) -> tuple[WorkflowHandle[Any, Any], dict[str, Any]]:
        handle = await self.start(goal)
        return handle, await asyncio.wait_for(handle.result(), PATIENCE)

    def effects(self, handle: WorkflowHandle[Any, Any]) -> list[str]:
        lines = self._book.read_text().splitlines() if self._book.exists() else []
        return [line.removeprefix(f"{handle.id} ") for line in lines if line.startswith(f"{handle.id} ")]

    async def asked(self, handle: WorkflowHandle[Any, Any]) -> dict[str, Any]:
        """The one open approval, once it is there."""
        end = time.monotonic() + PATIENCE
        while not (pending := (await handle.query("status"))["pending_approvals"]):
            assert time.monotonic() < end
            await asyncio.sleep(0.02)
        return pending[0]

    async def told(self, handle: WorkflowHandle[Any, Any], kind: str) -> list[str]:
        items = (await handle.query("transcript"))["items"]
        return [item["text"] for item in items if item["kind"] == kind]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(temporal_server: DevServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Desk]:
    folder = tmp_path_factory.mktemp("people") / "agents" / "desk"
    folder.mkdir(parents=True)
    (folder / "agent.toml").write_text(TOML)
    (folder / "policy.cedar").write_text(RULES)
    shutil.copy(Path(__file__).with_name("people_desk.py"), folder / "tools.py")
    client = await connect(target_host=temporal_server.address, namespace="default")
    async with local_runtime(scripts(), agents=folder.parent, client=client) as runtime:
        yield Desk(runtime, folder / "book.txt")


async def outcome(update: Awaitable[Any]) -> str:
    """Returns the answer of an update: the approval's state, or the code of its refusal."""
    try:
        return (await update)["state"]
    except WorkflowUpdateFailedError as error:
        return str(getattr(error.cause, "type", error.cause))


@pytest.mark.parametrize("row", VOTES)
async def test_one_person_counts_once_and_who_is_barred_stays_barred(desk: Desk, row: str) -> None:
    requested_by, votes = VOTES[row]
    handle = await desk.start(f"votes: {row}.", requested_by=requested_by)
    approval_id = (await desk.asked(handle))["approval_id"]
    said = [await outcome(handle.execute_update("approve", {"approval_id": approval_id, "by": by})) for by, _ in votes]
    assert said == [expected for _, expected in votes]
    if said[-1] == "closed":
        assert (await asyncio.wait_for(handle.result(), PATIENCE))["status"] == "completed"
        assert desk.effects(handle) == ["refunded A1"]
    else:
        await handle.execute_update("kill", {})
        await asyncio.wait_for(handle.result(), PATIENCE)
        assert desk.effects(handle) == []


@pytest.mark.parametrize("name", ["olga\nann", "olga\x00", "\x1b[2Jolga", "olga\u2028", "\u200b"])
async def test_a_start_by_a_name_that_nobody_could_read_is_refused_with_words(desk: Desk, name: str) -> None:
    handle = await desk.start("anything", requested_by=name)
    with pytest.raises(WorkflowFailureError) as failed:
        await asyncio.wait_for(handle.result(), PATIENCE)
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "InvalidInput"
    assert "`requested_by`: a name holds" in failed.value.cause.message


@pytest.mark.parametrize("row", KILLS)
@pytest.mark.parametrize("way", ["signal", "update"])
async def test_a_kill_kills_whatever_it_holds(desk: Desk, row: str, way: str) -> None:
    payloads, detail = KILLS[row]
    handle = await desk.start(f"kill: {row}.")
    if way == "signal":
        await handle.signal("kill", args=payloads)
    else:
        await handle.execute_update("kill", args=payloads)
    result = await asyncio.wait_for(handle.result(), PATIENCE)
    assert (result["stop_reason"], result["stop_detail"]) == ("killed", detail)


@pytest.mark.parametrize("row", LOOPS)
async def test_a_loop_stops_at_its_third_decision_and_the_model_is_told_before(desk: Desk, row: str) -> None:
    loop = LOOPS[row]
    handle, result = await desk.run(f"loop: {row}.")
    assert (result["stop_reason"], result["steps"]) == (loop.stop_reason, loop.steps)
    notes = await desk.told(handle, "note")
    assert any("the same results again" in note for note in notes) == loop.told


@pytest.mark.parametrize("row", DENIALS)
async def test_denials_of_a_decision_count_before_any_of_its_calls_begins(desk: Desk, row: str) -> None:
    _, effects, stop_reason = DENIALS[row]
    handle, result = await desk.run(f"denials: {row}.")
    assert (result["stop_reason"], len(desk.effects(handle))) == (stop_reason, effects)
    assert result["spent"]["tool_calls"] == effects


@pytest.mark.parametrize("row", ERRORS)
async def test_a_call_that_must_happen_once_is_never_told_as_failed_on_a_guess(desk: Desk, row: str) -> None:
    _, _, text = ERRORS[row]
    handle, result = await desk.run(f"error: {row}.")
    assert (result["status"], len(desk.effects(handle))) == ("completed", 1)
    assert await desk.told(handle, "result") == [text]


async def test_where_the_tool_cannot_tell_a_person_is_asked(desk: Desk) -> None:
    handle = await desk.start("transfer")
    asked = await desk.asked(handle)
    assert (asked["kind"], asked["groups"]) == ("outcome_unknown", ["ops"])
    answer = {"approval_id": asked["approval_id"], "by": "OLGA", "answer": "happened", "result": "it did"}
    await handle.execute_update("answer", answer)
    assert (await asyncio.wait_for(handle.result(), PATIENCE))["status"] == "completed"
    assert len(desk.effects(handle)) == 1


async def command(desk: Desk, row: str, *words: str) -> tuple[int, str]:
    """The exit code of a command under the redirection of a row, and all that it said."""
    redirection, environment, _ = CONSOLES[row]
    address = desk.runtime.client.service_client.config.target_host
    queue = {"TEMPORAL_ADDRESS": address, "BACKSTAY_TASK_QUEUE": desk.runtime.settings.task_queue}
    line = f'"$0" -m backstay "$@" {redirection}; exit ${{PIPESTATUS[0]}}'
    process = await asyncio.create_subprocess_exec(
        *("/bin/bash", "-c", line, sys.executable, *words),
        env={**os.environ, **queue, **environment},
        stdout=PIPE,
        stderr=STDOUT,
        cwd=ROOT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert b"Traceback" not in said
    return process.returncode or 0, said.decode()


@pytest.mark.parametrize("row", CONSOLES)
async def test_a_kill_has_killed_whatever_becomes_of_its_words(desk: Desk, row: str) -> None:
    handle = await desk.start(f"console: {row}.")
    code, said = await command(desk, row, "kill", handle.id, "--reason", "gr\u00f6\u00dfe \u5b89", "-o", "json")
    assert (code, (await asyncio.wait_for(handle.result(), PATIENCE))["stop_reason"]) == (0, "killed"), said
    if row == "ascii":
        assert json.loads(said[said.index("{") :])["result"]["stop_detail"].endswith("gr\u00f6\u00dfe \u5b89")


async def test_a_run_is_shown_where_it_can_be_and_else_the_exit_code_says_so(desk: Desk) -> None:
    handle, _ = await desk.run("loop: two equal decisions.")
    shown = [await command(desk, row, "show", handle.id) for row in ("ascii", "a full disk")]
    assert [code for code, _ in shown] == [0, 1]
    assert re.search(r" #+\.+$", shown[0][1], re.MULTILINE)
    assert "the output could not be written" in shown[1][1]


async def test_the_page_of_a_run_holds_no_live_markdown(desk: Desk) -> None:
    goal = "kill: nothing. ![x](http://host.example/p.png) <img src=x>"
    handle = await desk.start(goal)
    shown = ""
    while not shown:
        shown = (await handle.query("__temporal_workflow_metadata")).current_details
    assert f"**Goal:** `{goal}`" in shown
    await handle.signal("kill")
    await asyncio.wait_for(handle.result(), PATIENCE)
