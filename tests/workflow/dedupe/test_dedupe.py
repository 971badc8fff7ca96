"""An identical effect happens once: whoever asks for it gets the first one's result, whenever and wherever."""

from __future__ import annotations

import asyncio
import os
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.client import WorkflowExecutionStatus

if TYPE_CHECKING:
    from tests.workflow.dedupe.conftest import Opener

SOAK = os.environ.get("BACKSTAY_SOAK") == "1"
PAIRS = 50 if SOAK else 6
COSTS: list[Any] = [0, 10_000]
CALL = {"workflow_id": "w", "run_id": "r", "task_queue": "q"}


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_of_two_runs_that_race_one_performs_and_both_get_its_result(opened: Opener) -> None:
    async with opened() as shop:

        async def pair(number: int) -> None:
            call = ("refund", {"order": f"A{number}"})
            runs = await asyncio.gather(shop.start(call), shop.start(call))
            first, second = [await shop.results(run) for run in runs]
            assert first == second
            assert first[0].startswith("receipt")
            spent = [(await run.result())["spent"] for run in runs]
            assert [spend["tool_calls"] for spend in spent] == [1, 1]
            records = [record for run in runs for record in (await run.query("audit"))["items"]]
            ended = [record["facts"]["usd"] for record in records if record["event"] == "call_ended"]
            assert sorted(ended) == COSTS

        async def in_turn(number: int) -> None:
            async with room:
                await pair(number)

        room = asyncio.Semaphore(10)
        await asyncio.gather(*(in_turn(number) for number in range(PAIRS)))
        lines = shop.lines("refund")
        assert len(lines) == PAIRS
        assert len({line.split()[-1] for line in lines}) == PAIRS


async def test_a_later_run_gets_the_first_result(opened: Opener) -> None:
    async with opened() as shop:
        first = await shop.run(("refund", {"order": "A1"}))
        assert await shop.run(("refund", {"order": "A1", "amount": 5})) == first
        assert len(shop.lines("refund")) == 1


async def test_other_arguments_tenants_and_tools_are_other_effects(opened: Opener) -> None:
    async with opened() as shop:
        call = ("refund", {"order": "A1"})
        got = [
            await shop.run(call),
            await shop.run(("refund", {"order": "A2"})),
            await shop.run(("refund", {"order": "A1", "amount": 6})),
            await shop.run(call, tenant=f"globex-{uuid.uuid4()}"),
            await shop.run(("credit", {"order": "A1"})),
        ]
        assert len({result for [result] in got}) == len(shop.lines()) == 5


async def test_within_one_run_identical_calls_are_one_effect_and_another_run_is_free(opened: Opener) -> None:
    async with opened() as shop:
        call = ("mail", {"order": "A1"})
        assert await shop.run(call, call, ("mail", {"order": "A2"}), call) != []
        assert sorted(shop.lines()) == ["mail A1", "mail A2"]
        await shop.run(call)
        assert len(shop.lines()) == 3


async def test_after_the_window_it_is_a_new_effect(opened: Opener) -> None:
    async with opened() as shop:
        call = ("brief", {"order": "A1"})
        first = await shop.run(call)
        assert await shop.run(call) == first
        effect = await shop.effect(await shop.start(call), 3)
        ended = await asyncio.wait_for(effect.result(), 40)
        assert ended == {"state": "released", "performances": 1, "claims": 3}
        assert await shop.run(call) != first
        assert len(shop.lines()) == 2


async def test_a_failed_effect_is_told_to_all_who_wait_and_releases_the_lock(opened: Opener) -> None:
    async with opened() as shop:
        call = ("moody", {"order": "A1"})
        runs = [await shop.start(call), await shop.start(call)]
        effect = await shop.effect(runs[0], 2)
        shop.touch("go")
        assert [await shop.results(run) for run in runs] == [["failed: not today 1"]] * 2
        await asyncio.wait_for(effect.result(), 40)
        shop.touch("well")
        assert await shop.run(call) == ["well 2"]
        assert await shop.run(call) == ["well 2"]


async def test_an_effect_that_lost_its_answer_is_repeated_under_its_own_key_by_who_asks_next(opened: Opener) -> None:
    async with opened() as shop:
        call = ("severed", {"order": "A1"})
        assert await shop.run(call) == ["failed: ConnectionResetError: by peer"]
        assert await shop.run(call) == ["severed A1"]
        assert await shop.run(call) == ["severed A1"]
        keys = [line.split()[-1] for line in shop.lines("severed")]
        assert (len(keys), len(set(keys))) == (2, 1)


async def test_many_claims_at_once_get_one_result(opened: Opener) -> None:
    async with opened() as shop:
        call = ("slow", {"order": "A1"})
        runs = await asyncio.gather(*(shop.start(call) for _ in range(16)))
        await shop.effect(runs[0], 16)
        shop.touch("go")
        assert {tuple(await shop.results(run)) for run in runs} == {("slow 2",)}


async def test_more_calls_wait_than_a_worker_has_slots(opened: Opener) -> None:
    async with opened(worker=False) as shop, shop.worker(max_concurrent_activities=2):
        calls = [("refund", {"order": f"A{number}"}) for number in range(6)]
        assert len(set(await shop.run(*calls))) == 6


async def test_the_effect_says_what_it_is_and_never_the_arguments(opened: Opener) -> None:
    async with opened() as shop:
        run = await shop.start(("refund", {"order": "canary-5e1f"}))
        await shop.results(run)
        effect = await shop.effect(run)
        described = await effect.describe()
        assert await described.static_summary() == f"refund · tenant {shop.tenant}"
        history = [event async for event in effect.fetch_history_events()]
        assert not any(b"canary-5e1f" in event.SerializeToString() for event in history)
        shown = (await effect.query("__temporal_workflow_metadata")).current_details
        assert "held" in shown
        assert "canary-5e1f" not in shown


async def test_an_effect_takes_more_claims_than_one_link_of_a_chain_holds(opened: Opener) -> None:
    async with opened() as shop:
        run = await shop.start(("refund", {"order": "A1"}))
        results = await shop.results(run)
        effect = await shop.effect(run)
        latest = shop.runtime.client.get_workflow_handle(effect.id)
        before = await latest.describe()
        room = asyncio.Semaphore(4)

        async def claim(number: int) -> None:
            async with room:
                answer = await latest.execute_update("claim", {"call": {**CALL, "call_id": f"9-{number}"}})
                assert answer["result"]["text"] == results[0]

        await asyncio.gather(*(claim(number) for number in range(1_050)))
        assert await shop.run(("refund", {"order": "A1"})) == results
        after = await latest.describe()
        assert after.status is WorkflowExecutionStatus.RUNNING
        assert after.run_id != before.run_id
        assert len(shop.lines("refund")) == 1
