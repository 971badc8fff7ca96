"""A flood of messages ends no run without a result, and makes none deaf: whoever may write to the namespace may try."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from backstay.adapters.engine.dev_server import dev_server
from backstay.cli.commands import answers, kill, pause
from backstay.cli.shell.failure import report
from backstay.cli.shell.terminal import Output
from backstay.errors import BackstayError
from backstay.kernel import history
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

Handle = WorkflowHandle[Any, Any]
Desk = Callable[..., AbstractAsyncContextManager[LocalRuntime]]

TOML = "[approval]\nrequire = { pay = 'finance' }\ngroups = { finance = ['alice'] }\n"
TOOLS = '''
import asyncio
from backstay.tools import tool

@tool(effect="once")
def pay(amount: int) -> str:
    """Pays."""
    return f"paid {amount}"

@tool(effect="read")
async def wait() -> str:
    """Takes its time."""
    await asyncio.sleep(3600)
    return "waited"
'''
SCRIPTS = {
    "pay": [Reply(calls=[Call("pay", {"amount": 5})]), Reply("done")],
    "wait": [Reply(calls=[Call("wait", {})]), Reply("done")],
}
TASK_FAILED = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
LARGE = {"x": "y" * 1_900_000}


@pytest.fixture
def desk(client: Client, agent_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Desk:
    """An agent that pays with an approval, or waits, and the environment of a command that speaks to its runs."""

    @asynccontextmanager
    async def opened(client: Client = client) -> AsyncGenerator[LocalRuntime]:
        agents = agent_folder(toml=TOML, tools=TOOLS)
        monkeypatch.setenv("TEMPORAL_ADDRESS", client.service_client.config.target_host)
        for module in ("answers", "kill", "pause"):
            monkeypatch.setattr(f"backstay.cli.work.{module}.run_loop", lambda work: work)
        async with local_runtime(SCRIPTS, agents=agents, client=client, worker=False) as runtime:
            monkeypatch.setenv("BACKSTAY_TASK_QUEUE", runtime.settings.task_queue)
            yield runtime

    return opened


async def started(runtime: LocalRuntime, goal: str) -> Handle:
    return await runtime.start({"goal": goal, "agent": "clerk"})


async def asked(handle: Handle) -> str:
    """The id of the one open approval, once it is there."""
    async with asyncio.timeout(30):
        while not (pending := (await handle.query("status"))["pending_approvals"]):
            await asyncio.sleep(0.05)
    return pending[0]["approval_id"]


async def waits(handle: Handle) -> None:
    """Waits until the run's call is under way."""
    async with asyncio.timeout(30):
        while "act-1-0" not in [
            one.activity_id for one in (await handle.describe()).raw_description.pending_activities
        ]:
            await asyncio.sleep(0.05)


async def flooded(handle: Handle, signals: int) -> None:
    """Sends signals until the run has closed."""
    with contextlib.suppress(RPCError):
        for _ in range(signals):
            await handle.signal("pause", {"by": "olga", "reason": "r" * 1_000})


async def command(run: Callable[..., Any], handle: Handle, *given: Any, **more: Any) -> int:
    """Runs a command of a run in this test's own loop."""
    try:
        return await run(handle.id, *given, output=Output.JSON, **more)
    except BackstayError as error:
        return report(error)


async def result(handle: Handle) -> dict[str, Any]:
    return await asyncio.wait_for(handle.result(), 60)


async def full(handle: Handle) -> list[dict[str, Any]]:
    """The facts of the audit about a full history."""
    items = (await handle.query("audit"))["items"]
    return [item["facts"] for item in items if item["event"] == "history_full"]


async def test_a_real_flood_before_the_first_task_leaves_a_result(desk: Desk) -> None:
    async with desk() as runtime:
        handle = await started(runtime, "pay")
        await asyncio.gather(*(handle.signal("approve", LARGE) for _ in range(27)))
        async with runtime.serving():
            ended = await result(handle)
            assert (ended["status"], ended["stop_reason"], ended["stop_detail"]) == (
                "stopped",
                "budget_exhausted",
                "history",
            )
            assert ended["spent"]["model_calls"] == 0
            (facts,) = await full(handle)
            assert facts["size"] > 50_000_000


async def test_a_flood_of_names_that_are_long_to_read_keeps_no_run(desk: Desk) -> None:
    names = ["㌖" * 195, "㌖" * 33, "%" + "25" * 95, "a" * 190 + '"@']
    async with desk() as runtime:
        handle = await started(runtime, "pay")
        for number in range(160):
            await handle.signal("approve", {"approval_id": "apr_x", "by": f"{names[number % 4]}{number:03d}"})
        await handle.signal("kill", {"by": "olga", "reason": "enough"})
        async with runtime.serving():
            assert (await result(handle))["stop_reason"] == "killed"
        failed = [event async for event in handle.fetch_history_events() if event.event_type == TASK_FAILED]
        assert not failed


@pytest.mark.parametrize("limit", ["MOST_BYTES", "MOST_EVENTS", "MOST_SIGNALS"])
async def test_a_run_that_waits_for_people_closes_before_its_history_is_full(
    desk: Desk, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk() as runtime, runtime.serving():
        handle = await started(runtime, "pay")
        await asked(handle)
        monkeypatch.setattr(history, limit, {"MOST_BYTES": 40_000, "MOST_EVENTS": 60, "MOST_SIGNALS": 30}[limit])
        await flooded(handle, 60)
        ended = await result(handle)
        assert (ended["stop_reason"], ended["stop_detail"]) == ("budget_exhausted", "history")
        assert (ended["spent"]["tool_calls"], ended["in_flight"]) == (0, [])
        assert len(await full(handle)) == 1


async def test_what_is_in_flight_is_cancelled_and_accounted_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async with desk() as runtime, runtime.serving():
        handle = await started(runtime, "wait")
        await waits(handle)
        monkeypatch.setattr(history, "MOST_SIGNALS", 3)
        for name in ("approve", "nonsense", "resume", "deny"):
            await handle.signal(name, {"by": "olga"})
        ended = await result(handle)
        assert (ended["stop_reason"], ended["stop_detail"]) == ("budget_exhausted", "history")
        assert [(one["tool"], one["outcome"]) for one in ended["in_flight"]] == [("wait", "cancelled")]


async def test_updates_are_refused_before_they_make_the_run_deaf(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflows.run.messages.MOST_UPDATES", 5)
    async with desk() as runtime, runtime.serving():
        handle = await started(runtime, "pay")
        vote = {"approval_id": await asked(handle), "by": "mallory"}
        refused: list[str | None] = []
        for _ in range(8):
            with pytest.raises(WorkflowUpdateFailedError) as caught:
                await handle.execute_update("approve", vote)
            assert isinstance(caught.value.cause, ApplicationError)
            refused.append(caught.value.cause.type)
        assert refused == ["NotInGroup"] * 5 + ["TooManyUpdates"] * 3
        assert (await handle.execute_update("kill", {"by": "olga", "reason": "enough"}))["state"] == "stopping"
        assert (await result(handle))["stop_reason"] == "killed"


async def test_a_command_falls_back_to_a_signal(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("workflows.run.messages.MOST_UPDATES", 0)
    monkeypatch.setattr("backstay.cli.shell.posted._PAUSE_SECONDS", 0.02)
    async with desk() as runtime, runtime.serving():
        handle = await started(runtime, "pay")
        approval_id = await asked(handle)
        assert await command(pause.pause, handle, by="olga") == 0
        assert await command(pause.resume, handle, by="olga") == 0
        assert await command(answers.edit, handle, '{"amount": 1}', by="bob", yes=True) == 1
        assert await command(answers.approve, handle, by="mallory", yes=True) == 1
        assert await command(answers.approve, handle, by="alice", yes=True) == 0
        said = capsys.readouterr()
        states = [json.loads(one) for one in said.out.replace("}\n{", "}\0{").split("\0")]
        assert [one["state"] for one in states] == ["paused", "waiting_approval", "closed"]
        assert said.err.count("Temporal keeps this as a signal") == 4
        assert "a signal of the same name reaches it" in said.err
        assert (await result(handle))["stop_reason"] == "completed"
        assert approval_id == states[-1]["approval_id"]


async def test_a_kill_falls_back_to_a_signal_where_the_server_itself_takes_no_more_updates(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    async with (
        dev_server(features=["history.maxTotalUpdates=2"]) as server,
        desk(server.client) as runtime,
        runtime.serving(),
    ):
        handle = await started(runtime, "pay")
        await asked(handle)
        for name in ("pause", "resume"):
            await handle.execute_update(name, {"by": "olga"})
        assert await command(pause.pause, handle, by="olga") == 0
        assert await command(kill.kill, handle, reason="enough", by="olga") == 0
        assert (await result(handle))["stop_detail"] == "by olga: enough"
        assert "the run takes no more updates" in capsys.readouterr().err
