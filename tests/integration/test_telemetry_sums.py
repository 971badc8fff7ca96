"""What a collector and Prometheus receive of a shop's runs adds up to what the results say."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientSession

from backstay.adapters.engine.dev_server import free_port
from backstay.kernel.money import parse_usd
from backstay.testing import Call, Reply, Usage

from .conftest import scraped, total
from .traced_run import ANSWER, CANARY, LOOK, PATIENCE, REQUEST, assert_one_whole_trace, numbers, page, result, until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from .conftest import Collector, Figures, Opener
    from .traced_run import Handle

pytestmark = pytest.mark.timeout(600)  # each test starts processes one after the other

SHOP = '''
import asyncio
from decimal import Decimal
from pathlib import Path
from backstay.tools import ToolCall, ToolError, tool

@tool(effect="read", timeout="2s", secrets=["SHOP_KEY"])
async def look(call: ToolCall, text: str) -> str:
    """Looks something up, in a shop that does not answer at first."""
    asked = Path(__file__).parents[2] / "asked"
    if not asked.exists():
        asked.touch()
        await asyncio.sleep(60)
    return f"found {text} with {call.secret('SHOP_KEY')}"

@tool(effect="write", exposure={"refunds_usd": lambda amount: amount})
async def refund(amount: Decimal, note: str = "") -> str:
    """Refunds."""
    return "refunded"

@tool(effect="read")
async def refuse(text: str) -> str:
    """Refuses."""
    raise ToolError(f"no {text}")
'''
SHOP_TOML = """
[approval]
require = { refund = "finance" }
groups = { finance = ["alice"] }
[stop]
failures = 1
[exposure.refunds_usd]
run = "500"
"""
SHOP_ORG = """
[[breakers]]
name = "any-failure"
scope = "agent"
on = ["tool_failures"]
count = 1
then = "warn"
"""
REFUND = Reply(calls=[Call("refund", {"amount": "40.5", "note": CANARY})], usage=Usage(1200, 30, cached_tokens=1000))


@pytest.fixture
def shop(stage: Opener, agent_folder: Callable[..., Path], tmp_path: Path, collector: Collector) -> Opener:
    """Opens a stage with a shop that refunds, and sends its metrics to the collector."""
    for name, file, text in (("secrets", "SHOP_KEY", f"secret-{CANARY}"), ("org", "org.toml", SHOP_ORG)):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text(text)
    variables = {
        "BACKSTAY_SECRETS": str(tmp_path / "secrets"),
        "BACKSTAY_POLICIES": str(tmp_path / "org"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_METRIC_EXPORT_INTERVAL": "200",
    }

    @contextlib.asynccontextmanager
    async def opened(*script: Any, **extra: str) -> AsyncGenerator[Any]:
        async with stage(*script, **variables, **extra) as (processes, model):
            agent_folder(toml=SHOP_TOML, tools=SHOP)
            yield processes, model

    return opened


async def asks(handle: Handle) -> str:
    """Waits until the run asks people; returns the approval."""
    async with asyncio.timeout(PATIENCE):
        while not (pending := (await handle.query("status"))["pending_approvals"]):
            await asyncio.sleep(0.05)
    return pending[0]["approval_id"]


async def served(address: str, name: str) -> str:
    """The page of a worker for Prometheus, once it has a metric."""
    async with ClientSession() as session, asyncio.timeout(PATIENCE):
        while name not in (text := await page(session, f"http://{address}/metrics")):
            await asyncio.sleep(0.05)
    return text


async def test_traces_and_metrics_add_up_to_the_result_though_a_worker_was_killed(
    shop: Opener, collector: Collector
) -> None:
    address = f"127.0.0.1:{free_port()}"
    async with shop(LOOK, REFUND, ANSWER) as (processes, _):
        async with processes.worker():  # the first worker sends its metrics ...
            handle = await processes.start(REQUEST)
            approval = await asks(handle)
            await until(lambda: total(collector.figures(), "backstay_verdicts") == 2)
            await until(lambda: len(collector.named("chat")) == len(collector.named("execute_tool")) == 2)
            await processes.kill()
        # ... and those of the second are fetched; it has the run in no memory, so that it replays it at each task.
        async with processes.worker(BACKSTAY_PROMETHEUS=address, BACKSTAY_CACHED_RUNS="0"):
            await handle.execute_update("approve", {"approval_id": approval, "by": "alice", "comment": CANARY})
            ended = await result(handle)
            text = await served(address, "backstay_runs_closed")
    assert ended["stop_reason"] == "completed"
    figures = collector.figures()
    for key, value in scraped(text).items():
        figures[key] += value
    assert_one_whole_trace(collector)
    assert_spans_add_up(collector, ended)
    assert_figures_are_those_of_the_result(figures, ended)
    assert CANARY not in text


def assert_spans_add_up(collector: Collector, ended: dict[str, Any]) -> None:
    """Every span once, and their tokens and costs are those of the result."""
    assert collector.names() == {
        "invoke_agent clerk": 1,
        "step": 3,
        "chat gpt-5-mini": 3,
        "authorize look": 1,
        "authorize refund": 2,  # before people are asked, and after they have answered
        "execute_tool look": 2,  # the first attempt failed
        "execute_tool refund": 1,
        "close_run clerk": 1,
    }
    assert numbers(collector.named("step")) == numbers(collector.named("chat")) == [1, 2, 3]
    attempts = {span.attributes["backstay.attempt"]: span.error for span in collector.named("execute_tool look")}
    assert attempts == {1: True, 2: False}
    spent, chats = ended["spent"], [span.attributes for span in collector.named("chat")]
    for kind in ("input", "output"):
        assert sum(one[f"gen_ai.usage.{kind}_tokens"] for one in chats) == spent[f"{kind}_tokens"]
    for spans in (collector.named("chat"), collector.named("step"), collector.named("close_run")):
        assert sum(parse_usd(span.attributes["backstay.usd"]) for span in spans) == parse_usd(spent["usd"])


def assert_figures_are_those_of_the_result(figures: Figures, ended: dict[str, Any]) -> None:
    """The metrics of both workers together are what the result says."""
    spent, usd = ended["spent"], parse_usd(ended["spent"]["usd"])
    assert usd > 0
    for kind in ("input", "output"):
        found = total(figures, "backstay_tokens", agent="clerk", model="gpt-5-mini", type=kind)
        assert found == total(figures, "backstay_tokens", type=kind) == spent[f"{kind}_tokens"]
    assert total(figures, "backstay_spent_micro_usd", agent="clerk") == usd
    assert total(figures, "backstay_steps") == ended["steps"] == 3
    assert (
        total(figures, "backstay_runs_closed", stop_reason="completed") == total(figures, "backstay_runs_closed") == 1
    )
    assert total(figures, "backstay_exposure_ten_thousandths", meter="refunds_usd") == 405_000
    assert total(figures, "backstay_verdicts", outcome="allow") == 2
    assert total(figures, "backstay_verdicts", outcome="require_approval", code="needs_approval") == 1
    assert total(figures, "backstay_verdict_rules", rule="approval-refund", outcome="require_approval") == 1
    assert total(figures, "backstay_approvals_opened") == total(figures, "backstay_approvals_closed") == 1
    assert total(figures, "backstay_approval_wait_seconds_count", kind="action", end="approved") == 1
    assert 0 < total(figures, "backstay_approval_wait_seconds_sum") < PATIENCE
    assert total(figures, "backstay_budget_left_ratio_count", dimension="usd") == 1
    left = total(figures, "backstay_budget_left_ratio_sum", dimension="usd")
    assert left == pytest.approx(1 - usd / parse_usd(ended["budget"]["usd"]))
    assert "backstay_control_copy_age_seconds" in {name for name, _ in figures}


async def test_texts_are_traced_where_somebody_asks_for_them_but_no_secret(
    shop: Opener, collector: Collector, tmp_path: Path
) -> None:
    (tmp_path / "asked").touch()  # the shop answers at once
    wanted = {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "span_only"}
    async with shop(LOOK, ANSWER, **wanted) as (processes, _), processes.worker():
        await result(await processes.start(REQUEST))
    first, second = sorted(collector.named("chat"), key=lambda span: span.attributes["backstay.step"])
    assert json.loads(first.attributes["gen_ai.input.messages"])[0]["parts"][0]["content"].endswith(REQUEST["goal"])
    (asked,) = json.loads(first.attributes["gen_ai.output.messages"])
    assert json.loads(asked["parts"][-1]["arguments"]) == {"text": f"arg {CANARY}"}
    found = f"found arg {CANARY} with [secret SHOP_KEY]"
    assert found in collector.one("execute_tool").attributes["gen_ai.tool.call.result"]
    assert found in json.loads(second.attributes["gen_ai.input.messages"])[0]["parts"][0]["response"]
    assert f"it is {CANARY}" in second.attributes["gen_ai.output.messages"]
    assert f"secret-{CANARY}".encode() not in b"".join(collector.bodies)


async def test_a_kill_and_a_breaker_are_measured_in_buckets_of_their_own(shop: Opener) -> None:
    address = f"127.0.0.1:{free_port()}"
    refused = Reply(calls=[Call("refuse", {"text": CANARY}), Call(f"{CANARY}_tool", {})])
    scripts = {"refund": [REFUND], "refuse": [refused]}
    async with shop(scripts) as (processes, _), processes.worker(BACKSTAY_PROMETHEUS=address):
        killed = await processes.start({**REQUEST, "goal": "refund it"})
        await asks(killed)
        await killed.execute_update("kill", {"by": "olga", "reason": CANARY})
        assert (await result(killed))["stop_reason"] == "killed"
        failed = await result(await processes.start({**REQUEST, "goal": "refuse it"}))
        assert failed["stop_reason"] == "tool_failures"
        text = await served(address, "backstay_breaker_trips")
    figures = scraped(text)
    assert total(figures, "backstay_runs_closed", stop_reason="killed") == 1
    assert total(figures, "backstay_kill_latency_seconds_count", agent="clerk", cause="kill") == 1
    assert total(figures, "backstay_kill_latency_seconds_bucket", le="60") == 1
    assert total(figures, "backstay_approval_wait_seconds_count", end="interrupted") == 1
    assert total(figures, "backstay_approval_wait_seconds_bucket", le="604800") == 1
    assert total(figures, "backstay_budget_left_ratio_bucket", dimension="steps", le="1") == 2
    assert total(figures, "backstay_verdicts", outcome="deny", code="unknown_tool") == 1
    assert total(figures, "backstay_breaker_trips", breaker="any-failure", scope="agent", then="warn") == 1
    assert CANARY not in text
