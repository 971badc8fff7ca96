"""Claiming a shared effect: which effect it is, and what becomes of a call that stops waiting for it."""

import asyncio
from typing import Any

import pytest
from temporalio.activity import ActivityCancellationDetails

from activities.claim import claimed
from activities.heartbeat import beating
from backstay.contracts.call import ToolResult
from backstay.contracts.effect import CallRef, Claim, EffectInput
from backstay.errors import EffectUnreachedError

from .fakes import BY_A_NEWER_ATTEMPT, BY_THE_RUN, BY_THE_WORKER, tool_spec
from .world import World, proposed

CALL = CallRef(workflow_id="refund-A17", run_id="run-1", call_id="1-0", task_queue="agents")


@pytest.fixture
def world() -> World:
    """A worker with a tool that the calls of a tenant share."""
    return World(tool_spec(dedupe="tenant", dedupe_window=60.0))


async def claim(world: World, **changes: Any) -> ToolResult:
    given = await world.handed(**changes)
    prepared = await world.prepared(given)

    async def attempt() -> ToolResult:
        async with beating() as pulse:
            return await claimed(world.effects, world.effect_ids.of(given, prepared), given, prepared, pulse)

    return await world.env.run(attempt)


async def ended_by(world: World, details: ActivityCancellationDetails) -> ToolResult:
    """Cancels a call while it waits; returns what becomes of it."""
    world.effects.claiming.outcome = None
    waiting = asyncio.create_task(claim(world))
    await world.effects.claiming.waiting.wait()
    world.env.cancel(details)
    return await waiting


async def test_a_claim_says_which_call_wants_which_effect_and_how_to_perform_it(world: World) -> None:
    assert await claim(world, again=2) == world.effects.claiming.outcome
    [made] = world.effects.claims
    assert made.claim == Claim(call=CALL, again=2)
    assert made.start == EffectInput(
        call=CALL, key="key/1-0/content", tenant="acme", tool="pay", effect="write", timeout=5.0, window=60.0
    )
    assert world.effects.claiming.dropped
    assert not world.effects.claiming.withdrawn


@pytest.mark.parametrize(
    ("attempt", "details", "earlier", "beats"),
    [
        (1, (), None, []),
        (2, (), "", []),
        (2, ("effect-run-7",), "effect-run-7", [("effect-run-7",)]),
    ],
)
async def test_a_later_attempt_asks_for_the_effect_that_the_earlier_one_met(
    world: World, attempt: int, details: tuple[str, ...], earlier: str | None, beats: list[tuple[str]]
) -> None:
    world.attempt(attempt, *details)
    await claim(world)
    assert world.effects.claims[0].earlier == earlier
    assert world.beats == beats


async def test_the_effect_that_is_met_is_told_to_later_attempts(world: World) -> None:
    world.effects.tells = "effect-run-8"
    await claim(world)
    assert world.beats == [("effect-run-8",)]


async def test_a_call_that_its_run_stops_withdraws_and_says_what_became_of_it(world: World) -> None:
    assert await ended_by(world, BY_THE_RUN) == world.effects.claiming.left
    assert world.effects.claiming.dropped
    assert world.effects.asked_after == []


async def test_a_call_that_the_engine_forgot_withdraws_where_its_run_is_over(world: World) -> None:
    world.effects.over = True
    assert await ended_by(world, BY_A_NEWER_ATTEMPT) == world.effects.claiming.left
    assert world.effects.asked_after == [CALL]


@pytest.mark.parametrize("details", [BY_A_NEWER_ATTEMPT, BY_THE_WORKER])
async def test_an_attempt_that_another_one_replaces_withdraws_nothing(
    world: World, details: ActivityCancellationDetails
) -> None:
    with pytest.raises(asyncio.CancelledError):
        await ended_by(world, details)
    assert world.effects.claiming.dropped
    assert not world.effects.claiming.withdrawn


async def test_an_effect_that_cannot_be_asked_is_an_error_and_waits_no_more(world: World) -> None:
    world.effects.claiming.outcome = EffectUnreachedError("no answer")
    with pytest.raises(EffectUnreachedError):
        await claim(world)
    assert world.effects.claiming.dropped


async def identity(world: World, arguments: str = '{"amount": 5}', **changes: Any) -> str:
    """The id of the effect of a call."""
    given = await world.handed(proposed(world.tool.spec.name, arguments))
    return world.effect_ids.of(given.model_copy(update=changes), await world.prepared(given))


async def test_the_id_of_an_effect_never_changes(world: World) -> None:
    assert await identity(world) == "effect-9a8ed5bac93d2622f4657abbeb258345eef630f1a5af3c44fc9e31e7c2a8fa15"


async def test_calls_of_a_tenant_share_an_effect_whatever_run_they_belong_to(world: World) -> None:
    one = await identity(world)
    assert await identity(world, run_key="another", call_id="7-0", digest="d", content="c") == one
    assert await identity(world, '{"amount":5.0}') == one
    assert await identity(world, '{"amount": 6}') != one


async def test_an_argument_that_is_left_out_is_its_default_written_out(world: World) -> None:
    world.tool.defaults = {"currency": "EUR"}
    assert await identity(world) == await identity(world, '{"currency": "EUR", "amount": 5}')
    assert await identity(world) != await identity(world, '{"currency": "USD", "amount": 5}')


async def test_another_tenant_tool_or_scope_is_another_effect(world: World) -> None:
    ids = [await identity(world)]
    for other in (World(tool_spec(dedupe="run")), World(tool_spec("mail", dedupe="tenant"))):
        ids.append(await identity(other))
    elsewhere = World(tool_spec(dedupe="tenant"))
    elsewhere.change_opening(tenant="globex")
    ids.append(await identity(elsewhere))
    assert len(set(ids)) == 4


async def test_an_effect_in_the_scope_of_a_run_is_shared_within_that_run_only() -> None:
    world = World(tool_spec(dedupe="run"))
    one = await identity(world)
    assert await identity(world, call_id="7-0") == one
    assert await identity(world, run_key="another") != one
