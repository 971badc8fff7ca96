"""Every reason to stop that a run finds by itself: when it holds, what the result says, what the fleet sees."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from backstay.contracts.run import RunResult
from backstay.testing import Call, Failure, Reply, Request, Usage

if TYPE_CHECKING:
    from tests.workflow.conftest import Handle, Opener, Workshop

APIS = pytest.mark.parametrize("api", ["responses", "chat"])
DONE = Reply("done")


def notes(*calls_per_turn: int, usage: Usage | None = None) -> list[Reply]:
    """Turns with so many calls each, no two alike."""
    texts: Iterator[int] = iter(range(1_000_000))
    return [
        Reply(calls=[Call("note", {"text": str(next(texts))}) for _ in range(count)], usage=usage)
        for count in calls_per_turn
    ]


async def stopped(shop: Workshop, reason: str, detail: str | None = None, **request: Any) -> RunResult:
    """Runs to the end that is expected, and looks at what everybody is told of it."""
    handle = await shop.start(**request)
    result = await shop.result(handle)
    assert (result.stop_reason, result.stop_detail) == (reason, detail)
    assert result.status == ("completed" if reason == "completed" else "stopped")
    assert (result.run_id, result.agent, result.in_flight) == (handle.id, "workshop", [])
    await matches(shop, handle, result)
    return result


async def matches(shop: Workshop, handle: Handle, result: RunResult) -> None:
    """The status, the audit and the search attributes tell the same end as the result."""
    status = await handle.query("status")
    assert (status["state"], status["stop_reason"]) == ("closed", result.stop_reason)
    assert status["held"]["usd"] == "0.00"
    assert await shop.audit(handle, "closed") == [{"reason": result.stop_reason, "detail": result.stop_detail}]
    await shop.closed_as(handle, result)


@APIS
async def test_a_run_that_answers_is_completed(workshop: Opener, api: str) -> None:
    async with workshop([DONE], model_api=api) as shop:
        result = await stopped(shop, "completed")
        assert (result.answer, result.steps, result.spent.steps, result.spent.model_calls) == ("done", 1, 1, 1)


async def test_a_run_stops_once_its_steps_are_spent(workshop: Opener) -> None:
    async with workshop(notes(1, 1, 1)) as shop:
        result = await stopped(shop, "budget_exhausted", "steps", budget={"steps": 2})
        assert (result.steps, result.spent.steps, result.answer) == (2, 2, None)
        assert shop.lines() == ["0", "1"]
        assert result.budget.steps == 2


async def test_an_answer_on_the_last_allowed_step_is_completed(workshop: Opener) -> None:
    async with workshop([*notes(1), DONE]) as shop:
        await stopped(shop, "completed", budget={"steps": 2, "model_calls": 2, "tool_calls": 1})


async def test_a_run_stops_once_its_model_calls_are_spent(workshop: Opener) -> None:
    async with workshop(notes(1, 1, 1)) as shop:
        result = await stopped(shop, "budget_exhausted", "model_calls", budget={"model_calls": 2})
        assert result.spent.model_calls == len(shop.model.requests) == 2


async def test_of_sixty_calls_under_a_limit_of_fifty_exactly_fifty_run(workshop: Opener) -> None:
    async with workshop([*notes(60), DONE], "[budget]\ntool_calls = 50\n") as shop:
        result = await stopped(shop, "budget_exhausted", "tool_calls")
        assert sorted(map(int, shop.lines())) == list(range(50))
        assert (result.spent.tool_calls, result.spent.tools) == (50, {"note": 50})


async def test_calls_of_several_decisions_share_the_limit(workshop: Opener) -> None:
    async with workshop(notes(3, 3, 3)) as shop:
        await stopped(shop, "budget_exhausted", "tool_calls", budget={"tool_calls": 7})
        assert sorted(map(int, shop.lines())) == list(range(7))


@APIS
async def test_a_run_stops_before_its_tokens_are_exceeded(workshop: Opener, api: str) -> None:
    async with workshop(notes(*[1] * 19, usage=Usage(5_000, 50)), model_api=api) as shop:
        result = await stopped(shop, "budget_exhausted", "tokens", budget={"tokens": 40_000})
        assert 10_000 < result.spent.input_tokens + result.spent.output_tokens <= 40_000
        assert result.spent.usd_unbilled == "0.00"


@APIS
async def test_a_run_stops_before_its_money_is_exceeded(workshop: Opener, api: str) -> None:
    async with workshop(notes(*[1] * 19, usage=Usage(4_000, 50)), model_api=api) as shop:
        result = await stopped(shop, "budget_exhausted", "usd", budget={"usd": "0.01"})
        assert Decimal("0.005") < Decimal(result.spent.usd) <= Decimal("0.01")
        assert Decimal(result.spent.usd) == Decimal("0.0011") * result.steps


@APIS
async def test_a_small_rest_of_the_budget_caps_the_output(workshop: Opener, api: str) -> None:
    name = "max_output_tokens" if api == "responses" else "max_tokens"
    async with workshop([DONE], model_api=api) as shop:
        handle = await shop.start()
        await shop.result(handle)
        tokens = (await shop.audit(handle, "decision_held"))[0]["input_tokens"]
        await stopped(shop, "completed", budget={"tokens": tokens + 500})
        await stopped(shop, "budget_exhausted", "tokens", budget={"tokens": tokens + 10})
        [full, capped] = [request.body[name] for request in shop.model.requests]
        assert isinstance(capped, int)
        assert full == 2_000
        assert 64 <= capped <= 500


async def test_a_run_stops_once_a_tool_has_no_calls_left(workshop: Opener) -> None:
    async with workshop(notes(1, 1, 1)) as shop:
        result = await stopped(shop, "budget_exhausted", "tool:note", budget={"tools": {"note": {"calls": 2}}})
        assert shop.lines() == ["0", "1"]
        assert result.spent.tools == {"note": 2}


async def test_a_run_stops_where_a_tool_is_called_too_often_in_a_minute(workshop: Opener) -> None:
    async with workshop(notes(1, 2)) as shop:
        budget = {"tools": {"note": {"per_minute": 2}}}
        await stopped(shop, "budget_exhausted", "tool:note:per_minute", budget=budget)
        assert shop.lines() == ["0", "1"]


@APIS
async def test_a_bill_above_the_hold_stops_the_run_and_is_told_openly(workshop: Opener, api: str) -> None:
    async with workshop(notes(1, 1, usage=Usage(1_000_000, 10)), model_api=api) as shop:
        result = await stopped(shop, "budget_exhausted", "usd:overbilled", budget={"usd": "0.05"})
        assert result.spent.usd == "0.25002"
        assert (result.steps, shop.lines()) == (1, [])


async def test_tokens_above_the_hold_stop_a_run_whose_model_is_free(workshop: Opener) -> None:
    free = {"input": "0", "output": "0"}
    async with workshop(notes(1, usage=Usage(1_000_000, 10)), model_price=free) as shop:
        await stopped(shop, "budget_exhausted", "tokens:overbilled")


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
            result = await stopped(shop, "budget_exhausted", detail, budget=budget)
            assert shop.lines() == []
            assert len(shop.model.requests) == result.steps == (1 if "tool" in detail else 0)


async def test_a_run_without_tool_calls_may_answer(workshop: Opener) -> None:
    async with workshop([DONE]) as shop:
        await stopped(shop, "completed", budget={"tool_calls": 0})


async def test_no_seconds_are_over_at_once(workshop: Opener) -> None:
    async with workshop([Reply("late", delay=30)]) as shop:
        await stopped(shop, "deadline_exceeded", "seconds", budget={"seconds": 0})


async def test_the_deadline_cancels_a_model_that_thinks(workshop: Opener) -> None:
    async with workshop([Reply("late", delay=30)]) as shop:
        result = await stopped(shop, "deadline_exceeded", "seconds", budget={"seconds": 1})
        assert (result.steps, result.spent.model_calls) == (1, 1)
        assert Decimal(result.spent.usd) == Decimal(result.spent.usd_unbilled) > 0
        await shop.until(lambda: shop.model.cancelled == 1)


async def test_the_deadline_cancels_a_tool_that_works(workshop: Opener) -> None:
    call = Call("work", {"text": "a", "seconds": 60})
    async with workshop([Reply(calls=[call])]) as shop:
        handle = await shop.start(budget={"seconds": 2})
        result = await shop.result(handle)
        assert (result.status, result.stop_reason) == ("stopped", "deadline_exceeded")
        assert [(flight.tool, flight.outcome) for flight in result.in_flight] == [("work", "unknown")]
        assert shop.lines() == ["begin a"]
        await matches(shop, handle, result)


async def test_the_third_refusal_stops_the_run(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("hammer", {"n": n})]) for n in range(5)]) as shop:
        result = await stopped(shop, "policy_denied", "hammer: unknown_tool")
        assert (result.steps, result.spent.tool_calls) == (3, 0)


async def test_the_first_refusal_stops_a_run_whose_threshold_is_one(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("hammer")]), DONE], "[stop]\ndenials = 1\n") as shop:
        assert (await stopped(shop, "policy_denied", "hammer: unknown_tool")).steps == 1


async def test_refusals_below_the_threshold_do_not_stop_the_run(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("hammer"), Call("saw")]), DONE]) as shop:
        await stopped(shop, "completed")


async def test_the_same_call_with_the_same_result_is_no_progress(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("add", {"left": 1, "right": 1})])] * 5) as shop:
        result = await stopped(shop, "no_progress", "the same calls with the same results")
        assert (result.steps, result.spent.tool_calls) == (3, 3)


async def test_going_round_in_a_circle_is_no_progress(workshop: Opener) -> None:
    circle = [Reply(calls=[Call("echo", {"text": text})]) for text in "abc" * 4]
    async with workshop(circle) as shop:
        assert (await stopped(shop, "no_progress", "the same calls with the same results")).steps == 9


async def test_a_repeatable_tool_may_bring_the_same_result(workshop: Opener) -> None:
    async with workshop([*[Reply(calls=[Call("poll")])] * 6, DONE]) as shop:
        assert (await stopped(shop, "completed")).spent.tools == {"poll": 6}


async def test_the_same_call_with_another_result_is_progress(workshop: Opener) -> None:
    async with workshop([*[Reply(calls=[Call("count")])] * 6, DONE]) as shop:
        assert (await stopped(shop, "completed")).spent.tools == {"count": 6}


@APIS
async def test_empty_replies_stop_the_run(workshop: Opener, api: str) -> None:
    async with workshop([Reply()] * 5, model_api=api) as shop:
        assert (await stopped(shop, "malformed_calls", "3 in a row")).steps == 3
        assert b"your reply was empty" in shop.model.requests[1].raw


@APIS
async def test_calls_of_a_reply_that_was_cut_never_run(workshop: Opener, api: str) -> None:
    cut = [Reply(calls=turn.calls, finish="length") for turn in notes(1, 1, 1)]
    async with workshop(cut, model_api=api) as shop:
        result = await stopped(shop, "malformed_calls", "3 in a row")
        assert (result.steps, result.spent.tool_calls, shop.lines()) == (3, 0, [])
        assert b"cut by the length limit" in shop.model.requests[1].raw


async def test_arguments_that_never_fit_stop_the_run(workshop: Opener) -> None:
    texts = ['{"text": ', "[]", '{"text": 5}', "{}", '{"text": "a", "colour": "red"}', '{"text": NaN}', ""]
    scripts = {f"case {n}": [Reply(calls=[Call("note", text)])] * 5 for n, text in enumerate(texts)}
    async with workshop(scripts) as shop:
        for goal in scripts:
            result = await stopped(shop, "malformed_calls", "3 in a row", goal=goal)
            assert (result.steps, result.spent.tool_calls, shop.lines()) == (3, 0, [])


async def test_a_usable_call_between_unusable_ones_starts_the_count_anew(workshop: Opener) -> None:
    wrong = Reply(calls=[Call("note", "{}")])
    async with workshop([wrong, wrong, *notes(1), wrong, wrong, DONE]) as shop:
        await stopped(shop, "completed")


async def test_five_failures_in_a_row_stop_the_run(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("crash", {"text": str(n)})]) for n in range(9)]) as shop:
        result = await stopped(shop, "tool_failures", "5 in a row")
        assert (result.steps, result.spent.tools) == (5, {"crash": 5})


async def test_a_success_between_failures_starts_the_count_anew(workshop: Opener) -> None:
    failures = [Reply(calls=[Call("crash", {"text": str(n)})]) for n in range(8)]
    async with workshop([*failures[:4], *notes(1), *failures[4:], DONE]) as shop:
        await stopped(shop, "completed")


async def test_an_effect_that_nobody_can_tell_stops_the_run(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("slow_once")]), DONE]) as shop:
        result = await stopped(shop, "outcome_unknown", "slow_once")
        assert (result.steps, shop.lines()) == (1, ["tried"])


async def failed(shop: Workshop) -> RunResult:
    """The result in the error of a run whose model could not be had."""
    handle = await shop.start()
    error = await shop.failure(handle)
    assert error.type == "ModelUnavailable"
    result = RunResult.model_validate(error.details[0])
    assert (result.status, result.stop_reason, result.answer) == ("failed", "model_unavailable", None)
    await matches(shop, handle, result)
    return result


@APIS
async def test_a_refused_key_fails_the_run_at_once(workshop: Opener, api: str) -> None:
    async with workshop([Failure(401, "wrong key")], model_api=api) as shop:
        result = await failed(shop)
        assert "wrong key" in (result.stop_detail or "")
        assert len(shop.model.requests) == 1
        assert (result.spent.model_calls, result.spent.usd) == (0, "0.00")


@APIS
async def test_a_model_that_fails_for_too_long_fails_the_run(workshop: Opener, api: str) -> None:
    toml = '[model]\ngive_up_after = "2s"\n'
    async with workshop([Failure(500)], toml, model_api=api) as shop:
        result = await failed(shop)
        assert len(shop.model.requests) == result.spent.model_calls == 2
        assert Decimal(result.spent.usd) == Decimal(result.spent.usd_unbilled) > 0


async def test_a_model_that_is_never_there_costs_nothing(workshop: Opener) -> None:
    toml = '[model]\ngive_up_after = "2s"\n'
    async with workshop([DONE], toml, openai_base_url="http://127.0.0.1:9/v1") as shop:
        result = await failed(shop)
        assert "cannot connect" in (result.stop_detail or "")
        assert (result.spent.model_calls, result.spent.usd) == (0, "0.00")


async def test_the_stronger_of_two_reasons_wins(workshop: Opener) -> None:
    def calls(request: Request) -> Reply:
        return Reply(calls=[Call("hammer", {"n": request.index}), Call("note", {"text": str(request.index)})])

    async with workshop([calls] * 5) as shop:
        await stopped(shop, "policy_denied", "hammer: unknown_tool", budget={"steps": 3})
