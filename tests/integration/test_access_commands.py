"""`backstay access` and `control`: a blocked tool is denied in a run, and a loss is seen, confirmed and over."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest

from backstay.adapters.engine.dev_server import dev_server
from backstay.cli import execute
from backstay.client.control_plane import PlaneState, block, in_force
from backstay.client.health import Check, server_checks
from backstay.contracts import names
from backstay.contracts.control import AccessOrder
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

Command = Callable[..., Any]

TOOLS = '''
from backstay.tools import tool

@tool(effect="write")
def send_email(text: str) -> str:
    """Sends an email."""
    return "sent"
'''
SEND = Reply(calls=[Call("send_email", {"text": "hello"})])
WHY = ("--reason", "mails loop", "--by", "olga")


@pytest.fixture
async def runtime(agent_folder: Callable[..., Path]) -> AsyncGenerator[LocalRuntime]:
    """Runs that send an email, on a server of their own with a control plane of its own."""
    agents = agent_folder(tools=TOOLS)
    async with dev_server() as server, local_runtime([SEND, Reply("done")], agents=agents, client=server.client) as one:
        yield one


@pytest.fixture
def command(runtime: LocalRuntime) -> Command:
    """Runs a command as a process of its own; returns its exit code and what it wrote."""
    environment = {
        **os.environ,
        "TEMPORAL_ADDRESS": runtime.client.service_client.config.target_host,
        "BACKSTAY_TASK_QUEUE": runtime.settings.task_queue,
        "BACKSTAY_AGENTS": str((runtime.settings.agents or [])[0]),
        "OPENAI_BASE_URL": runtime.model.base_url,
        "COLUMNS": "200",
    }

    async def called(*words: str) -> tuple[int | None, str, str]:
        given = (sys.executable, "-m", "backstay", *words)
        process = await asyncio.create_subprocess_exec(*given, stdout=PIPE, stderr=PIPE, env=environment)
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()

    return called


@pytest.mark.timeout(180)
async def test_a_tool_is_blocked_in_runs_and_a_loss_is_seen_and_confirmed(
    runtime: LocalRuntime, command: Command
) -> None:
    code, out, err = await command("access", "block", "--tool", "send_email", "--agent", "clerk", *WHY)
    assert (code, out, err) == (0, "", "send_email for agent clerk: blocked, within two seconds everywhere\n")
    await asyncio.sleep(2)  # as old as a copy may be
    handle = await runtime.start({"goal": "send", "agent": "clerk"})
    assert (await handle.result())["spent"]["tool_calls"] == 0

    await runtime.client.get_workflow_handle(names.CONTROL_ID).terminate()
    async with asyncio.timeout(60):
        while (await in_force(runtime.client)).state is not PlaneState.UNCONFIRMED:
            await asyncio.sleep(0.2)
    code, out, err = await command("access", "block", "--tool", "sendemail", "-o", "json", *WHY)
    assert (code, json.loads(out)["blocked"], json.loads(out)["confirmed"]) == (0, True, False)
    assert "effects and new decisions wait, whatever was ordered" in err
    assert "warning: no agent of the local folders has a tool `sendemail`: did you mean `send_email`?" in err
    code, out, err = await command("control", "status", "-o", "json")
    found = json.loads(out)
    assert (code, found["state"], found["workers"]) == (0, "unconfirmed", 1)
    assert [one["tool"] for one in found["in_force"]["blocks"]] == ["sendemail"]
    assert [one["tool"] for one in found["last_known"]["blocks"]] == ["send_email"]

    code, out, err = await command("control", "confirm", *WHY)
    assert (code, err) == (0, "confirmed; 2 blocks in force\n")
    [of_clerk, of_all] = [line.split()[:4] for line in out.splitlines() if "olga" in line]
    assert (of_clerk, of_all) == (["send_email", "clerk", "all", "olga"], ["sendemail", "all", "all", "olga"])
    code, out, err = await command("access", "allow", "--tool", "send_email", *WHY)
    assert (code, out) == (0, "")
    said = ["send_email for all: not blocked", "send_email for agent clerk: blocked by olga, as before"]
    assert err.splitlines() == said


async def test_the_doctor_says_what_the_control_plane_holds_back_and_how_to_go_on(
    runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", runtime.client.service_client.config.target_host)

    async def seen() -> Check:
        [found] = [check async for check in server_checks(runtime.settings) if check.name == "control plane"]
        return found

    assert (await seen()).detail == "confirmed, nothing is stopped or blocked"
    order = {"by": "olga", "reason": "mails loop"}
    for number in range(5):
        await block(runtime.client, AccessOrder(**order, tool=f"tool{number}", tenant="acme"))
    held = await seen()
    assert (held.ok, held.doubtful, held.mend) == (True, True, "see `backstay control status`")
    assert held.detail.startswith("tool0 is blocked for tenant acme by olga: mails loop; ")
    assert held.detail.endswith("; and 2 more")
    await runtime.client.get_workflow_handle(names.CONTROL_ID).terminate()
    lost = await seen()
    assert (lost.ok, "it was lost" in lost.detail, "control confirm" in lost.mend) == (False, True, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["access", "block", "--tool", "*", "--reason", "x"], "expected the whole name of one tool"),
        (["access", "block", "--tool", "pay", "--agent", "a b", "--reason", "x"], "`--agent` cannot be used"),
        (["access", "allow", "--tool", "pay", "--reason", " "], "an order needs a reason"),
        (["access", "limit", "--tenant", "acme", "--runs", "few", "--reason", "x"], "expected a whole number of runs"),
        (["access", "limit", "--tenant", "acme", "--runs", "-1", "--reason", "x"], "expected a whole number of runs"),
        (["control", "confirm", "--reason", "", "--by", "olga"], "an order needs a reason"),
    ],
)
def test_what_cannot_be_an_order_is_refused_before_anybody_is_asked(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    assert execute(words) == 2
    assert said in capsys.readouterr().err
