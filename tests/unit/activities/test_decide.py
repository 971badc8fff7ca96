"""`decide`: what it asks the model, and what it says that the asking may have cost."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio.activity import ActivityCancellationDetails
from temporalio.exceptions import ApplicationError

from activities.decide import Decide
from backstay.contracts.conversation import ModelReply, Said
from backstay.contracts.decision import BilledUsage, DecideFailure, DecideInput, DecideResult, Decision, ProposedCall
from backstay.errors import HistoryError, HistoryGoneError, ModelError

from .fakes import BY_THE_RUN, BY_THE_WORKER
from .world import World

ANSWER = Decision(text="done")
REPLY = ModelReply(ANSWER, BilledUsage(input_tokens=7, output_tokens=3), "m-2026")


def given(**changes: Any) -> DecideInput:
    return DecideInput(step=1, run_key="key", max_output_tokens=50, attempts=2).model_copy(update=changes)


async def decided(world: World, asked: DecideInput | None = None) -> DecideResult:
    return await world.env.run(Decide(world.conversations, world.models).decide, asked or given())


async def failed(world: World, asked: DecideInput | None = None) -> tuple[ApplicationError, int]:
    """The failure of an attempt, and how many attempts it says may be billed."""
    with pytest.raises(ApplicationError) as caught:
        await decided(world, asked)
    [detail] = caught.value.details
    assert isinstance(detail, DecideFailure)
    return caught.value, detail.lost_attempts


def model_error(*, retryable: bool = True, billed: bool = True, retry_after: float | None = None) -> ModelError:
    return ModelError("overloaded", "busy", retryable=retryable, billed=billed, retry_after=retry_after)


async def test_the_model_is_asked_with_what_the_run_was_admitted_with(world: World) -> None:
    world.models.answer = REPLY
    result = await decided(world, given(notes=["The runtime says: hurry."]))
    assert result == DecideResult(decision=ANSWER, usage=REPLY.usage, lost_attempts=0, model="m-2026")
    [request] = world.models.requests
    assert (request.model.name, request.instructions, request.max_output_tokens) == ("m", "Be careful.", 50)
    assert request.tools == (world.tool.spec,)
    assert request.conversation == (Said("Refund order A17."), Said("The runtime says: hurry."))


async def test_every_attempt_has_the_same_key_and_calls_are_named_by_their_step(world: World) -> None:
    world.models.answer = REPLY
    await decided(world)
    world.attempt(2, [1])
    await decided(world)
    assert [request.idempotency_key for request in world.models.requests] == ["key/decide-1"] * 2
    assert world.models.call_ids == ["1-0", "1-1"]


async def test_a_decision_is_remembered_for_the_next_one(world: World) -> None:
    pay = Decision(calls=[ProposedCall(call_id="1-0", tool="pay", arguments="{}")])
    world.models.answer = ModelReply(pay, None, None)
    await decided(world)
    await decided(world, given(step=2, previous=pay.digest(1), notes=["go on"]))
    assert len(world.models.requests[-1].conversation) == 3
    assert world.history.reads == []


@pytest.mark.parametrize(
    ("attempt", "proven", "lost"),
    [
        (1, [], 0),
        (2, [], 1),
        (2, [1], 0),
        (4, [1, 3], 1),
        (3, [1, 3, 9], 1),  # neither this attempt nor a later one has proven anything
        (3, ["1", None], 2),
    ],
)
async def test_an_earlier_attempt_counts_as_billed_unless_a_heartbeat_proves_that_it_was_not(
    world: World, attempt: int, proven: list[Any], lost: int
) -> None:
    world.models.answer = REPLY
    world.attempt(attempt, proven)
    assert (await decided(world, given(attempts=9))).lost_attempts == lost


async def test_an_attempt_that_the_budget_does_not_cover_sends_nothing(world: World) -> None:
    world.attempt(3)
    error, lost = await failed(world, given(attempts=2))
    assert (error.type, error.non_retryable, lost) == ("AttemptsUnseen", True, 2)
    assert world.models.requests == []
    assert world.beats == []


@pytest.mark.parametrize("fault", [HistoryError("not there yet"), HistoryGoneError("no such run")])
async def test_an_attempt_that_cannot_read_the_history_costs_nothing_and_proves_it(
    world: World, fault: HistoryError
) -> None:
    world.history.fault = fault
    world.attempt(2, [1])
    error, lost = await failed(world)
    assert (error.type, error.message, error.non_retryable, lost) == (fault.code, str(fault), False, 0)
    assert world.beats == [([1, 2],)]


async def test_a_failure_that_is_certainly_not_billed_proves_it_and_waits_as_the_provider_asks(world: World) -> None:
    world.models.answer = model_error(billed=False, retry_after=7)
    error, lost = await failed(world)
    assert (error.type, error.non_retryable, lost) == ("ModelError", False, 0)
    assert error.next_retry_delay == timedelta(seconds=7)
    assert world.beats == [([1],)]


async def test_a_failure_that_may_be_billed_counts_and_proves_nothing(world: World) -> None:
    world.models.answer = model_error()
    error, lost = await failed(world)
    assert (error.type, error.non_retryable, error.next_retry_delay, lost) == ("ModelError", False, None, 1)
    assert world.beats == []


async def test_the_last_attempt_that_is_covered_is_final_when_it_may_be_billed(world: World) -> None:
    world.models.answer = model_error()
    world.attempt(2)
    error, lost = await failed(world, given(attempts=2))
    assert (error.type, error.non_retryable, lost) == ("AttemptsLost", True, 2)


async def test_a_free_failure_of_the_last_attempt_that_is_covered_is_tried_again(world: World) -> None:
    world.models.answer = model_error(billed=False)
    world.attempt(2)
    error, lost = await failed(world, given(attempts=2))
    assert (error.type, error.non_retryable, lost) == ("ModelError", False, 1)


async def test_a_request_that_can_never_succeed_is_final_under_its_own_name(world: World) -> None:
    world.models.answer = model_error(retryable=False)
    error, lost = await failed(world, given(attempts=1))
    assert (error.type, error.non_retryable, lost) == ("ModelError", True, 1)


async def test_a_request_that_the_run_cancels_may_be_billed(world: World) -> None:
    world.attempt(2)
    attempt = asyncio.create_task(decided(world, given(attempts=3)))
    await world.models.asked.wait()
    world.env.cancel(BY_THE_RUN)
    assert await attempt == DecideResult(decision=None, lost_attempts=2)


async def test_an_attempt_that_is_cancelled_before_it_sent_anything_costs_nothing(world: World) -> None:
    world.history.blocked = True
    attempt = asyncio.create_task(decided(world))
    await world.history.reading.wait()
    world.env.cancel(BY_THE_RUN)
    assert await attempt == DecideResult(decision=None, lost_attempts=0)
    assert world.models.requests == []


@pytest.mark.parametrize("details", [BY_THE_WORKER, ActivityCancellationDetails(timed_out=True)])
async def test_an_attempt_that_a_worker_gives_up_is_left_to_the_next_one(
    world: World, details: ActivityCancellationDetails
) -> None:
    attempt = asyncio.create_task(decided(world))
    await world.models.asked.wait()
    world.env.cancel(details)
    with pytest.raises(asyncio.CancelledError):
        await attempt
