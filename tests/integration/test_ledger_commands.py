"""`backstay budget show` and `backstay usage`: what people and programs read of many runs."""

import asyncio
import csv
import io
import json
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backstay.adapters.engine.dev_server import dev_server
from backstay.cli import execute
from backstay.client.usage import Used, by_model, usage
from backstay.contracts.budget import ModelSpent
from backstay.contracts.run import RunResult
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

from .commands import Command, command_of

ORG = """
[limits.organisation]
tokens = { month = 10_000_000 }
exposure = { points = { month = "1000.5" } }
[limits.tenants.acme]
usd = { day = "2.00", month = "20" }
runs_at_once = 5
[limits.agents.clerk]
usd = { day = "1.50" }
"""
TOOLS = '''
from backstay.tools import tool

@tool(effect="read", exposure={"points": lambda left, right: left + right})
def add(left: int, right: int) -> int:
    """Adds two numbers."""
    return left + right
'''


@pytest.fixture
async def runtime(agent_folder: Callable[..., Path], tmp_path: Path) -> AsyncGenerator[LocalRuntime]:
    """Runs of two tenants under limits, on a server of their own."""
    (tmp_path / "org").mkdir()
    (tmp_path / "org" / "org.toml").write_text(ORG)
    scripts = [Reply(calls=[Call("add", {"left": 1, "right": 2})]), Reply("3")]
    async with (
        dev_server() as server,
        local_runtime(
            scripts, agents=agent_folder(tools=TOOLS), client=server.client, policies=[tmp_path / "org"]
        ) as runtime,
    ):
        yield runtime


@pytest.fixture
def command(runtime: LocalRuntime) -> Command:
    return command_of(runtime)


async def ran(runtime: LocalRuntime, tenant: str) -> RunResult:
    return await runtime.run_to_end({"goal": "work", "agent": "clerk", "tenant": tenant}, f"run-{uuid.uuid4()}")


async def test_the_budget_shows_each_limit_with_what_is_spent_and_left(runtime: LocalRuntime, command: Command) -> None:
    result, other = await ran(runtime, "acme"), await ran(runtime, "other")
    code, out, _ = await command("budget", "show", "-o", "json")
    told = json.loads(out)
    day = next(
        one
        for one in told["limits"]
        if (one["level"], one["quantity"], one["period"]) == ("tenant", "usd", "day") and one["tenant"] == "acme"
    )
    assert (code, day["limit"], day["spent"], day["held"]) == (0, "2.00", result.spent.usd, "0.00")
    assert day["left"] == f"{2 - float(result.spent.usd):.6f}".rstrip("0")
    assert float(day["forecast"]) >= float(result.spent.usd)
    tokens = next(one for one in told["limits"] if one["level"] == "organisation" and one["quantity"] == "tokens")
    both = [one.spent.input_tokens + one.spent.output_tokens for one in (result, other)]
    assert (tokens["tenant"], tokens["limit"], tokens["spent"]) == (None, None, sum(both))
    (points,) = [one for one in told["limits"] if one["limit"] == "1000.5"]
    assert (points["level"], points["quantity"], points["period"]) == ("organisation", "exposure:points", "month")
    assert (points["spent"], points["held"], points["left"]) == ("6", "0", "994.5")
    top = {(one["tenant"], one["period"]): one["run_id"] for one in told["top"] if one["tenant"] == "acme"}
    assert top == {("acme", "day"): result.run_id, ("acme", "month"): result.run_id}
    _, out, _ = await command("budget", "show", "--tenant", "acme", "--agent", "clerk", "--period", "day", "-o", "json")
    assert {(one["level"], one["agent"], one["period"]) for one in json.loads(out)["limits"]} == {
        ("agent", "clerk", "day")
    }
    _, out, _ = await command("budget", "show")
    assert "runs at once" in out
    assert "$2.00" in out
    assert "994.5" in out


async def test_usage_adds_up_closed_runs(runtime: LocalRuntime, command: Command) -> None:
    results = [await ran(runtime, "acme"), await ran(runtime, "acme"), await ran(runtime, "other")]

    queue, since = runtime.settings.task_queue, datetime.now(UTC) - timedelta(hours=1)
    async with asyncio.timeout(30):  # the engine's index lags behind
        while [one.runs for one in await usage(runtime.client, "agent", since, queue)] != [3]:
            await asyncio.sleep(0.1)
    _, out, _ = await command("usage", "--by", "tenant", "--since", "1h", "-o", "csv")
    rows = {row["tenant"]: row for row in csv.DictReader(io.StringIO(out))}
    assert (rows["acme"]["runs"], rows["other"]["runs"]) == ("2", "1")
    assert rows["other"]["usd"] == results[2].spent.usd
    assert rows["other"]["model_calls"] == "2"
    _, out, _ = await command("usage", "--by", "tool", "-o", "json")
    assert [(one["tool"], one["tool_calls"]) for one in json.loads(out)["usage"]] == [("add", 3)]
    _, out, _ = await command("usage", "--by", "model", "-o", "json")
    (model,) = json.loads(out)["usage"]
    assert (bool(model["model"]), model["runs"]) == (True, 3)
    code, out, err = await command("usage", "--since", "2999-01-01")
    assert (code, out, "no run has closed" in err) == (0, "", True)


async def test_a_run_that_changed_its_model_counts_with_each_model_that_it_asked(runtime: LocalRuntime) -> None:
    result = await ran(runtime, "acme")
    spent = result.spent.model_copy(update={"model_calls": 5, "input_tokens": 500, "output_tokens": 50, "usd": "0.05"})
    nano = ModelSpent(model_calls=3, input_tokens=300, output_tokens=20, usd="0.01")
    changed = result.model_copy(update={"spent": spent, "models": {"nano": nano}})
    tools = result.spent.tool_calls
    assert by_model(changed, "mini") == [
        Used("mini", 1, 2, tools, 200, 30, 40_000),
        Used("nano", 1, 3, 0, 300, 20, 10_000),
    ]
    assert [one.name for one in by_model(result, "mini")] == ["mini"]


async def test_before_any_run_there_is_no_budget_to_show(runtime: LocalRuntime, command: Command) -> None:
    code, out, err = await command("budget", "show")
    assert (code, out, "no run has drawn on a ledger" in err) == (0, "", True)
    code, out, err = await command("budget", "show", "--tenant", "acmee")
    assert (code, out, "is the name right?" in err) == (0, "", True)


@pytest.mark.parametrize(
    "words", [("budget", "show", "--period", "week"), ("usage", "--by", "colour"), ("usage", "--since", "soon")]
)
def test_a_word_that_is_none_of_the_choices_is_refused(words: Sequence[str]) -> None:
    assert execute(words) == 2
