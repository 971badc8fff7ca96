"""What a model is told before its run stops, what tools cost, and the limits that others set."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from backstay.errors import ConfigurationError
from backstay.testing import Call, Reply, Usage
from backstay.testing.runtime import local_runtime

if TYPE_CHECKING:
    from tests.workflow.conftest import Opener, Workshop

HUGE = 10**15
PLENTY = f"""
[budget]
steps = {HUGE}
model_calls = {HUGE}
tool_calls = {HUGE}
tokens = {HUGE}
usd = "{HUGE}"
seconds = {10**9}
tools = {{ note = {{ calls = {HUGE}, per_minute = {HUGE} }} }}
"""
ORGANISATION = '[budget]\nsteps = 4\nmodel_calls = 5\ntool_calls = 3\ntokens = 9_000\nusd = "0.07"\nseconds = 60\n'
PAID = '''
from backstay.tools import ToolCall, tool

@tool(effect="write", cost="0.01")
def search(call: ToolCall, text: str, bill: str | None = None) -> str:
    """Searches, for money."""
    if bill is not None:
        call.report_cost(bill)
    return f"found {text}"
'''


def note(text: str) -> Call:
    return Call("note", {"text": text})


def told(shop: Workshop, words: str) -> list[int]:
    """The numbers of the requests to the model in which the runtime's words stand for the first time or again."""
    return [number for number, request in enumerate(shop.model.requests) if words in request.raw.decode()]


async def test_limits_as_large_as_can_be_written_hold_nobody_up(workshop: Opener) -> None:
    async with workshop([Reply(calls=[note("a")]), Reply("done")], PLENTY) as shop:
        request = {"steps": HUGE, "tokens": HUGE, "usd": str(HUGE), "tools": {"note": {"calls": HUGE}}}
        result = await shop.stopped("completed", budget=request)
        assert (result.budget.usd, result.budget.tokens) == (f"{HUGE}.00", HUGE)


@pytest.fixture
def organisation(tmp_path: Path) -> Path:
    """A folder of the organisation, with ceilings."""
    folder = tmp_path / "org"
    folder.mkdir()
    (folder / "org.toml").write_text(ORGANISATION)
    return folder


async def test_an_agent_that_asks_for_more_than_its_organisation_allows_does_not_start(
    workshop: Opener, organisation: Path
) -> None:
    with pytest.raises(ConfigurationError, match="may not exceed the ceiling of 4 of the organisation"):
        async with workshop([Reply("done")], PLENTY, policies=[organisation]):
            pass


async def test_a_request_that_asks_for_more_than_the_organisation_allows_is_refused_in_every_dimension(
    workshop: Opener, organisation: Path
) -> None:
    async with workshop([Reply("done")], policies=[organisation]) as shop:
        limits = (await shop.stopped("completed")).budget
        assert (limits.steps, limits.model_calls, limits.tool_calls) == (4, 5, 3)
        assert (limits.tokens, limits.usd, limits.seconds) == (9_000, "0.07", 60)
        more = {"steps": 5, "model_calls": 6, "tool_calls": 4, "tokens": 9_001, "usd": "0.070001", "seconds": 61}
        error = await shop.failure(await shop.start(budget=more))
        assert error.type == "InvalidInput"
        assert [problem["field"] for problem in error.details[0]] == [f"budget.{name}" for name in more]


async def test_an_agent_is_told_to_conclude_once_while_a_last_answer_still_fits(workshop: Opener) -> None:
    script = [Reply(calls=[note(str(number))], usage=Usage(2_000, 50)) for number in range(12)]
    async with workshop(script, "[budget]\nconclude_at = 50\n") as shop:
        result = await shop.stopped("budget_exhausted", "tokens", budget={"tokens": 20_000})
        first, *_ = told(shop, "Conclude now")
        assert 0 < first < len(shop.model.requests)
        assert shop.model.requests[-1].raw.decode().count("Conclude now") == 1
        assert result.spent.input_tokens + result.spent.output_tokens <= 20_000


async def test_an_agent_that_concludes_when_told_is_completed(workshop: Opener) -> None:
    def turn(request: Any) -> Reply:
        raw = request.raw.decode()
        usage = Usage(2_000, 50)
        if "Conclude now" in raw:
            return Reply("what I know", usage=usage)
        return Reply(calls=[note(str(raw.count("noted")))], usage=usage)

    async with workshop([turn] * 12, "[budget]\nconclude_at = 50\n") as shop:
        result = await shop.stopped("completed", budget={"tokens": 20_000})
        assert result.answer == "what I know"
        assert result.spent.input_tokens + result.spent.output_tokens >= 10_000


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"name": "note", "arguments": {"text": "written"}}),
        "Now I call it.\n```json\n" + json.dumps({"tool": "note", "args": {"text": "written"}}) + "\n```",
    ],
    ids=["bare", "fenced"],
)
async def test_a_call_written_as_text_is_no_answer_and_is_not_executed(workshop: Opener, text: str) -> None:
    async with workshop([Reply(text), Reply("in words")]) as shop:
        assert (await shop.stopped("completed")).answer == "in words"
        assert told(shop, "you wrote a tool call as text") == [1]
    async with workshop([Reply(text)] * 4) as shop:
        result = await shop.stopped("malformed_calls", "3 in a row")
        assert (result.answer, result.spent.tool_calls, shop.lines()) == (None, 0, [])


async def test_an_agent_that_gets_nowhere_is_warned_once_before_it_is_stopped(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("echo", {"text": "a"})])] * 9, "[stop]\nrepeats = 5\n") as shop:
        await shop.stopped("no_progress", "the same calls with the same results")
        assert told(shop, "again and again") == [4]
        assert shop.model.requests[4].raw.decode().count("again and again") == 1


async def test_an_agent_that_takes_the_warning_goes_on(workshop: Opener) -> None:
    same = Reply(calls=[Call("echo", {"text": "a"})])
    async with workshop([same, same, Reply(calls=[Call("echo", {"text": "b"})]), Reply("done")]) as shop:
        await shop.stopped("completed")
        assert told(shop, "again and again") == [2, 3]


@pytest.mark.parametrize(
    ("bills", "limit", "executed", "usd", "reason"),
    [
        ([None, None, None, None], "0.03", 3, "0.03", "budget_exhausted"),
        (["0.001"] * 4, "0.03", 4, "0.004", "completed"),
        (["0.02"], "0.03", 1, "0.02", "budget_exhausted"),
    ],
    ids=["a silent tool costs its most", "a bill is what counts", "a bill above the most stops the run"],
)
async def test_a_tool_is_paid_from_the_same_budget(
    client: Client,
    agent_folder: Callable[..., Path],
    bills: list[str | None],
    limit: str,
    executed: int,
    usd: str,
    reason: str,
) -> None:
    agents = agent_folder("clerk", tools=PAID)
    calls = [Call("search", {"text": str(n), **({"bill": bill} if bill else {})}) for n, bill in enumerate(bills)]
    script: Any = [*(Reply(calls=[call]) for call in calls), Reply("done")]
    free: Any = {"model": "nobody-knows-this", "model_price": {"input": "0", "output": "0"}}
    async with local_runtime(script, agents=agents, client=client, **free) as runtime:
        result = await runtime.run_to_end({"goal": "search", "agent": "clerk", "budget": {"usd": limit}})
    assert (result.stop_reason, result.spent.usd, result.spent.tool_calls) == (reason, usd, executed)
    if usd == "0.02":
        assert result.stop_detail == "usd:overbilled"


LATE = '''
import asyncio
from pathlib import Path
from backstay.tools import ToolCall, tool

@tool(effect="read", timeout="500ms", cost="0.01")
async def search(call: ToolCall) -> str:
    """Searches, for money, and is late until the third time."""
    bills = Path(__file__).with_name("bills.txt")
    with bills.open("a") as file:
        file.write("0.01\\n")
    if len(bills.read_text().split()) < 3:
        await asyncio.sleep(5)
    return "found"
'''


@pytest.mark.parametrize(("limit", "bills"), [("0.10", 3), ("0.02", 2), ("0.01", 1)])
async def test_every_attempt_of_a_paid_read_is_paid_for_and_none_is_made_that_the_budget_does_not_cover(
    client: Client, agent_folder: Callable[..., Path], limit: str, bills: int
) -> None:
    agents = agent_folder("clerk", tools=LATE)
    free: Any = {"model": "nobody-knows-this", "model_price": {"input": "0", "output": "0"}}
    script: Any = [Reply(calls=[Call("search")]), Reply("done")]
    async with local_runtime(script, agents=agents, client=client, **free) as runtime:
        result = await runtime.run_to_end({"goal": "search", "agent": "clerk", "budget": {"usd": limit}})
    assert len((agents / "clerk" / "bills.txt").read_text().split()) == bills
    assert (result.stop_reason, result.spent.usd) == ("completed", f"0.0{bills}")


@pytest.mark.parametrize("carried", ["state", "carried", "limits", "parent", "spent", "taint"])
async def test_a_caller_cannot_hand_a_run_its_state_or_its_limits(workshop: Opener, carried: str) -> None:
    async with workshop([Reply("done")]) as shop:
        handle = await shop.start(**{carried: {"spent": {"usd": "0"}, "limits": {"usd": "100"}}})
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    assert isinstance(failed.value.cause, ApplicationError)
    assert (failed.value.cause.type, failed.value.cause.details[0][0]["field"]) == ("InvalidInput", carried)
