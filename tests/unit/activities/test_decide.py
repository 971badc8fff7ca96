"""`decide`: what it asks the model, and what it says that the asking may have cost."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.activity import ActivityCancellationDetails
from temporalio.exceptions import ApplicationError

from activities.decide import Decide
from backstay.contracts.conversation import ModelReply, Said
from backstay.contracts.decision import BilledUsage, DecideInput, DecideResult, Decision, LostAttempts, ProposedCall
from backstay.errors import ForeignRunError, HistoryError, HistoryGoneError, ModelError, UnservedError
from backstay.kernel.control import Incident, InForce, Mode, Told
from backstay.kernel.reply import WRITTEN
from backstay.kernel.scope import Scope

from .fakes import BY_THE_RUN, BY_THE_WORKER
from .queued import ANSWER, REPLY, Turn, given, model_error, rate_limited
from .world import World


async def decided(world: World, asked: DecideInput | None = None) -> DecideResult:
    return await world.env.run(Decide(world.asking, world.alarms).decide, asked or given())


async def failed(world: World, asked: DecideInput | None = None) -> tuple[ApplicationError, int]:
    """The failure of an attempt, and how many attempts it says may be billed."""
    with pytest.raises(ApplicationError) as caught:
        await decided(world, asked)
    [detail] = caught.value.details
    assert isinstance(detail, LostAttempts)
    return caught.value, detail.lost_attempts


async def test_the_model_is_asked_with_what_the_run_was_admitted_with(world: World) -> None:
    world.models.answer = REPLY
    result = await decided(world, given(notes=["The runtime says: hurry."]))
    assert result == DecideResult(decision=ANSWER, usage=REPLY.usage, lost_attempts=0, model="m-2026")
    [request] = world.models.requests
    assert (request.model.name, request.instructions, request.max_output_tokens) == ("m", "Be careful.", 50)
    assert request.tools == (world.tool.spec,)
    assert request.conversation == (Said("Refund order A17."), Said("The runtime says: hurry."))


@pytest.mark.parametrize(
    ("decision", "is_call"),
    [
        (Decision(text="<function=pay><parameter=amount>5"), True),
        (Decision(text="I would call pay."), False),
        (Decision(text="<function=pay>", calls=[ProposedCall(call_id="1-0", tool="pay", arguments="{}")]), False),
    ],
    ids=["a call", "words", "a call beside it"],
)
async def test_a_call_that_is_written_as_text_is_read_once_for_good(
    world: World, decision: Decision, is_call: bool
) -> None:
    world.models.answer = ModelReply(decision, None, "m")
    read = (await decided(world)).decision
    assert read == decision.model_copy(update={"problem": WRITTEN if is_call else None})


async def test_a_problem_that_is_known_already_stays(world: World) -> None:
    world.models.answer = ModelReply(Decision(text="<function=pay>", problem="no"), None, "m")
    assert (await decided(world)).decision == world.models.answer.decision


@pytest.mark.parametrize(
    ("arguments", "whole"),
    [('{"amount": 5.0}', True), ('{"amount": 5}', False), ('{"amount": 1.5}', False), ("{", False)],
)
async def test_a_call_with_a_whole_number_is_the_same_as_one_with_an_integer(
    world: World, arguments: str, whole: bool
) -> None:
    call = ProposedCall(call_id="1-0", tool="pay", arguments=arguments)
    world.models.answer = ModelReply(Decision(calls=[call]), None, "m")
    read = (await decided(world)).decision
    assert read is not None
    assert read.calls == [call.model_copy(update={"whole": whole})]
    if whole:
        assert read.calls[0].content == 'pay\n{"amount":5}'


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


@pytest.mark.parametrize(("attempt", "type_", "lost"), [(1, "Held", 0), (2, "AttemptsUnseen", 1)])
async def test_an_attempt_that_a_stop_holds_is_the_last_one_because_the_stop_may_outlast_the_patience_of_the_engine(
    world: World, attempt: int, type_: str, lost: int
) -> None:
    stop = Incident("i1", Scope.read("all"), Mode.STOP, Told("olga", "it pays twice", 1))
    world.control.state = InForce(incidents={"i1": stop})
    world.attempt(attempt)
    error, counted = await failed(world)
    assert (error.type, error.non_retryable, counted) == (type_, True, lost)
    assert world.models.requests == []


@pytest.mark.parametrize("fault", [HistoryError("not there yet"), HistoryGoneError("no such run")])
async def test_an_attempt_that_cannot_read_the_history_costs_nothing_and_proves_it(
    world: World, fault: HistoryError
) -> None:
    world.history.fault = fault
    world.attempt(2, [1])
    error, lost = await failed(world)
    assert (error.type, error.message, error.non_retryable, lost) == (fault.code, str(fault), False, 0)
    assert world.beats == [([1, 2], [])]


async def test_a_failure_that_is_certainly_not_billed_proves_it_and_waits_as_the_provider_asks(world: World) -> None:
    world.models.answer = model_error(billed=False, retry_after=7)
    error, lost = await failed(world)
    assert (error.type, error.non_retryable, lost) == ("ModelError", False, 0)
    assert error.next_retry_delay == timedelta(seconds=7)
    assert world.beats == [([1], [])]


async def test_a_failure_that_may_be_billed_counts_and_proves_nothing(world: World) -> None:
    world.models.answer = model_error()
    error, lost = await failed(world)
    assert (error.type, error.non_retryable, error.next_retry_delay, lost) == ("ModelError", False, None, 1)
    assert world.beats == []


async def test_a_lost_attempt_leaves_its_bill_to_the_next_ones(world: World) -> None:
    first, second = (BilledUsage(input_tokens=900, output_tokens=tokens) for tokens in (1, 2))
    world.models.answer = model_error().that_billed(first)
    with pytest.raises(ApplicationError) as caught:
        await decided(world)
    assert caught.value.details == (LostAttempts(lost_attempts=1, bills=[first]),)
    assert world.beats == [([], [first.model_dump()])]
    world.attempt(2, *world.beats[-1])
    world.models.answer = model_error().that_billed(second)
    with pytest.raises(ApplicationError) as caught:
        await decided(world)
    assert caught.value.details == (LostAttempts(lost_attempts=2, bills=[first, second]),)
    world.attempt(3, *world.beats[-1])
    world.models.answer = REPLY
    result = await decided(world, given(attempts=9))
    assert (result.lost_attempts, result.bills) == (2, [first, second])


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


@pytest.mark.parametrize(("attempt", "final"), [(1, True), (2, False)])
async def test_an_agent_that_is_not_served_here_costs_nothing_and_waits_in_sight_of_its_run(
    world: World, attempt: int, final: bool
) -> None:
    world.models.answer = UnservedError("clerk")
    world.attempt(attempt)
    error, lost = await failed(world, given(attempts=9))
    assert (error.type, error.non_retryable, lost) == ("Unserved", final, attempt - 1)
    assert world.beats[-1] == ([attempt], [])


@pytest.mark.parametrize(
    ("attempt", "retryable", "told"), [(1, True, 0), (2, True, 1), (3, True, 0), (4, True, 1), (4, False, 0)]
)
async def test_the_run_is_told_of_attempts_that_the_engine_makes_again(
    world: World, attempt: int, retryable: bool, told: int
) -> None:
    world.attempt(attempt, list(range(1, attempt)))
    world.models.answer = model_error(retryable=retryable, billed=False)
    await failed(world)
    assert [(one.step, one.attempt, one.kind) for _, one in world.alarms.told] == [(1, attempt, "overloaded")] * told


@pytest.fixture
def turn(world: World) -> Turn:
    return Turn(world)


async def test_a_refusal_by_rate_is_told_to_whoever_keeps_the_accounts_rate(turn: Turn) -> None:
    turn.world.models.answer = rate_limited(retry_after=2)
    error = await turn.failed()
    assert (error.non_retryable, error.next_retry_delay) == (False, timedelta(seconds=2))
    assert turn.quotas.told == [("main", 2)]


@pytest.mark.parametrize(
    "error",
    [model_error(), ModelError("refused", "HTTP 429: no money left", retryable=False, billed=False)],
    ids=["overloaded", "insufficient quota"],
)
async def test_no_other_failure_is_taken_for_one_of_the_rate(turn: Turn, error: ModelError) -> None:
    turn.world.models.answer = error
    await turn.failed()
    assert turn.quotas.told == []


async def test_the_run_is_told_of_its_account_and_until_when_it_is_tried(turn: Turn) -> None:
    turn.world.models.answer = rate_limited()
    began = int(datetime.now(UTC).timestamp()) - 100
    await turn.failed(2, [1], [], began)
    [(_, told)] = turn.world.alarms.told
    assert (told.account, told.kind, told.gives_up_at) == ("main", "rate_limited", began + 600)


async def test_patience_counts_from_the_first_turn_and_not_from_the_wait_for_it(turn: Turn) -> None:
    turn.world.models.answer = rate_limited()
    assert not (await turn.failed(1, seconds_ago=5)).non_retryable
    began = turn.world.beats[-1][2]
    assert abs(began - datetime.now(UTC).timestamp()) < 30
    assert not (await turn.failed(2, [1], [], began)).non_retryable
    late = await turn.failed(2, [1], [], began - 601)
    assert (late.type, late.non_retryable) == ("ModelError", True)
    assert turn.world.beats[-1] == ([1, 2], [], began - 601)


async def test_an_attempt_that_would_come_too_late_is_not_waited_for(turn: Turn) -> None:
    turn.world.models.answer = rate_limited(retry_after=500)
    assert (await turn.failed(1, seconds_ago=200)).non_retryable


@pytest.mark.parametrize("told", ["now", -1, 10**11, None])
async def test_a_start_that_cannot_be_is_not_believed(turn: Turn, told: object) -> None:
    turn.world.models.answer = rate_limited()
    assert not (await turn.failed(2, [1], [], told)).non_retryable


async def test_what_may_be_billed_tells_the_next_attempt_when_the_first_began(turn: Turn) -> None:
    turn.world.models.answer = model_error()
    await turn.failed()
    [(unbilled, _, began)] = turn.world.beats
    assert (unbilled, abs(began - datetime.now(UTC).timestamp()) < 30) == ([], True)


async def test_a_run_of_another_queue_that_shares_the_account_is_answered_by_the_accounts_model(
    turn: Turn,
) -> None:
    turn.admit_elsewhere("main")
    result = await turn.world.env.run(turn.decide().decide, given())
    assert result.decision == ANSWER
    assert turn.world.models.requests == []
    assert [request.model.account for request in turn.models.requests] == ["main"]


@pytest.mark.parametrize("account", ["other", None])
async def test_a_run_that_was_not_admitted_with_the_account_is_not_answered(turn: Turn, account: str | None) -> None:
    turn.admit_elsewhere(account)
    error = await turn.failed()
    assert (error.type, error.non_retryable) == ("Unserved", True)
    assert turn.models.requests == turn.world.models.requests == []


async def test_a_run_of_a_queue_that_nobody_named_is_left_to_the_workers_of_that_queue(turn: Turn) -> None:
    turn.world.history.fault = turn.elsewhere.fault = ForeignRunError("another queue's")
    error = await turn.failed()
    assert (error.type, error.non_retryable) == ("Unserved", True)
    assert turn.models.requests == turn.world.models.requests == []


async def test_a_history_that_cannot_be_read_is_no_other_queues(turn: Turn) -> None:
    turn.world.history.fault = ForeignRunError("another queue's")
    turn.elsewhere.fault = HistoryError("not there yet")
    assert (await turn.failed()).type == "HistoryError"


async def test_a_call_takes_its_turn_before_it_is_sent_and_costs_nothing_until_then(turn: Turn) -> None:
    turn.world.models.answer = REPLY
    await turn.world.env.run(turn.decide().decide, given())
    assert turn.turns.taken == ["main"]
    turn.turns.closed = True
    attempt = asyncio.create_task(turn.world.env.run(turn.decide().decide, given()))
    await turn.turns.waiting.wait()
    turn.world.env.cancel(BY_THE_RUN)
    assert await attempt == DecideResult(decision=None, lost_attempts=0)
    assert len(turn.world.models.requests) == 1
