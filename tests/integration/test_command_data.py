"""What the command writes with `-o json`: programs rely on these shapes. And what scripts rely on beside them."""

import asyncio
import json
import os
import sys
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from backstay.adapters.engine.dev_server import DevServer
from backstay.client.connection import connect
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 100.0
HELP_CPU_SECONDS = 1.5
"""Five times what `--help` takes on a machine that does nothing else."""
TOOLS = '''
from backstay.tools import tool

@tool(effect="read")
def add(left: int, right: int) -> int:
    """Adds two numbers."""
    return left + right

@tool(effect="write")
def pay(amount: int) -> str:
    """Pays."""
    return "paid"
'''
TOML = """
[approval]
require = { pay = "finance" }
groups = { finance = ["alice@example.com", "bob@example.com"] }
"""
PAY = [Reply(calls=[Call("pay", {"amount": 5})]), Reply("done")]
SCRIPTS = {
    "add": [Reply(calls=[Call("add", {"left": 2, "right": 3})]), Reply("it is 5")],
    "approve": PAY,
    "deny": PAY,
    "edit": PAY,
    "work": [Reply("done", delay=600)],
}
LISTED = {
    *("run_id", "execution", "state", "agent", "tenant", "stop_reason", "stop_detail", "pending_approvals", "usd"),
    *("seconds", "started_at", "closed_at"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """A worker of this process, and commands as processes of their own."""

    runtime: LocalRuntime
    environment: dict[str, str]

    async def backstay(self, *arguments: str, **extra: str) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "backstay", *arguments),
            cwd=ROOT,
            env={**self.environment, **extra},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=-1,
            stderr=-1,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    async def data(self, *arguments: str, code: int = 0, **extra: str) -> Any:
        found, out, err = await self.backstay(*arguments, "-o", "json", **extra)
        assert found == code, err
        return json.loads(out)

    async def completed(self, *words: str, **extra: str) -> list[str]:
        """Returns the words that a shell offers for the last one."""
        line = {"COMP_WORDS": " ".join(("backstay", *words)), "COMP_CWORD": str(len(words))}
        code, out, err = await self.backstay(_BACKSTAY_COMPLETE="complete_bash", **line, **extra)
        assert (code, err) == (0, "")
        return out.split()

    async def waiting(self, goal: str) -> str:
        """A run that waits for an approval."""
        handle = await self.runtime.start({"goal": goal, "agent": "clerk"})

        async def asks() -> bool:
            return bool((await handle.query("status"))["pending_approvals"])

        await eventually(asks)
        return handle.id


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await holds():
            await asyncio.sleep(0.05)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(temporal_server: DevServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Place]:
    clerk = tmp_path_factory.mktemp("data") / "agents" / "clerk"
    clerk.mkdir(parents=True)
    (clerk / "agent.toml").write_text('instructions = "You are a careful clerk."\n' + TOML)
    (clerk / "tools.py").write_text(TOOLS)
    client = await connect(target_host=temporal_server.address, namespace="default")
    ours = ("OPENAI_", "BACKSTAY_", "TEMPORAL_", "OTEL_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    async with local_runtime(SCRIPTS, agents=clerk.parent, client=client) as runtime:
        environment = {
            **kept,
            "PYTHONPATH": str(ROOT),
            "TEMPORAL_ADDRESS": temporal_server.address,
            "OPENAI_BASE_URL": runtime.model.base_url,
            "OPENAI_API_KEY": "sk-not-to-be-shown",
            "BACKSTAY_AGENTS": str(clerk.parent),
            "BACKSTAY_TASK_QUEUE": runtime.settings.task_queue,
            "BACKSTAY_USER": "alice@example.com",
        }
        yield Place(runtime, environment)


async def test_a_result_and_its_line_in_the_list(place: Place) -> None:
    run_id = f"add-{uuid.uuid4()}"
    await place.runtime.run_to_end({"goal": "add", "agent": "clerk"}, run_id)
    result, listed = await asyncio.gather(place.data("result", run_id), place.data("list", "-a", "clerk"))
    assert {"run_id", "agent", "tenant", "status", "stop_reason", "answer", "spent", "budget"} <= set(result)
    assert (result["status"], result["answer"]) == ("completed", "it is 5")
    assert set(listed) == {"runs"}
    assert all(set(one) == LISTED for one in listed["runs"])
    code, out, err = await place.backstay("result", f"none-{uuid.uuid4()}", "-o", "json")
    assert (code, err) == (4, "")
    assert "there is no run" in json.loads(out)["error"]["what"]


async def test_pause_and_resume(place: Place) -> None:
    run_id = await place.waiting("approve")
    assert await place.data("pause", run_id) == {"run_id": run_id, "state": "paused"}
    resumed = await place.data("resume", run_id)
    assert set(resumed) == {"run_id", "state"}
    assert resumed["state"] != "paused"


async def test_approvals_and_their_answers(place: Place) -> None:
    approved, denied, edited = await asyncio.gather(*(place.waiting(goal) for goal in ("approve", "deny", "edit")))

    async def indexed() -> bool:
        found = (await place.data("approvals"))["approvals"]
        return {approved, denied, edited} <= {one["run_id"] for one in found}

    await eventually(indexed)
    listed = (await place.data("approvals"))["approvals"]
    one = next(one for one in listed if one["run_id"] == approved)
    assert {"run_id", "agent", "approval_id", "tool", "args", "groups", "required", "answered_by", "expires_at"} <= set(
        one
    )
    assert (one["agent"], one["tool"], one["args"]) == ("clerk", "pay", {"amount": 5})
    assert one["approvers"] == ["alice@example.com", "bob@example.com"]
    yes, no, changed = await asyncio.gather(
        place.data("approve", approved),
        place.data("deny", denied, "-c", "not today"),
        place.data("edit", edited, "--args", '{"amount": 4}'),
    )
    assert set(yes) == set(no) == {"approval_id", "state", "answered_by"}
    assert (yes["state"], no["state"]) == ("closed", "closed")
    assert {"outcome", "replaced_by"} <= set(changed)
    assert changed["outcome"] == "require_approval"
    assert (await place.data("result", approved))["answer"] == "done"


async def test_an_answer_to_what_is_not_open_is_refused_by_the_run_and_stands_in_its_audit(place: Place) -> None:
    run_id = await place.waiting("approve")
    for wrong in ("apr_nobody-asked", "apr_another"):
        code, out, err = await place.backstay("approve", run_id, wrong)
        assert (code, out) == (1, "")
        assert "why: the run has no approval of that id" in err
    handle = place.runtime.client.get_workflow_handle(run_id)
    refused = [record for record in (await handle.query("audit"))["items"] if record["event"] == "message_refused"]
    assert len(refused) == 2
    assert (await handle.query("status"))["state"] == "waiting_approval"
    assert (await place.backstay("kill", run_id, "--reason", "enough"))[0] == 0


async def test_who_may_not_answer_is_told_who_may_and_by_which_command(place: Place) -> None:
    handle = await place.runtime.start({"goal": "approve", "agent": "clerk", "requested_by": "carol@example.com"})

    async def asks() -> bool:
        return bool((await handle.query("status"))["pending_approvals"])

    await eventually(asks)
    code, _, err = await place.backstay("approve", handle.id, "--by", "carol@example.com")
    approval = (await handle.query("status"))["pending_approvals"][0]["approval_id"]
    assert code == 1
    assert "do: let alice@example.com or bob@example.com answer: " in err
    assert f" -m backstay approve {handle.id} {approval} --by alice@example.com\n" in err
    code, _, err = await place.backstay("approve", handle.id, "--by", "bob@example.com")
    assert (code, err.splitlines()[-1]) == (0, "approved: the call goes ahead")
    await handle.result()
    code, out, err = await place.backstay("approve", handle.id)
    assert (code, out) == (1, "")
    assert err.startswith(f"backstay: the run `{handle.id}` has closed already: completed\n")


async def test_a_run_that_was_ended_refuses_an_answer_at_once_with_its_state(place: Place) -> None:
    run_id = await place.waiting("approve")
    await place.runtime.client.get_workflow_handle(run_id).terminate(reason="enough")
    for command in (("approve", run_id), ("answer", run_id, "stop"), ("pause", run_id)):
        code, out, err = await place.backstay(*command)
        assert (code, out) == (1, "")
        assert err.startswith(f"backstay: the run `{run_id}` has closed already: terminated\n"), command


async def test_where_nothing_waits_the_state_of_the_run_is_told(place: Place) -> None:
    handle = await place.runtime.start({"goal": "work", "agent": "clerk"})
    code, _, err = await place.backstay("deny", handle.id)
    assert code == 2
    assert f"backstay: nothing waits for approval in `{handle.id}`: its state is `running`" in err
    await handle.terminate()


async def test_without_a_server_the_doctor_exits_with_5(place: Place) -> None:
    found = await place.data("doctor", code=5, TEMPORAL_ADDRESS="127.0.0.1:1")
    assert not found["well"]


async def test_an_agent_and_an_explanation(place: Place) -> None:
    shown, explained = await asyncio.gather(
        place.data("show", "--agent", "clerk"),
        place.data("policy", "explain", "clerk", "pay", "--args", '{"amount": 5}'),
    )
    assert set(shown) == {"agent", "folder", "agent_version", "policy_version", "settings", "tools"}
    assert all(set(one) == {"key", "value", "source"} for one in shown["settings"])
    assert set(shown["tools"][0]) == {
        *("name", "description", "effect", "timeout_seconds", "groups", "exposure", "arguments", "permits", "forbids"),
    }
    assert set(explained) == {
        *("agent", "tool", "outcome", "code", "message", "groups", "deciding", "rules", "facts", "context"),
        *("left_out", "errors", "changes", "observed", "policy_version"),
    }
    assert all(set(rule) == {"id", "effect", "origin", "where", "approval", "reason"} for rule in explained["rules"])
    assert (explained["outcome"], explained["groups"]) == ("require_approval", ["finance"])


async def test_the_doctor_finds_all_well_or_names_the_mend(place: Place) -> None:
    well, ill = await asyncio.gather(
        place.data("doctor", BACKSTAY_MODEL_PRICE="input=0.25,output=2.00"),
        place.data("doctor", code=1, BACKSTAY_TASK_QUEUE="nobody-serves", OPENAI_BASE_URL="http://127.0.0.1:1/v1"),
    )
    assert set(well) == {"well", "settings", "checks"}
    names = ["temporal", "namespace", "search attributes", "workers", "control plane"]
    names += ["agents", "policies", "archive", "approvers", "fairness", "model"]
    assert [(one["name"], one["ok"]) for one in well["checks"]] == [(name, True) for name in names]
    assert all(set(one) == {"name", "ok", "detail", "mend"} for one in well["checks"])
    assert "sk-not-to-be-shown" not in json.dumps(well)
    assert {"variable": "OPENAI_API_KEY", "value": "(set)", "source": "environment"} in well["settings"]
    wrong = {one["name"]: one["mend"] for one in ill["checks"] if not one["ok"]}
    assert wrong["workers"] == "start one with `backstay worker`, or `backstay dev`"
    assert set(wrong) == {"workers", "model"}


async def test_a_run_and_a_saved_history_replay(place: Place, tmp_path: Path) -> None:
    run_id = f"replayed-{uuid.uuid4()}"
    await place.runtime.run_to_end({"goal": "add", "agent": "clerk"}, run_id)
    saved = ROOT / "tests" / "workflow" / "histories" / "completed.json"
    changed, broken = tmp_path / "changed.json", tmp_path / "broken.json"
    changed.write_text(saved.read_text().replace('"name": "act"', '"name": "perform"'))
    broken.write_text("{")
    (live, of_file, differs, unread) = await asyncio.gather(
        *(place.backstay("replay", str(what)) for what in (run_id, saved, changed, broken))
    )
    assert [live[0], of_file[0], differs[0], unread[0]] == [0, 0, 1, 2]
    assert live[1].count("\n") == of_file[1].count("\n") == differs[1].count("\n") == 1
    assert "Activity type of scheduled event 'perform'" in differs[1]
    assert "is no saved history" in unread[2]


async def test_a_program_reads_what_replays_and_what_does_not(place: Place, tmp_path: Path) -> None:
    saved = ROOT / "tests" / "workflow" / "histories" / "completed.json"
    changed = tmp_path / "changed.json"
    changed.write_text(saved.read_text().replace('"name": "act"', '"name": "perform"'))
    same, differs = await asyncio.gather(place.data("replay", str(saved)), place.data("replay", str(changed), code=1))
    assert set(same) == {"what", "events", "replays", "difference"}
    assert (same["what"], same["replays"], same["difference"]) == (str(saved), True, None)
    assert (differs["replays"], "'perform'" in differs["difference"]) == (False, True)


async def test_no_color_leaves_no_escapes(place: Place) -> None:
    code, out, err = await place.backstay("doctor", NO_COLOR="1", FORCE_COLOR="1", TERM="xterm-256color")
    assert code in (0, 1)
    assert "\x1b[3" not in out + err


async def test_help_is_fast_and_completion_knows_the_commands(place: Place) -> None:
    probe = "import time; from backstay.cli import execute; execute(['--help']); print(time.process_time())"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", probe, cwd=ROOT, env=place.environment, stdout=-1
    )
    out, _ = await process.communicate()
    assert "codec-server" in out.decode()
    assert float(out.decode().splitlines()[-1]) < HELP_CPU_SECONDS
    _, script, _ = await place.backstay("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "_BACKSTAY_COMPLETE=complete_bash" in script
    found = [await place.completed(*words) for words in (("po",), ("policy", "ex"), ("kill", "--re"))]
    assert found == [["policy"], ["explain"], ["--reason"]]


async def test_completion_knows_runs_agents_and_states_and_is_silent_without_a_server(place: Place) -> None:
    run_id = f"completed-{uuid.uuid4()}"
    await place.runtime.run_to_end({"goal": "add", "agent": "clerk"}, run_id)
    found = await asyncio.gather(
        place.completed("transcript", run_id[:20]),
        place.completed("run", "x", "--agent", "cl"),
        place.completed("list", "--state", "wait"),
        place.completed("list", "--stop-reason", "budget"),
        place.completed("show", run_id[:20], TEMPORAL_ADDRESS="127.0.0.1:1"),
    )
    assert found == [[run_id], ["clerk"], ["waiting_approval", "waiting_input"], ["budget_exhausted"], []]
