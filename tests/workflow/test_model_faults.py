"""A model server that fails in every way: the engine tries again, and every attempt that may cost money is counted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from backstay.contracts.run import RunResult
from backstay.testing import MISSING, Attempts, Call, Drip, Drop, Failure, Raw, RawUsage, Reply, Turn, Usage

if TYPE_CHECKING:
    from tests.workflow.conftest import Handle, Opener, Workshop

APIS = pytest.mark.parametrize("api", ["responses", "chat"])
GOOD = Reply("done", usage=Usage(1_000, 10))
PRICE = Decimal("0.00027")  # of GOOD: 1,000 tokens at 0.25 and 10 at 2.00 dollars per million

UNBILLED = {
    "429": Failure(429),
    "409": Failure(409),
}
BILLED = {
    "500": Failure(500),
    "503": Failure(503),
    "a dropped connection": Drop(),
    "a body that breaks off": Drop(after_bytes=40),
    "HTML": Raw(200, "<html>sorry</html>", "text/html"),
    "an empty body": Raw(200, b""),
    "JSON of another shape": Raw(200, b'{"choices": null, "output": null}'),
    "a list": Raw(200, b"[]"),
    "deep JSON": Raw(200, b"[" * 100_000),
    "a huge body": Raw(200, b" " * 2_000_000),
}


async def gather(runs: Iterable[Coroutine[Any, Any, tuple[RunResult, Decimal]]]) -> list[tuple[RunResult, Decimal]]:
    return await asyncio.gather(*runs)


async def held(shop: Workshop, handle: Handle) -> tuple[int, Decimal]:
    """Returns what the first decision held: so many attempts, so much for each of them."""
    hold = (await shop.audit(handle, "decision_held"))[0]
    return hold["attempts"], Decimal(hold["amount"]["usd"]) / hold["attempts"] / 1_000_000


def scripts(turns: Mapping[str, Turn]) -> dict[str, list[Turn]]:
    """A script of one turn for each case, told by the goal."""
    return {goal_of(name): [turn] for name, turn in turns.items()}


def goal_of(name: str) -> str:
    return f"the case `{name}`"


async def ran(shop: Workshop, name: str) -> tuple[RunResult, Decimal]:
    """The result of a case, and what its first decision held for each attempt."""
    handle = await shop.start(goal=goal_of(name))
    result = await shop.result(handle)
    assert (result.answer, result.steps) == ("done", 1), name
    return result, (await held(shop, handle))[1]


@APIS
async def test_a_fault_that_costs_nothing_is_tried_again_and_not_counted(workshop: Opener, api: str) -> None:
    async with workshop(
        scripts({name: Attempts(fault, GOOD) for name, fault in UNBILLED.items()}), model_api=api
    ) as shop:
        for name, (result, _) in zip(UNBILLED, await gather(ran(shop, name) for name in UNBILLED), strict=True):
            assert result.spent.model_calls == 1, name
            assert (Decimal(result.spent.usd), Decimal(result.spent.usd_unbilled)) == (PRICE, 0), name
        assert len(shop.model.requests) == 2 * len(UNBILLED)


@APIS
async def test_a_fault_that_may_have_cost_something_is_settled_at_its_hold(workshop: Opener, api: str) -> None:
    async with workshop(
        scripts({name: Attempts(fault, GOOD) for name, fault in BILLED.items()}), model_api=api
    ) as shop:
        for name, (result, each) in zip(BILLED, await gather(ran(shop, name) for name in BILLED), strict=True):
            assert result.spent.model_calls == 2, name
            assert Decimal(result.spent.usd_unbilled) == each, name
            assert Decimal(result.spent.usd) == each + PRICE, name
        assert len(shop.model.requests) == 2 * len(BILLED)


@APIS
async def test_the_engine_waits_as_long_as_the_provider_asks(workshop: Opener, api: str) -> None:
    fault = Failure(429, retry_after=2)
    async with workshop([Attempts(fault, GOOD)], model_api=api) as shop:
        await shop.run()
        first, second = shop.model.requests
        assert 2 <= second.at - first.at < 10
        assert first.raw == second.raw
        assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]


async def test_each_attempt_of_the_engine_is_one_request(workshop: Opener) -> None:
    faults = Attempts(*[Failure(429, retry_after=0.1)] * 3, GOOD)
    async with workshop([faults]) as shop:
        handle = await shop.start()
        result = await shop.result(handle)
        assert [request.attempt for request in shop.model.requests] == [1, 2, 3, 4]
        assert await attempts(shop, handle) == 4
        assert result.spent.model_calls == 1


async def attempts(shop: Workshop, handle: Handle) -> int:
    """The attempts at the last activity that began."""
    started = [event for event in await shop.events(handle) if event.HasField("activity_task_started_event_attributes")]
    return started[-1].activity_task_started_event_attributes.attempt


async def test_a_slow_body_is_waited_for(workshop: Opener) -> None:
    async with workshop([Drip(1.5, GOOD)]) as shop:
        assert (await shop.run()).answer == "done"
        assert len(shop.model.requests) == 1


@APIS
async def test_faults_in_the_middle_of_a_run_cost_only_their_own_holds(workshop: Opener, api: str) -> None:
    call = Reply(calls=[Call("note", {"text": "a"})], usage=Usage(900, 10))
    async with workshop([call, Attempts(Failure(502), Failure(429), GOOD)], model_api=api) as shop:
        result = await shop.run()
        assert (result.answer, result.steps, result.spent.model_calls) == ("done", 2, 3)
        assert Decimal(result.spent.usd) - Decimal(result.spent.usd_unbilled) == PRICE + Decimal("0.000245")
        assert shop.lines() == ["a"]


async def test_attempts_that_the_budget_does_not_cover_send_nothing(workshop: Opener) -> None:
    async with workshop([Failure(500)] * 5) as shop:
        result = await shop.run(budget={"model_calls": 3})
        assert (result.stop_reason, result.stop_detail) == ("budget_exhausted", "model_calls")
        assert len(shop.model.requests) == result.spent.model_calls == 3


async def test_the_call_held_back_for_a_last_answer_is_used_where_others_were_lost(workshop: Opener) -> None:
    async with workshop([Attempts(Failure(500), Failure(500)), GOOD]) as shop:
        result = await shop.run(budget={"model_calls": 3})
        assert (result.answer, result.spent.model_calls, result.steps) == ("done", 3, 2)


async def test_attempts_that_cost_nothing_may_go_beyond_those_that_are_covered(workshop: Opener) -> None:
    async with workshop([Attempts(*[Failure(429, retry_after=0.05)] * 4, GOOD)]) as shop:
        result = await shop.run(budget={"model_calls": 1})
        assert (result.answer, result.spent.model_calls, len(shop.model.requests)) == ("done", 1, 5)


async def test_lost_attempts_count_against_the_budget_of_the_whole_run(workshop: Opener) -> None:
    calls = [Reply(calls=[Call("note", {"text": text})]) for text in "ab"]
    async with workshop([Attempts(Failure(500), calls[0]), calls[1], GOOD]) as shop:
        result = await shop.run(budget={"model_calls": 3})
        assert (result.stop_reason, result.stop_detail) == ("budget_exhausted", "model_calls")
        assert len(shop.model.requests) == result.spent.model_calls == 3


def bill(api: str, read: Any, written: Any) -> dict[str, Any]:
    names = ("input_tokens", "output_tokens") if api == "responses" else ("prompt_tokens", "completion_tokens")
    return dict(zip(names, (read, written), strict=True))


LIES: dict[str, Any] = {
    "missing": MISSING,
    "null": None,
    "words": "free",
    "a list": [1, 2],
    "empty": {},
}
FIGURES: dict[str, tuple[Any, Any]] = {
    "negative": (-5, 10),
    "text": ("1000", "10"),
    "fractions": (1.5, 10),
    "NaN": (float("nan"), 10),
    "true": (True, 10),
    "null": (10, None),
    "without end": (10**400, 10),
    "beyond all measure": (10**300, 10),
}


@APIS
async def test_a_bill_that_is_none_is_settled_at_the_hold(workshop: Opener, api: str) -> None:
    bills = {**LIES, **{f"figures: {name}": bill(api, *figures) for name, figures in FIGURES.items()}}
    turns = {name: Reply("done", usage=RawUsage(usage)) for name, usage in bills.items()}
    async with workshop(scripts(turns), model_api=api) as shop:
        for name, (result, each) in zip(bills, await gather(ran(shop, name) for name in bills), strict=True):
            assert result.spent.model_calls == 1, name
            assert Decimal(result.spent.usd) == Decimal(result.spent.usd_unbilled) == each, name


@APIS
async def test_a_huge_bill_is_paid_and_stops_the_run(workshop: Opener, api: str) -> None:
    usage = RawUsage(bill(api, 10**9, 10))
    async with workshop([Reply(calls=[Call("note", {"text": "a"})], usage=usage)], model_api=api) as shop:
        result = await shop.run()
        assert (result.stop_reason, result.stop_detail) == ("budget_exhausted", "usd:overbilled")
        assert (result.spent.usd, result.spent.usd_unbilled) == ("250.00002", "0.00")
        assert shop.lines() == []


@pytest.mark.parametrize(("model", "usd"), [("gpt-5-mini", 200), ("gpt-5", 1_000)])
async def test_an_error_that_is_billed_above_its_hold_is_paid_and_stops_the_run(
    workshop: Opener, model: str, usd: int
) -> None:
    body = {"error": {"code": 429, "message": "rate limited"}, "usage": bill("chat", 900, 10**8), "model": model}
    async with workshop([Attempts(Raw(200, json.dumps(body)), GOOD)]) as shop:
        result = await shop.run()
        assert (result.stop_reason, result.stop_detail) == ("budget_exhausted", "usd:overbilled")
        assert usd < Decimal(result.spent.usd) < usd + 1
        assert result.spent.output_tokens > 10**8


async def test_an_answer_that_is_billed_above_its_hold_is_told_with_its_stop(workshop: Opener) -> None:
    async with workshop([Reply("done", usage=Usage(10**8, 10))]) as shop:
        result = await shop.run()
        assert (result.status, result.stop_detail, result.answer) == ("stopped", "usd:overbilled", "done")
