"""`perform`: nothing is done for a call that no run is executing just now, and policy allows."""

from typing import Any, Literal

import pytest
from temporalio.exceptions import ApplicationError

from activities.perform import Perform
from backstay.contracts.call import ActInput, ToolResult
from backstay.contracts.effect import CallRef, PerformInput
from backstay.contracts.history import Handed, RunRef
from backstay.errors import HistoryError, HistoryGoneError

from .fakes import FORBIDDEN, RUN, tool_spec
from .world import World

CALL = CallRef(workflow_id=RUN.workflow_id, run_id=RUN.run_id, call_id="1-0", task_queue="agents")
OWN_KEY = "key/1-0/content"
NOBODY = ToolResult(status="denied", text="denied just before it was executed: no run is executing this call")


@pytest.fixture
def world() -> World:
    """A worker with a tool that the calls of a tenant share."""
    return World(tool_spec(dedupe="tenant"))


async def shared(world: World, *, over: bool = False, **changes: Any) -> ActInput:
    """Hands the call to `act` in its run, and makes this an activity of the effect that it claims."""
    given = await world.handed(**changes)
    world.history.calls[RUN, "1-0"] = Handed(given, over, None)
    world.within(RunRef(world.effect_ids.of(given, await world.prepared(given)), "effect-run-1"))
    return given


async def performed(world: World, key: str = OWN_KEY, again: int = 0, begun: int = 0) -> ToolResult:
    activity = Perform(world.preparer, world.effect_ids, world.history)
    return await world.env.run(activity.perform, PerformInput(call=CALL, key=key, again=again, begun=begun))


async def test_an_effect_is_performed_for_the_call_that_its_run_is_executing(world: World) -> None:
    await shared(world)
    assert await performed(world) == ToolResult(status="completed", text="paid")
    [call] = world.tool.ran
    assert (call.run_id, call.call_id, call.idempotency_key) == ("refund-A17", "1-0", OWN_KEY)


async def test_a_call_that_no_run_has_handed_over_gets_nothing_done(world: World) -> None:
    await shared(world)
    world.history.calls.clear()
    assert await performed(world) == NOBODY
    assert world.tool.ran == []


async def test_a_run_that_the_engine_does_not_know_gets_nothing_done(world: World) -> None:
    await shared(world)
    world.history.fault = HistoryGoneError("there is no such run")
    assert await performed(world) == NOBODY


async def test_a_call_that_is_over_gets_nothing_done_unless_an_attempt_had_begun_for_it(world: World) -> None:
    await shared(world, over=True)
    assert await performed(world) == NOBODY
    world.attempt(2)
    assert (await performed(world)).status == "completed"


async def test_what_had_begun_before_a_stop_held_it_counts_in_the_first_attempt_after_it(world: World) -> None:
    await shared(world, over=True, begun=7)
    assert (await performed(world, begun=1)).status == "completed"
    world.gate.answer = FORBIDDEN
    assert (await performed(world, begun=1)).status == "unknown"
    await shared(world, begun=7)
    assert (
        await performed(world)
    ).status == "denied"  # the attempts of the call that claims are not those at the effect


async def test_an_effect_that_was_reset_is_unknown_and_not_performed_anew(world: World) -> None:
    await shared(world)
    world.history.resets.add(RunRef(world.env.info.workflow_id or "", "effect-run-1"))
    assert await performed(world) == ToolResult(
        status="unknown", text="the outcome is unknown: the shared effect was reset"
    )
    assert world.tool.ran == []


async def test_a_history_that_cannot_be_read_yet_is_an_error_that_is_tried_again(world: World) -> None:
    await shared(world)
    world.history.fault = HistoryError("not there yet")
    with pytest.raises(ApplicationError, match="not there yet") as caught:
        await performed(world)
    assert (caught.value.type, caught.value.non_retryable) == ("HistoryError", False)


async def test_policy_is_asked_once_more_and_its_no_is_final(world: World) -> None:
    await shared(world)
    world.gate.answer = FORBIDDEN
    result = await performed(world)
    assert (result.status, result.text) == ("denied", "denied just before it was executed: refunds are closed")
    assert result.verdict is not None
    assert world.tool.ran == []


async def test_a_no_that_comes_after_an_attempt_had_begun_leaves_its_outcome_unknown(world: World) -> None:
    await shared(world)
    world.gate.answer = FORBIDDEN
    world.attempt(2)
    assert ((await performed(world)).status, world.tool.ran) == ("unknown", [])


async def test_a_call_performs_no_effect_but_its_own(world: World) -> None:
    await shared(world)
    world.within(RunRef("effect-of-another-call", "effect-run-1"))
    result = await performed(world)
    assert result.text.endswith("the effect is not that of the call")
    assert world.tool.ran == []


async def test_a_tool_that_shares_no_effects_performs_none(world: World) -> None:
    await shared(world)
    world.admit(dedupe=None)
    result = await performed(world)
    assert result.text.endswith("the effect is not that of the call")
    assert world.tool.ran == []


async def test_a_first_performance_has_the_key_of_the_call(world: World) -> None:
    await shared(world)
    result = await performed(world, key="a key that somebody made up")
    assert result.text.endswith("the key is not that of the call")
    assert world.tool.ran == []


@pytest.mark.parametrize(
    ("effect", "known", "again", "done"),
    [
        ("write", 0, 1, True),  # repeated under its key, which makes it harmless
        ("once", 1, 1, True),  # the run has learned that the first did not happen
        ("once", 0, 1, False),
        ("once", 1, 2, False),
    ],
)
async def test_a_later_performance_has_the_key_of_the_first_and_a_reason(
    world: World, effect: str, known: int, again: int, done: bool
) -> None:
    world.admit(effect=effect)
    await shared(world, again=known)
    result = await performed(world, key="key of the first call", again=again)
    assert [call.idempotency_key for call in world.tool.ran] == ["key of the first call"] * done
    assert done or result.text.endswith("nobody knows that it did not happen before")


@pytest.mark.parametrize("status", ["completed", "unknown"])
async def test_an_effect_ended_from_outside_leaves_what_it_had_done_and_is_not_performed_anew(
    world: World, status: Literal["completed", "unknown"]
) -> None:
    await shared(world)
    world.history.left_behind = ToolResult(status=status, text="left")
    assert await performed(world) == world.history.left_behind
    assert world.tool.ran == []


async def test_an_effect_ended_from_outside_is_performed_anew_once_it_is_known_not_to_have_happened(
    world: World,
) -> None:
    await shared(world, again=1)
    world.history.left_behind = ToolResult(status="unknown", text="left")
    assert (await performed(world)).status == "completed"


async def test_a_second_attempt_at_what_happens_once_does_nothing(world: World) -> None:
    world.admit(effect="once")
    await shared(world)
    world.attempt(2)
    assert (await performed(world)).status == "unknown"
    assert world.tool.ran == []


async def test_a_worker_that_does_not_serve_the_tool_leaves_the_effect_to_another(world: World) -> None:
    await shared(world)
    world.catalog.tools.clear()
    with pytest.raises(ApplicationError) as refused:
        await performed(world)
    assert (refused.value.type, refused.value.non_retryable, world.tool.ran) == ("UnservedTool", True, [])
