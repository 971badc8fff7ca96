"""Lists and `show` say where a run really stands: the engine's own word wins over what a run wrote last."""

import asyncio
import json
import os
import sys
import uuid
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import WorkflowFailureError
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from backstay.adapters.engine.dev_server import DevServer
from backstay.client.client import BackstayClient
from backstay.client.connection import connect
from backstay.client.fleet import Listed, RunFilter, runs, waiting_approvals
from backstay.contracts.status import RunStatusView
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0
TOML = """
[budget]
tool_calls = 2
seconds_exclude_approvals = false

[approval]
expires_after = "10m"
require = { pay = "finance" }
groups = { finance = ["alice@example.com"] }
"""
TOOLS = '''
from backstay.tools import tool

@tool(effect="write")
def pay(amount: int) -> str:
    """Pays."""
    return "paid"

@tool(effect="read")
def look(key: int) -> str:
    """Looks."""
    return f"value {key}"
'''
SCRIPTS: dict[str, Any] = {
    "answer": [Reply("done")],
    "wait": [Reply(calls=[Call("pay", {"amount": 5})]), Reply("done")],
    "spend": [Reply(calls=[Call("look", {"key": number})]) for number in range(9)],
}
ENDED = {"completed", "stopped", "failed", "canceled", "terminated", "queued", "waiting_approval"}


@dataclass(frozen=True, slots=True)
class Place:
    """Runs in every state, and the commands that look at them."""

    runtime: LocalRuntime
    environment: dict[str, str]
    ids: dict[str, str]

    @property
    def client(self) -> BackstayClient:
        return BackstayClient(self.runtime.client, self.runtime.settings.task_queue, patience=PATIENCE)

    async def listed(self, **wanted: Any) -> dict[str, Listed]:
        queue = self.runtime.settings.task_queue
        found = [one async for one in runs(self.runtime.client, RunFilter(**wanted), task_queue=queue)]
        return {one.run_id: one for one in found}

    async def backstay(self, *arguments: str, stdin: str | None = None, **extra: str) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "backstay", *arguments),
            cwd=ROOT,
            env={**self.environment, **extra},
            stdin=-1 if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=-1,
            stderr=-1,
        )
        given = stdin.encode() if stdin is not None else None
        out, err = await asyncio.wait_for(process.communicate(given), PATIENCE)
        assert "Traceback" not in err.decode(), err.decode()
        return process.returncode or 0, out.decode(), err.decode()

    async def rows(self) -> dict[str, dict[str, Any]]:
        """Returns the command's list, by run."""
        code, out, err = await self.backstay("list", "-o", "json")
        assert code == 0, err
        return {one["run_id"]: one for one in json.loads(out)["runs"]}

    async def shown(self, run_id: str) -> dict[str, Any]:
        """Returns what the command shows of a run, once a worker has answered it."""
        async with asyncio.timeout(PATIENCE):
            while True:
                shown = json.loads((await self.backstay("show", run_id, "-o", "json"))[1])
                if shown.get("status"):
                    return shown


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(temporal_server: DevServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Place]:
    clerk = tmp_path_factory.mktemp("states") / "agents" / "clerk"
    clerk.mkdir(parents=True)
    (clerk / "agent.toml").write_text('instructions = "You are a careful clerk."\n' + TOML)
    (clerk / "tools.py").write_text(TOOLS)
    client = await connect(target_host=temporal_server.address, namespace="default")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "BACKSTAY_", "TEMP"))}
    async with local_runtime(SCRIPTS, agents=clerk.parent, client=client) as runtime:
        environment = {
            **kept,
            "TEMPORAL_ADDRESS": temporal_server.address,
            "BACKSTAY_AGENTS": str(clerk.parent),
            "BACKSTAY_TASK_QUEUE": runtime.settings.task_queue,
        }
        yield Place(runtime, environment, await _runs(runtime))


async def _runs(runtime: LocalRuntime) -> dict[str, str]:
    """A run in each state, as the index tells it."""
    goals = {
        "completed": "answer",
        "stopped": "spend",
        **dict.fromkeys(("waiting_approval", "terminated", "canceled"), "wait"),
    }
    handles = {state: await runtime.start({"goal": goal, "agent": "clerk"}) for state, goal in goals.items()}
    handles["failed"] = await runtime.start({"goal": "x", "agent": "clrk"})
    asked = BackstayClient(runtime.client, runtime.settings.task_queue, patience=PATIENCE)
    for state in ("terminated", "canceled", "waiting_approval"):
        while not (await asked.status(handles[state].id)).pending_approvals:
            await asyncio.sleep(0.05)
    await handles["terminated"].terminate(reason="the order was wrong")
    await handles["canceled"].cancel()
    ids = {state: handle.id for state, handle in handles.items()}
    queue = runtime.settings.task_queue
    queued = f"queued-{uuid.uuid4()}"
    delay = timedelta(hours=1)
    await runtime.client.start_workflow("AgentRun", {"goal": "later"}, id=queued, task_queue=queue, start_delay=delay)
    ids["queued"] = queued
    async with asyncio.timeout(PATIENCE):
        while {one.run_id: one.state async for one in runs(runtime.client, RunFilter(), task_queue=queue)} != {
            run_id: state for state, run_id in ids.items()
        }:
            await asyncio.sleep(0.2)
    return ids


async def test_each_filter_finds_the_runs_that_are_shown_so_and_no_other(place: Place) -> None:
    for state, run_id in place.ids.items():
        assert set(await place.listed(state=state)) == {run_id}, state
    closed = {place.ids[state] for state in ("completed", "stopped", "failed", "canceled", "terminated")}
    assert set(await place.listed(state="closed")) == closed
    for reason in ("completed", "budget_exhausted", "invalid_input", "canceled", "terminated"):
        found = await place.listed(stop_reason=reason)
        assert [one.stop_reason for one in found.values()] == [reason]
    assert await place.listed(stop_reason="killed") == {}


async def test_a_run_that_the_engine_ended_waits_for_nobody_and_has_a_reason(place: Place) -> None:
    rows = await place.listed()
    ended = rows[place.ids["terminated"]]
    assert (ended.stop_reason, ended.stop_detail) == ("terminated", "the order was wrong")
    assert (ended.pending_approvals, rows[place.ids["canceled"]].pending_approvals) == (0, 0)
    assert rows[place.ids["canceled"]].stop_reason == "canceled"
    waiting = await waiting_approvals(place.runtime.client, task_queue=place.runtime.settings.task_queue)
    assert [one.run_id for one in waiting] == [place.ids["waiting_approval"]]
    assert rows[place.ids["stopped"]].stop_detail == "tool_calls"
    refused = rows[place.ids["failed"]]
    assert refused.stop_reason == "invalid_input"
    assert "did you mean `clerk`? served are `clerk`, `default`" in (refused.stop_detail or "")


async def test_an_open_run_is_asked_for_its_seconds_and_spend_up_to_now(place: Place) -> None:
    waiting = place.ids["waiting_approval"]
    before = (await place.client.status(waiting)).spent.seconds
    async with asyncio.timeout(PATIENCE):
        while (after := (await place.client.status(waiting)).spent).seconds <= before:
            await asyncio.sleep(0.2)
    async with asyncio.timeout(PATIENCE):
        rows = await place.rows()
        while rows[waiting]["seconds"] is None:  # a list waits two seconds for an answer, and says so if none comes
            rows = await place.rows()
    assert {one["state"] for one in rows.values()} == ENDED
    assert rows[waiting]["seconds"] >= after.seconds
    assert rows[waiting]["usd"] == after.usd
    assert rows[place.ids["completed"]]["usd"] == (await place.client.result(place.ids["completed"])).spent.usd


async def test_what_a_run_says_of_itself_now_counts_more_than_what_the_index_last_heard(place: Place) -> None:
    waiting, queue = place.ids["waiting_approval"], place.runtime.settings.task_queue

    async def ask(run_id: str) -> RunStatusView:
        status = await place.client.status(run_id)
        later = status.spent.model_copy(update={"usd": "0.40", "seconds": 4_000})
        return status.model_copy(update={"spent": later})

    wanted = RunFilter(state="waiting_approval")
    [row] = [one async for one in runs(place.runtime.client, wanted, task_queue=queue, ask=ask)]
    assert (row.run_id, row.usd, row.seconds) == (waiting, "0.40", 4_000)


async def test_the_runs_of_an_agent_hold_the_starts_that_were_refused_it_and_nobody_vouches_for_them(
    place: Place,
) -> None:
    refused = place.ids["failed"]
    assert set(await place.listed(agent="clrk")) == {refused}
    assert set(await place.listed(agent="clrk", state="failed", stop_reason="invalid_input")) == {refused}
    assert refused not in await place.listed(agent="clerk")
    assert refused in await place.listed(tenant="default")
    (code, out, said), (_, data, _) = await asyncio.gather(
        place.backstay("list", "-a", "clrk"), place.backstay("list", "-a", "clrk", "-o", "json")
    )
    assert code == 0
    assert "invalid_input: `agent`: no agent of that name" in out
    assert "1 start was refused" in said
    assert " list --stop-reason invalid_input\n" in said
    (one,) = json.loads(data)["runs"]
    assert (one["run_id"], one["agent"], one["tenant"]) == (refused, None, None)


async def test_what_a_starter_wrote_of_a_refused_run_is_not_vouched_for(place: Place) -> None:
    run_id, queue = f"forged-{uuid.uuid4()}", place.runtime.settings.task_queue
    key = SearchAttributeKey.for_keyword("BackstayAgent")
    attributes = TypedSearchAttributes([SearchAttributePair(key, "clerk")])
    handle = await place.runtime.client.start_workflow(
        "AgentRun", {"agent": "forger"}, id=run_id, task_queue=queue, search_attributes=attributes
    )
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    async with asyncio.timeout(60):
        while run_id not in (rows := await place.listed(stop_reason="invalid_input")):
            await asyncio.sleep(0.2)
    assert rows[run_id].agent is None
    assert run_id not in await place.listed(agent="clerk")


@pytest.mark.parametrize("command", [("list",), ("approvals",), ("policy", "check", "--observed"), ("list", "-a", "x")])
async def test_a_task_queue_without_runs_is_named_with_how_to_look_at_another(
    place: Place, command: tuple[str, ...]
) -> None:
    code, out, said = await place.backstay(*command, "-o", "json", BACKSTAY_TASK_QUEUE="nobodys")
    assert code == 0
    assert not any(json.loads(out).values())
    assert "no runs on task queue `nobodys`; set BACKSTAY_TASK_QUEUE if the workers serve another, such as `" in said


async def test_show_says_the_same_word_as_the_list(place: Place) -> None:
    states = ["completed", "stopped", "waiting_approval", "terminated"]
    shown = await asyncio.gather(*(place.shown(place.ids[state]) for state in states))
    rows = await place.rows()
    assert [one["state"] for one in shown] == states
    assert [rows[one["run_id"]]["state"] for one in shown] == states
    gone = shown[-1]
    assert (gone["status"]["state"], gone["status"]["pending_approvals"]) == ("closed", [])
    assert "the order was wrong" in gone["problem"]


@pytest.mark.parametrize(("command", "state"), [("result", "failed"), ("watch", "failed"), ("watch", "terminated")])
async def test_a_result_that_is_none_exits_as_the_help_says(place: Place, command: str, state: str) -> None:
    code, out, _ = await place.backstay(command, place.ids[state], "-o", "json")
    assert code == 1
    assert set(json.loads(out.splitlines()[-1])["error"]) == {"code", "what", "why", "do"}


EXIT_CODES = {"completed": 0, "stopped": 3, "failed": 1}


@pytest.mark.parametrize("command", ["result", "watch"])
async def test_whoever_waits_for_the_end_of_a_run_gets_the_exit_codes_of_the_help(place: Place, command: str) -> None:
    runs_of = [*(place.ids[state] for state in EXIT_CODES), "nobody"]
    ended = await asyncio.gather(*(place.backstay(command, run_id) for run_id in runs_of))
    assert [code for code, *_ in ended] == [*EXIT_CODES.values(), 4]


async def test_a_result_that_does_not_come_in_time_exits_with_124(place: Place) -> None:
    code, out, _ = await place.backstay("result", place.ids["waiting_approval"], "--timeout", "1s", "-o", "json")
    assert (code, json.loads(out)["error"]["code"]) == (124, "TimedOut")


async def test_a_run_is_watched_in_lines_of_json_and_its_goal_may_come_from_standard_input(place: Place) -> None:
    run_id = f"piped-{uuid.uuid4()}"
    code, out, _ = await place.backstay("run", "-", "-a", "clerk", "--id", run_id, "-o", "json", stdin="answer\nme\n")
    assert (code, json.loads(out)["answer"]) == (0, "done")
    _, lines, _ = await place.backstay("watch", run_id, "-o", "json")
    first, *_, last = (json.loads(line) for line in lines.splitlines())
    assert first["item"]["text"] == "answer\nme"
    assert last["result"]["run_id"] == run_id
