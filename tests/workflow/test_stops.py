"""The reasons to stop that a run finds by itself beside its budget: when they hold, and what everybody is told."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from backstay.contracts.run import RunResult
from backstay.testing import Call, Failure, Reply, Request

if TYPE_CHECKING:
    from tests.workflow.conftest import Opener, Workshop

APIS = pytest.mark.parametrize("api", ["responses", "chat"])
DONE = Reply("done")
NOTE = Reply(calls=[Call("note", {"text": "a"})])


@APIS
async def test_a_run_that_answers_is_completed(workshop: Opener, api: str) -> None:
    async with workshop([DONE], model_api=api) as shop:
        result = await shop.stopped("completed")
        assert (result.answer, result.steps, result.spent.steps, result.spent.model_calls) == ("done", 1, 1, 1)


async def test_no_seconds_are_over_at_once(workshop: Opener) -> None:
    async with workshop([Reply("late", delay=30)]) as shop:
        await shop.stopped("deadline_exceeded", "seconds", budget={"seconds": 0})


async def test_the_deadline_cancels_a_model_that_thinks(workshop: Opener) -> None:
    async with workshop([Reply("late", delay=30)]) as shop:
        result = await shop.stopped("deadline_exceeded", "seconds", budget={"seconds": 1})
        assert (result.steps, result.spent.model_calls) == (1, 1)
        assert Decimal(result.spent.usd) == Decimal(result.spent.usd_unbilled) > 0
        await shop.until(lambda: shop.model.cancelled == 1)


async def test_a_deadline_that_nobody_saw_pass_has_passed(workshop: Opener) -> None:
    async with workshop([Reply("done", delay=2)], worker=False) as shop:
        async with shop.runtime.serving():
            handle = await shop.start(budget={"seconds": 3})
            await shop.asked(1)
        await asyncio.sleep(4)
        async with shop.runtime.serving():
            result = await shop.result(handle)
        assert (result.stop_reason, result.answer, result.spent.seconds) == ("deadline_exceeded", "done", 3)


async def test_the_deadline_cancels_a_tool_that_works(workshop: Opener) -> None:
    call = Call("work", {"text": "a", "seconds": 60})
    async with workshop([Reply(calls=[call])]) as shop:
        handle = await shop.start(budget={"seconds": 2})
        result = await shop.result(handle)
        assert (result.status, result.stop_reason) == ("stopped", "deadline_exceeded")
        assert [(flight.tool, flight.outcome) for flight in result.in_flight] == [("work", "unknown")]
        assert shop.lines() == ["begin a"]
        await shop.told_the_same(handle, result)


async def test_the_third_refusal_stops_the_run(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("hammer", {"n": n})]) for n in range(5)]) as shop:
        result = await shop.stopped("policy_denied", "hammer: unknown_tool")
        assert (result.steps, result.spent.tool_calls) == (3, 0)


async def test_the_first_refusal_stops_a_run_whose_threshold_is_one(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("hammer")]), DONE], "[stop]\ndenials = 1\n") as shop:
        assert (await shop.stopped("policy_denied", "hammer: unknown_tool")).steps == 1


async def test_refusals_below_the_threshold_do_not_stop_the_run(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("hammer"), Call("saw")]), DONE]) as shop:
        await shop.stopped("completed")


async def test_the_same_call_with_the_same_result_is_no_progress(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("add", {"left": 1, "right": 1})])] * 5) as shop:
        result = await shop.stopped("no_progress", "the same calls with the same results")
        assert (result.steps, result.spent.tool_calls) == (3, 3)


async def test_going_round_in_a_circle_is_no_progress(workshop: Opener) -> None:
    circle = [Reply(calls=[Call("echo", {"text": text})]) for text in "abc" * 4]
    async with workshop(circle) as shop:
        assert (await shop.stopped("no_progress", "the same calls with the same results")).steps == 9


async def test_a_repeatable_tool_may_bring_the_same_result(workshop: Opener) -> None:
    async with workshop([*[Reply(calls=[Call("poll")])] * 6, DONE]) as shop:
        assert (await shop.stopped("completed")).spent.tools == {"poll": 6}


async def test_the_same_call_with_another_result_is_progress(workshop: Opener) -> None:
    async with workshop([*[Reply(calls=[Call("count")])] * 6, DONE]) as shop:
        assert (await shop.stopped("completed")).spent.tools == {"count": 6}


@APIS
async def test_empty_replies_stop_the_run(workshop: Opener, api: str) -> None:
    async with workshop([Reply()] * 5, model_api=api) as shop:
        assert (await shop.stopped("malformed_calls", "3 in a row")).steps == 3
        assert b"your reply was empty" in shop.model.requests[1].raw


@APIS
async def test_calls_of_a_reply_that_was_cut_never_run(workshop: Opener, api: str) -> None:
    cut = [Reply(calls=NOTE.calls, finish="length")] * 3
    async with workshop(cut, model_api=api) as shop:
        result = await shop.stopped("malformed_calls", "3 in a row")
        assert (result.steps, result.spent.tool_calls, shop.lines()) == (3, 0, [])
        assert b"cut by the length limit" in shop.model.requests[1].raw


async def test_arguments_that_never_fit_stop_the_run(workshop: Opener) -> None:
    texts = ['{"text": ', "[]", '{"text": 5}', "{}", '{"text": "a", "colour": "red"}', '{"text": NaN}', ""]
    scripts = {f"case {n}": [Reply(calls=[Call("note", text)])] * 5 for n, text in enumerate(texts)}
    async with workshop(scripts) as shop:
        for goal in scripts:
            result = await shop.stopped("malformed_calls", "3 in a row", goal=goal)
            assert (result.steps, result.spent.tool_calls, shop.lines()) == (3, 0, [])


async def test_a_usable_call_between_unusable_ones_starts_the_count_anew(workshop: Opener) -> None:
    wrong = Reply(calls=[Call("note", "{}")])
    async with workshop([wrong, wrong, NOTE, wrong, wrong, DONE]) as shop:
        await shop.stopped("completed")


async def test_five_failures_in_a_row_stop_the_run(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("crash", {"text": str(n)})]) for n in range(9)]) as shop:
        result = await shop.stopped("tool_failures", "5 in a row")
        assert (result.steps, result.spent.tools) == (5, {"crash": 5})


async def test_a_success_between_failures_starts_the_count_anew(workshop: Opener) -> None:
    failures = [Reply(calls=[Call("crash", {"text": str(n)})]) for n in range(8)]
    async with workshop([*failures[:4], NOTE, *failures[4:], DONE]) as shop:
        await shop.stopped("completed")


async def test_an_effect_that_nobody_can_tell_stops_the_run(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("slow_once")]), DONE]) as shop:
        result = await shop.stopped("outcome_unknown", "slow_once")
        assert (result.steps, shop.lines()) == (1, ["tried"])


async def failed(shop: Workshop) -> RunResult:
    """The result in the error of a run whose model could not be had."""
    handle = await shop.start()
    error = await shop.failure(handle)
    assert error.type == "ModelUnavailable"
    result = RunResult.model_validate(error.details[0])
    assert (result.status, result.stop_reason, result.answer) == ("failed", "model_unavailable", None)
    await shop.told_the_same(handle, result)
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
        await shop.stopped("policy_denied", "hammer: unknown_tool", budget={"steps": 3})
