"""`compact`: what it asks the model, what it leaves, and what it says that the asking may have cost."""

import pytest
from temporalio.exceptions import ApplicationError

from activities.compact import ASK, Compact
from activities.compacted import as_read, opening_size, size_of
from activities.decide import Decide
from backstay.contracts import names
from backstay.contracts.admission import ContextSpec, OtherModel
from backstay.contracts.call import ToolResult
from backstay.contracts.compact import CompactInput, CompactResult
from backstay.contracts.conversation import Compacted, Decided, ModelReply, Said
from backstay.contracts.decision import BilledUsage, Compaction, DecideInput, Decision, Observation, ProposedCall
from backstay.errors import ModelError

from .fakes import RUN
from .world import World

USAGE = BilledUsage(input_tokens=7, output_tokens=3)
SUMMARY = ModelReply(Decision(text="I paid twice."), USAGE, "m-2026")
STEPS = 6


def decision(step: int) -> Decision:
    return Decision(
        calls=[ProposedCall(call_id=f"{step}-0", tool="pay", arguments="{}")], reasoning=[{"type": "reasoning"}]
    )


def past(world: World) -> None:
    """Writes a run of some steps with long results into the history."""
    for step in range(1, STEPS + 1):
        seen = [Observation(call_id=f"{step - 1}-0")] if step > 1 else []
        previous = decision(step - 1).digest(step - 1) if step > 1 else None
        world.history.inputs[step] = DecideInput(
            step=step, run_key="key", previous=previous, max_output_tokens=50, attempts=2, observations=seen
        )
        world.history.decisions[step] = decision(step)
        world.history.results[f"{step}-0"] = ToolResult(status="completed", text=str(step) * 1_000)


def given(**changes: object) -> CompactInput:
    asked = CompactInput(
        number=1,
        run_key="key",
        step=STEPS,
        previous=decision(STEPS).digest(STEPS),
        room=6_000,
        attempts=2,
        max_output_tokens=50,
    )
    return asked.model_copy(update=changes)


async def compact(world: World, **changes: object) -> CompactResult:
    past(world)
    return await world.env.run(Compact(Decide(world.asking, world.alarms)).compact, given(**changes))


async def test_older_turns_are_summarised_and_the_last_stay(world: World) -> None:
    world.models.answer = SUMMARY
    result = await compact(world)
    assert result.compaction is not None
    assert result.compaction.summary == "I paid twice."
    assert 0 < result.compaction.dropped == result.compaction.through < STEPS
    assert (result.replied, result.usage, result.model, result.lost_attempts) == (True, USAGE, "m-2026", 0)
    [request] = world.models.requests
    assert request.conversation[0] == Said("Refund order A17.")
    assert request.conversation[-1] == Said(ASK)
    assert request.offers is False
    assert request.idempotency_key == "key/compact-1"


async def test_the_bound_is_that_of_what_the_model_reads_then(world: World) -> None:
    world.models.answer = SUMMARY
    result = await compact(world)
    kept = await world.conversations.until(RUN, STEPS, decision(STEPS).digest(STEPS))
    assert result.compaction is not None
    read = as_read([*kept, Compacted(result.compaction)])
    assert result.size == opening_size(await world.conversations.opening(RUN)) + size_of(read)


async def test_without_attempts_no_model_is_asked(world: World) -> None:
    result = await compact(world, attempts=0)
    assert result.compaction is not None
    assert (result.compaction.summary, result.compaction.through > 0, result.replied) == (None, True, False)
    assert world.models.requests == []


async def test_a_conversation_of_unknown_room_is_halved(world: World) -> None:
    result = await compact(world, attempts=0, room=None)
    assert result.compaction is not None
    again = await compact(world, attempts=0, room=None, pending=result.compaction)
    assert again.size < result.size


async def test_a_summary_of_before_stays_where_more_is_truncated(world: World) -> None:
    before = Compaction(dropped=1, through=1, summary="earlier")
    result = await compact(world, attempts=0, room=3_000, pending=before)
    assert result.compaction is not None
    assert result.compaction.summary == "earlier"


@pytest.mark.parametrize("attempts", [0, 2])
async def test_where_nothing_can_be_left_out_nothing_is_asked(world: World, attempts: int) -> None:
    result = await compact(world, attempts=attempts, room=1_000_000)
    assert result == CompactResult()
    assert world.models.requests == []


@pytest.mark.parametrize(
    "reply",
    [Decision(text=" "), Decision(text="cut", finish="length"), Decision(text="odd", problem="odd")],
    ids=["empty", "cut", "odd"],
)
async def test_an_unusable_summary_is_paid_for_and_not_used(world: World, reply: Decision) -> None:
    world.models.answer = ModelReply(reply, USAGE, "m-2026")
    result = await compact(world)
    assert (result.compaction, result.replied, result.usage) == (None, True, USAGE)


async def test_a_failure_says_what_it_may_have_cost(world: World) -> None:
    world.models.answer = ModelError("too_long", "HTTP 400", retryable=False, billed=False)
    with pytest.raises(ApplicationError) as caught:
        await compact(world)
    assert (caught.value.type, caught.value.non_retryable) == (names.TOO_LONG, True)


async def test_another_model_is_asked_without_what_only_the_first_can_read(world: World) -> None:
    world.models.answer = SUMMARY
    spec = world.history.openings[RUN].admission.model
    context = ContextSpec(compact_at=80, model=OtherModel(name="nano"))
    model = spec.model_copy(update={"context": context})
    world.change_opening(admission=world.history.openings[RUN].admission.model_copy(update={"model": model}))
    await compact(world)
    [request] = world.models.requests
    assert request.model.name == "nano"
    assert not any(item.decision.reasoning for item in request.conversation if isinstance(item, Decided))
