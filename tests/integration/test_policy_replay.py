"""`backstay policy replay`: a candidate bundle against the calls of past runs, and past calls as cases."""

import asyncio
import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

from backstay.adapters.engine.dev_server import dev_server
from backstay.cli import execute
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

from .commands import Command, command_of

SOAK = bool(os.environ.get("BACKSTAY_SOAK"))
RUNS = 200 if SOAK else 20
AT_ONCE = 20
TOOLS = '''
from backstay.tools import tool

@tool(effect="write")
def issue_refund(order_id: str, amount: int) -> str:
    """Refunds an order."""
    return f"refunded {amount}"

@tool(effect="write")
def close_account(account: str) -> str:
    """Closes an account."""
    return "closed"
'''
GROUPS = '[groups]\nfinance = ["alice"]\n'
CLOSING = """
@id("close-account") @approval("finance")
forbid(principal, action == Action::"close_account", resource);
"""
WRONG = """
@id("refund-cap") @reason("refunds end at 50")
forbid(principal, action == Action::"issue_refund", resource) when { context.input.amount > 50 };
"""
FIXED = """
@id("refund-cap") @reason("refunds end at 500")
forbid(principal, action == Action::"issue_refund", resource) when { context.input.amount > 500 };
@id("refund-large") @approval("finance")
forbid(principal, action == Action::"issue_refund", resource) when { context.input.amount > 100 };
@id("refund-negative")
forbid(principal, action == Action::"issue_refund", resource) when { context.input.amount < 0 };
"""
AMOUNTS = (-5, 5, 50, 51, 100, 101, 500, 501, 20, 75)
CHANGES = {
    -5: ("allow", "deny", "refund-negative"),
    51: ("deny", "allow", "listed-tools"),
    75: ("deny", "allow", "listed-tools"),
    100: ("deny", "allow", "listed-tools"),
    101: ("deny", "require_approval", "refund-large"),
    500: ("deny", "require_approval", "refund-large"),
}
PLACES = ("missing", "empty", "broken", "fixed")


def policies(folder: Path, rules: str) -> Path:
    folder.mkdir()
    (folder / "org.toml").write_text(GROUPS)
    (folder / "refunds.cedar").write_text(CLOSING + rules)
    return folder


def scripts() -> Any:
    each = {
        f"order {amount}.": [Reply(calls=[Call("issue_refund", {"order_id": "A1", "amount": amount})]), Reply("done")]
        for amount in AMOUNTS
    }
    return {**each, "close": [Reply(calls=[Call("close_account", {"account": "A1"})]), Reply("closed")]}


async def refunded(runtime: LocalRuntime, agent: str) -> dict[str, int]:
    """Runs refunds of all amounts, some at once; returns the amount of each run."""
    gate, amounts = asyncio.Semaphore(AT_ONCE), dict[str, int]()

    async def one(number: int) -> None:
        amount, run_id = AMOUNTS[number % len(AMOUNTS)], f"refund-{uuid.uuid4()}"
        amounts[run_id] = amount
        async with gate:
            await runtime.run_to_end({"goal": f"refund order {amount}.", "agent": agent}, run_id)

    await asyncio.gather(*(one(number) for number in range(RUNS)))
    return amounts


async def asked(runtime: LocalRuntime, agent: str, run_id: str | None = None) -> WorkflowHandle[Any, Any]:
    """Runs a call until people are asked about it."""
    handle = await runtime.start({"goal": "close the account", "agent": agent}, run_id)
    async with asyncio.timeout(60):
        while not (await handle.query("status"))["pending_approvals"]:
            await asyncio.sleep(0.1)
    return handle


async def approved(runtime: LocalRuntime, agent: str) -> str:
    """Runs a call that a person approves; returns the run's id."""
    handle = await asked(runtime, agent)
    [pending] = (await handle.query("status"))["pending_approvals"]
    await handle.execute_update("approve", {"approval_id": pending["approval_id"], "by": "alice"})
    assert (await asyncio.wait_for(handle.result(), 60))["status"] == "completed"
    return handle.id


async def replayed(command: Command, calls: int, *words: str) -> tuple[int | None, Any]:
    """Tries a candidate once the engine's index, which follows a little later, has all calls."""
    async with asyncio.timeout(120):
        while True:
            code, out, err = await command("policy", "replay", *words, "-o", "json")
            assert "Traceback" not in err, err
            if (found := json.loads(out))["calls"] >= calls:
                return code, found
            await asyncio.sleep(0.5)


@pytest.mark.soak
@pytest.mark.timeout(1200 if SOAK else 240)
async def test_a_mended_rule_lists_exactly_the_past_calls_that_differ(
    client: Client, agent_folder: Callable[..., Path], tmp_path: Path
) -> None:
    name, archive = f"till-{uuid.uuid4().hex[:8]}", str(tmp_path / "archive")
    agents = agent_folder(name, tools=TOOLS)
    wrong, fixed = policies(tmp_path / "wrong", WRONG), policies(tmp_path / "fixed", FIXED)
    async with local_runtime(scripts(), agents=agents, client=client, policies=[wrong], archive=archive) as runtime:
        await approved(runtime, name)
        amounts = await refunded(runtime, name)
    command = command_of(runtime, BACKSTAY_AGENTS=str(agents), BACKSTAY_POLICIES=str(wrong))
    code, found = await replayed(command, RUNS + 1, "--policies", str(fixed))
    assert (code, found["calls"], found["unknown"], found["why_unknown"]) == (3, RUNS + 1, 0, [])
    changed = {one["run_id"]: (one["was"], one["now"], *one["rules"]) for one in found["changed"]}
    assert changed == {run: CHANGES[amount] for run, amount in amounts.items() if amount in CHANGES}
    assert len(changed) == len(found["changed"])
    assert found["deny_to_allow"] == sum(change[:2] == ("deny", "allow") for change in changed.values())
    order = [(one["was"], one["now"]) for one in found["changed"]]
    assert list(dict.fromkeys(order)) == [("deny", "allow"), ("deny", "require_approval"), ("allow", "deny")]
    one = found["changed"][0]
    assert set(one) == {"run_id", "step", "call_id", "tool", "was", "now", "rules"}
    assert (one["step"], one["tool"]) == (1, "issue_refund")

    asleep = command_of(runtime, BACKSTAY_AGENTS=str(agents), TEMPORAL_ADDRESS="127.0.0.1:1")
    (read, out, err), (same, unchanged, _), (told, table, said) = await asyncio.gather(
        asleep("policy", "replay", "--policies", str(fixed), "--archive", archive, "-o", "json"),
        asleep("policy", "replay", "--policies", str(wrong), "--archive", archive, "-o", "json"),
        command("policy", "replay", "--policies", str(fixed), "--since", "1d"),
    )
    assert (read, by_run(json.loads(out))) == (3, by_run(found)), err
    assert (same, json.loads(unchanged)["changed"], json.loads(unchanged)["calls"]) == (0, [], RUNS + 1)
    assert (told, len(table.splitlines())) == (3, 1 + len(changed))
    opened = f"{len(changed)} of {RUNS + 1} calls would have been decided differently, {found['deny_to_allow']} of them"
    assert opened in said


def by_run(found: Any) -> Any:
    """A report without the order of calls that changed alike."""
    return {**found, "changed": sorted(found["changed"], key=lambda one: (one["run_id"], one["call_id"]))}


async def test_a_past_call_becomes_a_case_that_is_tested_from_then_on(
    client: Client, agent_folder: Callable[..., Path], tmp_path: Path
) -> None:
    name = f"till-{uuid.uuid4().hex[:8]}"
    agents, wrong = agent_folder(name, tools=TOOLS), policies(tmp_path / "wrong", WRONG)
    async with local_runtime(scripts(), agents=agents, client=client, policies=[wrong]) as runtime:
        closed, denied = await approved(runtime, name), f'refund "{uuid.uuid4()}"'
        await runtime.run_to_end({"goal": "refund order 75.", "agent": name}, denied)
    command = command_of(runtime, BACKSTAY_AGENTS=str(agents), BACKSTAY_POLICIES=str(wrong))
    (code, case, _), (yes, asked, _), (plain, out, _), (late, _, err), (never, _, _) = await asyncio.gather(
        command("policy", "replay", "--case", denied, "1"),
        command("policy", "replay", "--case", closed),
        command("policy", "replay", "--case", denied, "1", "-o", "json"),
        command("policy", "replay", "--case", denied, "7"),
        command("policy", "replay", "--case", "no-such-run"),
    )
    assert (code, case.startswith("[[case]]\n"), 'expect = "deny"' in case) == (0, True, True)
    assert (yes, 'groups = ["finance"]' in asked) == (0, True)
    assert (plain, json.loads(out)) == (0, {"run_id": denied, "cases": [case]})
    assert (late, "name one of the steps 1" in " ".join(err.split()), never) == (4, True, 4)
    cases = agents / name / "cases.toml"
    cases.write_text(f"{case}\n{asked}")
    code, out, err = await command("policy", "test", name)
    assert (code, out) == (0, f"{name}: 2 passed\n"), err
    cases.write_text(case.replace('expect = "deny"', 'expect = "allow"'))
    assert (await command("policy", "test", name))[0] == 1


async def test_open_runs_those_that_temporal_has_forgotten_and_those_of_no_agent_are_told(
    client: Client, agent_folder: Callable[..., Path], tmp_path: Path
) -> None:
    till, gone, archive = f"till-{uuid.uuid4().hex[:8]}", f"gone-{uuid.uuid4().hex[:8]}", str(tmp_path / "archive")
    agents, wrong = agent_folder(till, tools=TOOLS), policies(tmp_path / "wrong", WRONG)
    agent_folder(gone, tools=TOOLS)
    fixed = str(policies(tmp_path / "fixed", FIXED))
    ids = {one: f"{one}-{uuid.uuid4()}" for one in ("open", "till", "gone")}
    refund = {"goal": "refund order 75."}
    async with local_runtime(scripts(), agents=agents, client=client, policies=[wrong], archive=archive) as runtime:
        waiting = await asked(runtime, till, ids["open"])
        await asyncio.gather(*(runtime.run_to_end({**refund, "agent": one}, ids[one[:4]]) for one in (till, gone)))
        left = {"BACKSTAY_AGENTS": str(tmp_path / "left"), "BACKSTAY_ARCHIVE": archive}
        shutil.copytree(agents / till, tmp_path / "left" / till)
        command = command_of(runtime, **left)
        code, found = await replayed(command, 3, "--policies", fixed)
        assert (code, found["calls"], changes(found), found["unread"]) == (3, 3, [(ids["till"], "allow")], [])
        assert [(one["run_id"], one["why"]) for one in found["why_unknown"]] == [
            (ids["gone"], f"the candidate has no agent `{gone}`")
        ]
        async with dev_server() as another:  # which has none of these runs
            forgetful = command_of(runtime, **{**left, "TEMPORAL_ADDRESS": another.address})
            (code, out, _), (unknown, none, err) = await asyncio.gather(
                forgetful("policy", "replay", "--policies", fixed, "-o", "json"),
                forgetful("policy", "replay", "--policies", str(wrong)),
            )
        found = json.loads(out)
        assert (code, found["calls"], changes(found), found["unknown"]) == (3, 2, [(ids["till"], "allow")], 1)
        assert (unknown, none) == (1, "")
        said = f"unknown: the candidate has no agent `{gone}`: {ids['gone']} step 1 issue_refund"
        assert said in " ".join(err.split())
        await waiting.terminate()


def changes(found: Any) -> list[tuple[str, str]]:
    return [(one["run_id"], one["now"]) for one in found["changed"]]


async def test_calls_of_a_tool_that_has_changed_are_unknown_and_no_success(
    client: Client, agent_folder: Callable[..., Path], tmp_path: Path
) -> None:
    name, archive = f"till-{uuid.uuid4().hex[:8]}", str(tmp_path / "archive")
    agents = agent_folder(name, tools=TOOLS)
    wrong, fixed = policies(tmp_path / "wrong", WRONG), str(policies(tmp_path / "fixed", FIXED))
    async with local_runtime(scripts(), agents=agents, client=client, policies=[wrong], archive=archive) as runtime:
        await runtime.run_to_end({"goal": "refund order 75.", "agent": name})
    (agents / name / "tools.py").write_text(TOOLS.replace("amount: int)", "amount: int, note: str = '')"))
    command = command_of(runtime, BACKSTAY_AGENTS=str(agents))
    why = "the tool `issue_refund` has changed since then"
    code, found = await replayed(command, 1, "--policies", fixed)
    assert (code, found["calls"], found["changed"], found["unknown"]) == (1, 1, [], 1)
    assert found["why_unknown"][0]["why"] == why
    (code, out, _), (none, _, _) = await asyncio.gather(
        command("policy", "replay", "--policies", fixed, "--archive", archive, "-o", "json"),
        command("policy", "replay", "--policies", str(wrong), "--agent", "default"),
    )
    assert (code, json.loads(out)["why_unknown"][0]["why"].startswith(why), none) == (1, True, 0)


@pytest.fixture
def nowhere(agent_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Candidates of all kinds where no server answers."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("BACKSTAY_AGENTS", str(agent_folder("till", tools=TOOLS)))
    policies(tmp_path / "fixed", FIXED)
    policies(tmp_path / "broken", "forbid(")
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "there is no candidate"),
        (["--policies", "missing"], "no such folder of policies"),
        (["--policies", "empty"], "holds neither"),
        (["--policies", "broken"], "refunds.cedar"),
        (["--policies", "fixed", "--since", "soon"], "is no time to begin at"),
        (["--policies", "fixed", "--since", "2999-01-01"], "`2999-01-01` has yet to come"),
        (["--policies", "fixed", "--archive", ""], "`--archive` names no place"),
        (["--policies", "fixed", "--archive", "ftp://host"], "there is no place of the kind `ftp`"),
        (["--policies", "fixed", "--archive", "empty"], "the archive holds no evidence of any run"),
        (["--policies", "fixed", "--archive", "missing"], "the archive holds no evidence of any run"),
        (["--policies", "fixed", "--agent", "tlil"], "there is no agent `tlil`"),
        (["--agents", "missing"], "no such folder of agents"),
        (["--policies", "fixed", "3"], "`--case RUN 3`"),
        (["--policies", "fixed", "--case", "run-1"], "a case is written as it was decided"),
        (["--case", "run-1", "--archive", "empty"], "a case is written as it was decided"),
        (["--case", "run-1", "three"], "should be a valid integer"),
    ],
)
def test_what_cannot_be_used_is_said_before_a_server_is_asked(
    nowhere: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    code = execute(["policy", "replay", *(str(nowhere / one) if one in PLACES else one for one in words)])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert says in " ".join(err.split())


def test_a_candidate_that_can_be_used_asks_the_server(nowhere: Path) -> None:
    assert execute(["policy", "replay", "--policies", str(nowhere / "fixed")]) == 5
