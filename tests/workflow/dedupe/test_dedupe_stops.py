"""A shared effect whose end is cut short or not seen: nothing runs twice on a guess, and nobody waits in vain."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.workflow.dedupe.conftest import Opener


async def test_a_killed_claimant_that_is_alone_ends_the_effect_and_the_next_performs_under_the_same_key(
    opened: Opener,
) -> None:
    async with opened() as shop:
        call = ("slow", {"order": "A1"})
        run = await shop.start(call)
        await shop.until(lambda: shop.lines("begin"))
        assert await shop.kill(run) == ["unknown"]
        assert shop.lines("cut") == ["cut A1"]
        shop.touch("go")
        assert await shop.run(call) == ["slow 4"]
        assert await shop.run(call) == ["slow 4"]
        keys = {line.split()[-1] for line in shop.lines("begin")}
        assert len(keys) == 1


@pytest.mark.parametrize("killed", [0, 1], ids=["the first", "the second"])
async def test_where_others_wait_the_effect_goes_on_for_them(opened: Opener, killed: int) -> None:
    async with opened() as shop:
        call = ("slow", {"order": "A1"})
        runs = [await shop.start(call)]
        await shop.until(lambda: shop.lines("begin"))
        runs.append(await shop.start(call))
        await shop.effect(runs[1], 2)
        assert await shop.kill(runs[killed]) == [["unknown", "cancelled"][killed]]
        shop.touch("go")
        assert await shop.results(runs[1 - killed]) == ["slow 2"]
        assert [line.split()[0] for line in shop.lines()] == ["begin", "end"]


async def test_a_terminated_claimant_withdraws_too(opened: Opener) -> None:
    async with opened() as shop:
        run = await shop.start(("slow", {"order": "A1"}))
        await shop.until(lambda: shop.lines("begin"))
        await run.terminate("no more")
        await shop.until(lambda: shop.lines("cut"))


async def test_a_kill_before_the_effect_began_releases_the_lock(opened: Opener) -> None:
    async with opened(worker=False) as shop:
        call = ("slow_once", {"order": "A1"})
        async with shop.worker(effects=False):
            run = await shop.start(call)
            effect = await shop.effect(run)
            assert await shop.kill(run) == ["cancelled"]
            assert (await asyncio.wait_for(effect.result(), 40))["performances"] == 0
        assert shop.lines() == []


async def test_a_worker_is_replaced_while_claims_wait(opened: Opener) -> None:
    async with opened(worker=False, shutdown_seconds=1) as shop:
        call = ("slow", {"order": "A1"})
        async with shop.worker():
            runs = [await shop.start(call), await shop.start(call)]
            await shop.effect(runs[0], 2)
            await shop.until(lambda: shop.lines("begin"))
        async with shop.worker():
            await shop.until(lambda: len(shop.lines("begin")) == 2)
            shop.touch("go")
            results = [await shop.results(run) for run in runs]
        assert results[0] == results[1]
        assert len(shop.lines("end")) == 1
        assert len({line.split()[-1] for line in shop.lines("begin")}) == 1


async def test_a_worker_that_dies_leaves_claims_that_go_on_and_an_outcome_that_is_asked_for(opened: Opener) -> None:
    async with opened(worker=False) as shop:
        call = ("wire", {"order": "A1"})
        async with shop.worker_process():
            runs = [await shop.start(call), await shop.start(call)]
            await shop.effect(runs[0], 2)
            await shop.until(lambda: shop.lines("sent"))
        async with shop.worker():
            assert [await shop.results(run) for run in runs] == [["sent A1"], ["sent A1"]]
        assert len(shop.lines("sent")) == 1
        assert len({line.split()[-1] for line in shop.lines("asked")}) == 1


async def test_a_claim_that_no_worker_answers_can_be_killed_all_the_same(opened: Opener) -> None:
    async with opened() as gone:
        call = ("refund", {"order": "A1"})
        await gone.run(call)
        tenant = gone.tenant
    async with opened() as shop:
        run = await shop.start(call, tenant=tenant)
        await shop.until_acting(run)
        assert await shop.kill(run, 15) == ["unknown"]


async def test_an_unknown_outcome_holds_the_lock(opened: Opener) -> None:
    async with opened(toml="") as shop:
        call = ("lost", {"order": "A1"})
        for _ in range(2):
            assert await shop.stopped(call) == "outcome_unknown"
        assert len(shop.lines()) == 1


async def test_an_effect_that_is_known_not_to_have_happened_is_performed_and_shared(opened: Opener) -> None:
    async with opened() as shop:
        call = ("lost", {"order": "A1"})
        runs = [await shop.start(call), await shop.start(call)]
        told = await asyncio.gather(*(shop.answered(run, "not_happened") for run in runs))
        assert told == [["found A1"], ["found A1"]]
        assert await shop.run(call) == ["found A1"]
        assert len(shop.lines("lost")) == 2


@pytest.mark.parametrize("commits", [True, False])
async def test_a_tool_is_asked_under_the_key_of_the_call_that_performed(opened: Opener, commits: bool) -> None:
    async with opened() as shop:
        if commits:
            shop.touch("commits")
        call = ("send", {"order": "A1"})
        runs = [await shop.start(call), await shop.start(call)]
        assert [await shop.results(run) for run in runs] == [["sent A1"], ["sent A1"]]
        assert len(shop.lines("sent")) == 1
        assert len({line.split()[-1] for line in shop.lines("asked")}) == 1


async def test_an_effect_that_is_broken_off_is_unknown(opened: Opener) -> None:
    async with opened(toml="") as shop:
        run = await shop.start(("slow_once", {"order": "A1"}))
        await shop.until(lambda: shop.lines("begin"))
        await (await shop.effect(run)).terminate("by hand")
        result = await asyncio.wait_for(run.result(), 40)
        assert result["stop_reason"] == "outcome_unknown"
