"""Budgets: in which dimension a run stops, and that it never spends more than it may."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from backstay.kernel.arguments import repeated_arguments
from backstay.testing import Call, Reply, Usage

if TYPE_CHECKING:
    from tests.workflow.conftest import Opener

APIS = pytest.mark.parametrize("api", ["responses", "chat"])
DONE = Reply("done")


def notes(*calls_per_turn: int, usage: Usage | None = None) -> list[Reply]:
    """Turns with so many calls each, no two alike."""
    texts: Iterator[int] = iter(range(1_000_000))
    return [
        Reply(calls=[Call("note", {"text": str(next(texts))}) for _ in range(count)], usage=usage)
        for count in calls_per_turn
    ]


async def test_a_run_stops_once_its_steps_are_spent(workshop: Opener) -> None:
    async with workshop(notes(1, 1, 1)) as shop:
        result = await shop.stopped("budget_exhausted", "steps", budget={"steps": 2})
        assert (result.steps, result.spent.steps, result.answer) == (2, 2, None)
        assert shop.lines() == ["0", "1"]
        assert result.budget.steps == 2


async def test_an_answer_on_the_last_allowed_step_is_completed(workshop: Opener) -> None:
    async with workshop([*notes(1), DONE]) as shop:
        await shop.stopped("completed", budget={"steps": 2, "model_calls": 2, "tool_calls": 1})


async def test_a_run_stops_once_its_model_calls_are_spent(workshop: Opener) -> None:
    async with workshop(notes(1, 1, 1)) as shop:
        result = await shop.stopped("budget_exhausted", "model_calls", budget={"model_calls": 2})
        assert result.spent.model_calls == len(shop.model.requests) == 2


async def test_of_two_hundred_calls_under_a_limit_of_fifty_exactly_fifty_run(workshop: Opener) -> None:
    async with workshop([*notes(200), DONE], "[budget]\ntool_calls = 50\n") as shop:
        result = await shop.stopped("budget_exhausted", "tool_calls")
        assert sorted(map(int, shop.lines())) == list(range(50))
        assert (result.spent.tool_calls, result.spent.tools) == (50, {"note": 50})


async def test_calls_of_several_decisions_share_the_limit(workshop: Opener) -> None:
    async with workshop(notes(3, 3, 3)) as shop:
        await shop.stopped("budget_exhausted", "tool_calls", budget={"tool_calls": 7})
        assert sorted(map(int, shop.lines())) == list(range(7))


@APIS
async def test_a_run_stops_before_its_tokens_are_exceeded(workshop: Opener, api: str) -> None:
    async with workshop(notes(*[1] * 19, usage=Usage(5_000, 50)), model_api=api) as shop:
        result = await shop.stopped("budget_exhausted", "tokens", budget={"tokens": 40_000})
        assert 10_000 < result.spent.input_tokens + result.spent.output_tokens <= 40_000
        assert result.spent.usd_unbilled == "0.00"


@APIS
async def test_a_run_stops_before_its_money_is_exceeded(workshop: Opener, api: str) -> None:
    async with workshop(notes(*[1] * 19, usage=Usage(4_000, 50)), model_api=api) as shop:
        result = await shop.stopped("budget_exhausted", "usd", budget={"usd": "0.01"})
        assert Decimal("0.005") < Decimal(result.spent.usd) <= Decimal("0.01")
        assert Decimal(result.spent.usd) == Decimal("0.0011") * result.steps


@APIS
async def test_a_small_rest_of_the_budget_caps_the_output(workshop: Opener, api: str) -> None:
    name = "max_output_tokens" if api == "responses" else "max_completion_tokens"
    async with workshop([DONE], model_api=api) as shop:
        handle = await shop.start()
        await shop.result(handle)
        tokens = (await shop.audit(handle, "decision_held"))[0]["input_tokens"]
        await shop.stopped("completed", budget={"tokens": tokens + 500})
        await shop.stopped("budget_exhausted", "tokens", budget={"tokens": tokens + 10})
        [full, capped] = [request.body[name] for request in shop.model.requests]
        assert isinstance(capped, int)
        assert full == 2_000
        assert 64 <= capped <= 500


async def test_a_run_stops_once_a_tool_has_no_calls_left(workshop: Opener) -> None:
    async with workshop(notes(1, 1, 1)) as shop:
        result = await shop.stopped("budget_exhausted", "tool:note", budget={"tools": {"note": {"calls": 2}}})
        assert shop.lines() == ["0", "1"]
        assert result.spent.tools == {"note": 2}


async def test_a_run_stops_where_a_tool_is_called_too_often_in_a_minute(workshop: Opener) -> None:
    async with workshop(notes(1, 2)) as shop:
        budget = {"tools": {"note": {"per_minute": 2}}}
        await shop.stopped("budget_exhausted", "tool:note:per_minute", budget=budget)
        assert shop.lines() == ["0", "1"]


@APIS
async def test_a_bill_above_the_hold_stops_the_run_and_is_told_openly(workshop: Opener, api: str) -> None:
    async with workshop(notes(1, 1, usage=Usage(1_000_000, 10)), model_api=api) as shop:
        result = await shop.stopped("budget_exhausted", "usd:overbilled", budget={"usd": "0.05"})
        assert result.spent.usd == "0.25002"
        assert (result.steps, shop.lines()) == (1, [])


async def test_tokens_above_the_hold_stop_a_run_whose_model_is_free(workshop: Opener) -> None:
    free = {"input": "0", "output": "0"}
    async with workshop(notes(1, usage=Usage(1_000_000, 10)), model="nobody-knows-this", model_price=free) as shop:
        await shop.stopped("budget_exhausted", "tokens:overbilled")


ZEROS: dict[str, dict[str, Any]] = {
    "steps": {"steps": 0},
    "model_calls": {"model_calls": 0},
    "tokens": {"tokens": 0},
    "usd": {"usd": "0"},
    "tool:note": {"tools": {"note": {"calls": 0}}},
    "tool:note:per_minute": {"tools": {"note": {"per_minute": 0}}},
    "tool_calls": {"tool_calls": 0},
}


async def test_a_limit_of_zero_allows_none(workshop: Opener) -> None:
    async with workshop(notes(1, 1)) as shop:
        for detail, budget in ZEROS.items():
            shop.model.requests.clear()
            result = await shop.stopped("budget_exhausted", detail, budget=budget)
            assert shop.lines() == []
            # Where a call has no room, the model is asked for a last answer.
            assert len(shop.model.requests) == result.steps == (2 if "tool" in detail else 0)


async def test_a_run_without_tool_calls_may_answer(workshop: Opener) -> None:
    async with workshop([DONE]) as shop:
        await shop.stopped("completed", budget={"tool_calls": 0})


@APIS
async def test_text_that_the_runtime_rewrites_and_resends_is_held_by_its_bytes(workshop: Opener, api: str) -> None:
    arguments, name = "\x01" * 150, "é" * 60
    calls = [Call("note", arguments), Call(name, {})]
    async with workshop([Reply(calls=calls, usage=Usage(1_000, 150)), DONE], model_api=api) as shop:
        handle = await shop.start()
        await shop.result(handle)
        hold = (await shop.audit(handle, "decision_held"))[1]
        assert hold["input_tokens"] >= 1_150 + len(repeated_arguments(arguments).encode()) + len(name)
