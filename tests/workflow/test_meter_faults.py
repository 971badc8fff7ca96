"""Whatever becomes of calls, runs and ledgers, a tenant's day has what the shop did, or may have done."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.kernel.keys import ledger_id
from backstay.testing import Attempts, Call, Reply

from .refund_shop import LARGE, Handle, Opener, Shop, ended, facts, once, refunds
from .resets import reset


async def test_what_did_not_happen_lets_another_run_in_and_an_unknown_outcome_keeps_its_hold(shop: Opener) -> None:
    scripts = {
        "refused": [Reply(calls=[once(950, "refused")]), Reply(calls=[once(0, "waits")]), Reply("done")],
        "unknown": [Reply(calls=[once(950, "unknown")])],
        "": [Reply(calls=refunds(1, 100)), Reply("done")],
    }
    async with shop(scripts) as open_shop:
        refused = await open_shop.start("refused")

        async def given_back() -> bool:
            return bool(await facts(refused, "uncounted")) and await open_shop.day() == ("0", "0")

        await open_shop.until(given_back)
        assert (await open_shop.result("unknown")).stop_reason == "outcome_unknown"
        assert await open_shop.day() == ("950", "0")
        assert "and 50 is left to the tenant this day" in str(await _transcript(await _ended_run(open_shop)))
        assert open_shop.books == [950]
        open_shop.gate.touch()
        assert (await ended(refused)).exposure["refunds_usd"]["run"] == "0"


async def _ended_run(open_shop: Shop) -> Handle:
    handle = await open_shop.start("any")
    await ended(handle)
    return handle


async def _transcript(handle: Handle) -> list[dict[str, Any]]:
    return (await handle.query("transcript"))["items"]


async def test_a_run_that_is_killed_gives_back_what_waits_and_keeps_what_may_have_happened(shop: Opener) -> None:
    calls = [*refunds(1, 99), *refunds(1, 400), once(5, "waits")]
    async with shop([Reply(calls=calls), Reply("done")], rules=LARGE) as open_shop:
        handle = await open_shop.start()
        await open_shop.asked(handle)
        await open_shop.until(lambda: asyncio.sleep(0, len(open_shop.books) == 1))
        assert await open_shop.day() == ("0", "504")
        await handle.execute_update("kill", {"by": "olga"})
        result = await ended(handle)
        run = result.exposure["refunds_usd"]["run"]
        assert (result.stop_reason, run) == ("killed", "104" if result.in_flight[0].outcome == "unknown" else "99")
        assert await open_shop.day() == (run, "0")


@pytest.mark.parametrize("kills", [False, True])
async def test_while_its_ledger_is_silent_a_call_waits_and_says_why(shop: Opener, kills: bool) -> None:
    async with shop({"": [Reply(calls=refunds(1)), Reply("done")]}) as open_shop:
        client = open_shop.runtime.client
        silent = await client.start_workflow("Nobody", id=ledger_id(open_shop.tenant), task_queue="nobody")
        run = await open_shop.start("waits")

        async def in_trouble() -> bool:
            words = f"the ledger of tenant {open_shop.tenant} does not answer"
            return (await run.query("status"))["trouble"] == words

        await open_shop.until(in_trouble)
        assert open_shop.books == []
        if kills:
            await run.execute_update(names.KILL, {"by": "olga"})
            assert ((await ended(run)).stop_reason, open_shop.books) == ("killed", [])
        await silent.terminate()
        if not kills:
            assert (await ended(run)).exposure["refunds_usd"]["day"] == "99"
            assert (open_shop.books, await open_shop.day()) == ([99], ("99", "0"))


@pytest.mark.parametrize("other", [False, True], ids=["asked again", "another call"])
async def test_what_a_run_held_before_it_was_reset_counts_once(shop: Opener, other: bool) -> None:
    first = Reply(calls=[Call("refund", {"order": "B", "amount": 200})])
    second = Reply(calls=[Call("refund", {"order": "C", "amount": 50})]) if other else first
    script = [Reply(calls=refunds(1)), Attempts(first, second), Attempts(Reply("done", delay=8), Reply("done"))]
    async with shop(script) as open_shop:
        handle = await open_shop.start()
        await open_shop.until(lambda: asyncio.sleep(0, len(open_shop.books) == 2))
        assert await open_shop.day() == ("99", "200")
        again = await reset(open_shop.runtime.client, handle, "decide-2")
        result = await ended(again)
        # Of the call that the run forgot nobody can say that it did not happen: the shop has it in its books.
        assert result.exposure["refunds_usd"]["run"] == ("149" if other else "299")
        assert sum(set(open_shop.books)) == (349 if other else 299)
        assert await open_shop.day() == ("349" if other else "299", "0")


async def test_a_run_cannot_take_the_place_of_a_ledger(shop: Opener) -> None:
    async with shop({"": [Reply(calls=refunds(1)), Reply("done")]}) as open_shop:
        runtime = open_shop.runtime
        squatter = await runtime.client.start_workflow(
            names.AGENT_RUN,
            {"goal": "squat", "agent": "shop"},
            id=ledger_id(open_shop.tenant),
            task_queue=runtime.settings.task_queue,
        )
        with pytest.raises(WorkflowFailureError) as caught:
            await asyncio.wait_for(squatter.result(), 30)
        assert isinstance(caught.value.cause, ApplicationError)
        assert (caught.value.cause.type, "workflow_id" in caught.value.cause.message) == (names.INVALID_INPUT, True)
        assert (await open_shop.result()).exposure["refunds_usd"]["day"] == "99"
        assert await open_shop.day() == ("99", "0")


async def test_a_ledger_that_was_terminated_comes_back_with_what_happened_and_without_what_was_given_back(
    shop: Opener,
) -> None:
    scripts = {
        "open": [Reply(calls=[once(600, "refused"), once(300), once(5, "waits")]), Reply("done")],
        "lost": [Reply(calls=[once(80), once(7, "waits")])],
        "": [Reply(calls=refunds(1, 100)), Reply("done")],
    }
    async with shop(scripts) as open_shop:
        waits, lost = await open_shop.start("open"), await open_shop.start("lost")
        await open_shop.until(lambda: asyncio.sleep(0, len(open_shop.books) == 2))
        await open_shop.until(lambda: facts(waits, "uncounted"))
        await lost.terminate("by hand")
        await open_shop.ledger().terminate("by hand")
        await open_shop.result("another")
        assert await open_shop.day() == ("187", "305")
        open_shop.gate.touch()
        await ended(waits)
        assert await open_shop.day() == ("492", "0")
