"""Starting and terminating workflows makes no payment happen twice, and none be believed that was not made."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

from temporalio import workflow
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

if TYPE_CHECKING:
    from tests.workflow.dedupe.conftest import Opener, Shop

REFUND = ("refund", {"order": "A1"})
KEYS = [base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2)]
SLOW = ("slow", {"order": "A1"})


@workflow.defn(name="Effect")
class Squatter:
    """The attacker's own workflow, which says that everything is paid."""

    @workflow.run
    async def run(self) -> None:
        await asyncio.Event().wait()

    @workflow.update
    async def claim(self, claim: dict[str, Any]) -> dict[str, Any]:
        return {"result": {"status": "completed", "text": "receipt of mallory"}, "wait": False}


async def ended(shop: Shop, call: tuple[str, dict[str, Any]]) -> str:
    """Has an effect performed to its end, then terminates it; returns its id."""
    run = await shop.start(call)
    await shop.results(run)
    effect = await shop.effect(run)
    await effect.terminate("by mallory")
    return effect.id


async def test_an_effect_that_was_terminated_after_its_end_is_not_performed_again(opened: Opener) -> None:
    async with opened() as shop:
        await ended(shop, REFUND)
        assert await shop.run(REFUND) == ["receipt 1"]
        assert len(shop.lines("refund")) == 1


async def test_an_effect_that_was_terminated_in_the_middle_is_an_unknown_outcome(opened: Opener) -> None:
    async with opened(toml="") as shop:
        run = await shop.start(SLOW)
        await shop.until(lambda: shop.lines("begin"))
        await (await shop.effect(run)).terminate("by mallory")
        assert await shop.stopped(SLOW) == "outcome_unknown"
        assert len(shop.lines("begin")) == 1
        shop.touch("go")


async def test_a_window_that_is_over_frees_what_was_terminated(opened: Opener) -> None:
    async with opened() as shop:
        await ended(shop, ("brief", {"order": "A1"}))
        await asyncio.sleep(2.5)
        assert await shop.run(("brief", {"order": "A1"})) == ["brief 2"]


async def test_a_workflow_of_another_queue_under_the_effects_id_is_not_believed(opened: Opener) -> None:
    async with opened() as shop:
        effect_id = await ended(shop, REFUND)
        client = shop.runtime.client
        async with Worker(
            client, task_queue="mallory", workflows=[Squatter], workflow_runner=UnsandboxedWorkflowRunner()
        ):
            squatter = await client.start_workflow("Effect", id=effect_id, task_queue="mallory")
            [told] = await shop.run(REFUND)
            assert told == "nothing was done: another workflow has the id of the shared effect"
            await squatter.terminate("found out")
        assert len(shop.lines("refund")) == 1


async def test_the_id_of_an_effect_cannot_be_computed_without_the_fleets_key(opened: Opener) -> None:
    ids: set[str] = set()
    for key in KEYS:
        async with opened(fleet_key=key) as shop:
            await shop.run(REFUND, tenant="acme")
            ids |= {effect.id for effect in await shop.effects()}
    assert len(ids) == 2
