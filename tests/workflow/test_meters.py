"""What calls of many runs mean in a day is held in the tenant's ledger, call by call, and is what the shop did."""

from __future__ import annotations

import asyncio
from collections import Counter
from decimal import Decimal

from backstay.contracts import names
from backstay.contracts.ledger import LedgerView
from backstay.testing import Reply

from .refund_shop import DAY, LARGE, Opener, Shop, activities, ended, facts, once, refunds


async def test_a_call_above_the_day_is_told_to_the_model_and_the_run_goes_on(shop: Opener) -> None:
    async with shop([Reply(calls=refunds(11)), Reply(calls=refunds(1, 10)), Reply("done")]) as open_shop:
        handle = await open_shop.start()
        result = await ended(handle)
        assert open_shop.books == [99] * 10 + [10]
        assert (result.status, result.stop_reason) == ("completed", "completed")
        assert result.exposure == {"refunds_usd": {"run": "1000", "day": "1000"}}
        assert (await handle.query("status"))["exposure"] == result.exposure
        told = "exposure_exceeded: the call adds 99 to `refunds_usd`, and 10 is left to the tenant this day"
        assert told in open_shop.told(1)
        [over] = await facts(handle, "exposure_exceeded")
        assert over["excess"]["limit"]["name"] == "exposure:refunds_usd:tenant:day"
        assert await activities(handle) == [
            "admit",
            "decide",
            "meter",
            *["act"] * 10,
            "decide",
            "meter",
            "act",
            "decide",
        ]
        assert await open_shop.day() == await open_shop.day("agent:shop") == ("1000", "0")
        other = await open_shop.start("another")
        assert (await ended(other)).exposure == {"refunds_usd": {"run": "0"}}


async def test_a_run_whose_meters_nobody_counts_asks_no_ledger(shop: Opener) -> None:
    async with shop([Reply(calls=refunds(1)), Reply("done")], DAY.replace("day", "run")) as open_shop:
        handle = await open_shop.start()
        assert (await ended(handle)).exposure == {"refunds_usd": {"run": "99"}}
        assert await activities(handle) == ["admit", "decide", "act", "decide"]


SUMS = """
@id("much") @reason("a tenant is refunded at most 100 a day")
forbid(principal, action == Action::"refund", resource)
when { context.exposure.refunds_usd.day.greaterThan(decimal("100.0")) };
"""


async def test_refunds_of_99_in_many_runs_do_not_slip_under_a_rule_at_100(shop: Opener) -> None:
    calls = [*refunds(1), *refunds(1, 1)]
    toml = DAY.replace('"1000"', "true")
    async with shop({"": [Reply(calls=calls), Reply("done")]}, toml, SUMS) as open_shop:
        results = await asyncio.gather(*(open_shop.result(f"run {number}") for number in range(4)))
        assert {one.stop_reason for one in results} == {"completed"}
        # Of what was denied nothing counts: the small ones find the room that a large one did not take.
        assert sorted(open_shop.books) == [1, 99]
        assert await open_shop.day() == ("100", "0")


async def test_what_the_day_covers_is_refunded_to_the_last_and_never_more(shop: Opener) -> None:
    async with shop({"": [Reply(calls=refunds(2)), Reply(calls=refunds(2, 99)), Reply("done")]}) as open_shop:
        results = await asyncio.gather(*(open_shop.result(f"run {number}") for number in range(6)))
        assert Counter(open_shop.books) == {99: 10}
        assert sum(Decimal(one.exposure["refunds_usd"]["run"]) for one in results) == 990
        assert await open_shop.day() == ("990", "0")


async def test_what_a_call_gives_back_that_is_denied_lets_its_sibling_in(shop: Opener) -> None:
    rules = LARGE.replace('@approval("board") ', "")
    async with shop([Reply(calls=[*refunds(1, 950), *refunds(1, 60)]), Reply("done")], rules=rules) as open_shop:
        result = await open_shop.result()
        assert (result.stop_reason, open_shop.books) == ("completed", [60])
        assert await open_shop.day() == ("60", "0")


async def test_levels_of_the_organisation_and_the_agent_refuse_by_name_and_nothing_stays_held(shop: Opener) -> None:
    org = """
[limits.tenants.TENANT]
exposure = { refunds_usd = { month = "500" } }
[limits.agents.shop]
exposure = { refunds_usd = { day = "150" } }
"""
    script = [Reply(calls=[*refunds(1, 501), *refunds(1, 151), *refunds(1, 150)]), Reply("done")]
    async with shop(script, org=org) as open_shop:
        handle = await open_shop.start()
        result = await ended(handle)
        limits = [one["excess"]["limit"]["name"] for one in await facts(handle, "exposure_exceeded")]
        assert limits == ["exposure:refunds_usd:agent:day", "exposure:refunds_usd:agent:day"]
        assert "is left to the agent in this tenant this day" in open_shop.told()
        assert result.exposure["refunds_usd"] == {"run": "150", "day": "150", "month": "150"}
        assert (await facts(handle, "limit_neared"))[0]["crossing"]["name"] == "exposure:refunds_usd:agent:day"


async def test_a_call_that_happened_is_spent_once_its_run_asks_for_another_and_costs_no_update(shop: Opener) -> None:
    script = [Reply(calls=refunds(2)), Reply(calls=[*refunds(1), once(5, "waits")]), Reply("done")]
    async with shop({"first": [Reply(calls=refunds(1, 1)), Reply("done")], "": script}) as open_shop:
        await open_shop.result("first")
        before = await _updates(open_shop)
        handle = await open_shop.start()
        await open_shop.until(lambda: asyncio.sleep(0, len(open_shop.books) == 4))
        assert await open_shop.day() == ("199", "104")
        view = LedgerView.model_validate(await open_shop.ledger().query(names.BOOKS))
        assert (view.open_holds, await _updates(open_shop) - before) == (2, 2)
        open_shop.gate.touch()
        await ended(handle)
        assert await open_shop.day() == ("303", "0")


async def _updates(open_shop: Shop) -> int:
    """Counts how often the tenant's ledger was asked."""
    events = [event async for event in open_shop.ledger().fetch_history_events()]
    return sum(one.HasField("workflow_execution_update_accepted_event_attributes") for one in events)
