"""What calls mean in the domain is held like money: never above a limit, and exactly what the shop did."""

import asyncio
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Any

import pytest

from backstay.contracts.run import RunResult
from backstay.testing import Call, Reply

from .refund_shop import LARGE, Handle, Opener, Shop, ended, facts, once, refunds

TOOLS = '''
@tool(effect="write", exposure={"refunds_usd": lambda amount: amount, "vouchers": lambda: 1})
def voucher(amount: Decimal = Decimal(20)) -> str:
    """Sends a voucher."""
    return note(f"voucher {amount}")

@tool(effect="write", dedupe="run", exposure={"refunds_usd": lambda amount: amount})
async def refund_shared(order: str, amount: Decimal) -> str:
    """Refunds an order once, however often it is asked."""
    await asyncio.sleep(0.05)
    return note(f"shared {order} {amount}")

ODD = {"minus": -1, "nan": Decimal("NaN"), "places": "0.00001", "text": "ten", "none": None, "yes": True}

@tool(effect="write", exposure={"refunds_usd": lambda kind: ODD[kind]})
def odd(kind: str) -> str:
    """Says something odd about itself."""
    return note(f"odd {kind}")
'''
DENY = """
[approval]
groups = { finance = ["alice", "bob"], board = ["ben", "bea"], ops = ["olga"] }
unknown = "ops"
[budget]
tool_calls = 100
[exposure.refunds_usd]
run = "500"
"""
ASK = DENY + 'on_exceed = "ask:finance"\n'


@pytest.fixture
def shop(shop: Opener) -> Opener:
    """Opens a shop that sells more, under a limit on refunds in each run."""

    def opened(*script: Reply, toml: str = DENY, **more: Any) -> AbstractAsyncContextManager[Shop]:
        return shop(list(script), toml=toml, tools=TOOLS, **more)

    return opened


async def ran(shop: Shop) -> tuple[Handle, RunResult]:
    handle = await shop.start()
    return handle, await ended(handle)


async def test_ten_refunds_of_99_side_by_side_are_five_under_a_limit_of_500(shop: Opener) -> None:
    async with shop(Reply(calls=refunds(10)), Reply("done")) as open_shop:
        handle, result = await ran(open_shop)
        assert open_shop.books == [Decimal(99)] * 5
        assert (result.status, result.stop_reason) == ("completed", "completed")
        assert result.spent.exposure == {"refunds_usd": "495"}
        assert result.exposure == {"refunds_usd": {"run": "495"}, "vouchers": {"run": "0"}}
        assert result.spent.tools == {"refund": 5}
        results = [item for item in (await handle.query("transcript"))["items"] if item["kind"] == "result"]
        assert [item["status"] for item in results] == ["completed"] * 5 + ["denied"] * 5
        told = "exposure_exceeded: `refunds_usd` is at 495, the call adds 99, and the limit of the run is 500"
        assert told in results[-1]["text"]
        assert told in open_shop.told()
        assert len(await facts(handle, "exposure_exceeded")) == 5
        status = await handle.query("status")
        assert status["exposure"] == result.exposure
        assert status["held"]["exposure"] == {}
        assert status["budget"]["exposure"] == {"refunds_usd": "500", "vouchers": None}


async def test_people_may_let_single_calls_above_the_limit_and_see_the_sum_before_and_after(shop: Opener) -> None:
    async with shop(Reply(calls=refunds(8)), Reply(calls=refunds(1, 5)), Reply("done"), toml=ASK) as open_shop:
        handle = await open_shop.start()
        first, second, third = await open_shop.all_asked(handle, 3)
        assert [one["kind"] for one in (first, second, third)] == ["exposure"] * 3
        assert first["exposure"] == {"refunds_usd": {"before": "495", "after": "594", "limit": "500"}}
        assert second["exposure"] == {"refunds_usd": {"before": "594", "after": "693", "limit": "500"}}
        assert third["exposure"] == {"refunds_usd": {"before": "693", "after": "792", "limit": "500"}}
        assert (first["groups"], first["approvers"]) == (["finance"], ["alice", "bob"])
        assert "above the run's limit of 500" in first["reasons"][0]
        assert (await handle.query("status"))["exposure"]["refunds_usd"] == {"run": "495"}
        await handle.execute_update("approve", {"approval_id": first["approval_id"], "by": "alice"})
        await handle.execute_update("deny", {"approval_id": second["approval_id"], "by": "alice", "comment": "enough"})
        await handle.execute_update("approve", {"approval_id": third["approval_id"], "by": "bob"})
        later = await open_shop.asked(handle)
        assert later["exposure"] == {"refunds_usd": {"before": "693", "after": "698", "limit": "500"}}
        await handle.execute_update("deny", {"approval_id": later["approval_id"], "by": "alice"})
        result = await ended(handle)
        assert (result.stop_reason, result.exposure["refunds_usd"]) == ("completed", {"run": "693"})
        assert sum(open_shop.books) == 693


async def test_a_yes_covers_the_sum_that_was_shown_and_no_more(shop: Opener) -> None:
    async with shop(Reply(calls=[*refunds(1, 450), *refunds(2, 99)]), Reply("done"), toml=ASK) as open_shop:
        handle = await open_shop.start()
        first, second = await open_shop.all_asked(handle, 2)
        await handle.execute_update("approve", {"approval_id": second["approval_id"], "by": "bob"})
        while len(open_shop.books) < 2:
            await asyncio.sleep(0.03)
        # In the meantime the sum went up, so that this yes would take it above the sum on its card.
        await handle.execute_update("approve", {"approval_id": first["approval_id"], "by": "bob"})
        again = await open_shop.asked(handle)
        assert first["exposure"]["refunds_usd"]["after"] == "549"
        assert again["exposure"]["refunds_usd"] == {"before": "549", "after": "648", "limit": "500"}
        await handle.execute_update("approve", {"approval_id": again["approval_id"], "by": "bob"})
        await ended(handle)
        assert sum(open_shop.books) == 648


async def test_a_call_that_rules_and_a_limit_ask_about_has_one_card_for_both_groups(shop: Opener) -> None:
    calls = [*refunds(1, 250), *refunds(1, 301)]
    async with shop(Reply(calls=calls), Reply("done"), toml=ASK, rules=LARGE) as open_shop:
        handle = await open_shop.start()
        asked = await open_shop.asked(handle)
        assert (asked["kind"], sorted(asked["groups"]), asked["required"]) == ("exposure", ["board", "finance"], 2)
        assert (asked["rules"], len(asked["reasons"])) == (["large"], 2)
        vote = {"approval_id": asked["approval_id"], "by": "ben"}
        assert (await handle.execute_update("approve", vote))["state"] == "open"
        assert (await handle.execute_update("approve", {**vote, "by": "alice"}))["state"] == "closed"
        await ended(handle)
        assert sorted(open_shop.books) == [250, 301]


async def test_a_changed_amount_is_held_anew_and_refused_where_it_does_not_fit(shop: Opener) -> None:
    calls = [*refunds(1, 301), *refunds(1, 150)]
    async with shop(Reply(calls=calls), Reply("done"), rules=LARGE) as open_shop:
        handle = await open_shop.start()
        asked = await open_shop.asked(handle)
        assert (asked["kind"], asked["exposure"]["refunds_usd"]["after"]) == ("action", "451")
        assert (await handle.query("status"))["exposure"]["refunds_usd"] == {"run": "451"}
        edit = {"approval_id": asked["approval_id"], "by": "ben", "args": {"order": "A0", "amount": 350}}
        answer = await handle.execute_update("edit", edit)
        assert answer["outcome"] == "require_approval"
        assert (await handle.query("status"))["exposure"]["refunds_usd"] == {"run": "500"}
        await open_shop.asked(handle, but=asked["approval_id"])
        edit = {"approval_id": answer["replaced_by"], "by": "bea", "args": {"order": "A0", "amount": 351}}
        assert (await handle.execute_update("edit", edit))["outcome"] == "deny"
        result = await ended(handle)
        assert (result.stop_reason, result.exposure["refunds_usd"]) == ("completed", {"run": "150"})
        assert "`refunds_usd` is at 150, the call adds 351" in open_shop.told()
        assert open_shop.books == [150]


async def test_a_changed_amount_above_the_limit_is_put_to_the_people_of_the_limit(shop: Opener) -> None:
    async with shop(Reply(calls=refunds(1, 301)), Reply("done"), toml=ASK, rules=LARGE) as open_shop:
        handle = await open_shop.start()
        asked = await open_shop.asked(handle)
        edit = {"approval_id": asked["approval_id"], "by": "ben", "args": {"order": "A0", "amount": 501}}
        answer = await handle.execute_update("edit", edit)
        assert answer["outcome"] == "require_approval"
        asked = await open_shop.asked(handle, but=asked["approval_id"])
        assert (asked["approval_id"], asked["kind"]) == (answer["replaced_by"], "exposure")
        assert sorted(asked["groups"]) == ["board", "finance"]
        vote = {"approval_id": asked["approval_id"], "by": "bea"}
        await handle.execute_update("approve", vote)
        await handle.execute_update("approve", {**vote, "by": "alice"})
        result = await ended(handle)
        assert result.exposure["refunds_usd"] == {"run": "501"}
        assert open_shop.books == [501]


SUMS = """
@id("much") @reason("a run refunds at most 100")
forbid(principal, action in Action::"effect:write", resource)
when { context.exposure.refunds_usd.run.greaterThan(decimal("100.0")) };
"""


async def test_rules_see_the_sum_with_the_call_and_with_those_before_it_in_the_same_decision(shop: Opener) -> None:
    calls = [*refunds(2, 99), Call("refund", {"order": "B1", "amount": "0.9999"})]
    script = [Reply(calls=calls), Reply(calls=refunds(1, "0.0002")), Reply(calls=refunds(1, "0.0001")), Reply("done")]
    async with shop(*script, rules=SUMS) as open_shop:
        handle, result = await ran(open_shop)
        outcomes = [found["verdict"]["outcome"] for found in await facts(handle, "call_judged")]
        assert outcomes == ["allow", "deny", "allow", "deny", "allow"]
        assert result.exposure["refunds_usd"] == {"run": "100"}
        assert sorted(open_shop.books) == [Decimal("0.0001"), Decimal("0.9999"), 99]


async def test_one_call_may_add_to_several_meters_all_or_none_and_several_tools_to_one(shop: Opener) -> None:
    toml = DENY + '[exposure.vouchers]\nrun = "2"\n'
    calls = [Call("voucher", {}), Call("voucher", {"amount": 470}), *refunds(1, 10), *[Call("voucher", {})] * 2]
    async with shop(Reply(calls=calls), Reply("done"), toml=toml) as open_shop:
        _, result = await ran(open_shop)
        # The third voucher would fit among the refunds, and not among the vouchers.
        assert result.exposure == {"refunds_usd": {"run": "500"}, "vouchers": {"run": "2"}}
        assert sorted(open_shop.books) == [10, 20, 470]


async def test_what_may_have_happened_stays_held_and_what_was_refused_is_given_back(shop: Opener) -> None:
    toml = DENY.replace('unknown = "ops"', "")
    calls = [once(99, end) for end in ("refused", "unknown", "done")]
    async with shop(Reply(calls=calls), Reply("done"), toml=toml) as open_shop:
        handle, result = await ran(open_shop)
        assert result.stop_reason == "outcome_unknown"
        assert result.spent.exposure == {"refunds_usd": "99"}
        assert result.exposure["refunds_usd"] == {"run": "198"}
        assert (await handle.query("status"))["held"]["exposure"] == {"refunds_usd": "99"}
        assert open_shop.books == [99, 99]


@pytest.mark.parametrize("answer", ["happened", "not_happened"])
async def test_an_outcome_that_people_tell_settles_the_hold(shop: Opener, answer: str) -> None:
    async with shop(Reply(calls=[once(99, "unknown")]), Reply("done")) as open_shop:
        handle = await open_shop.start()
        asked = await open_shop.asked(handle)
        assert (await handle.query("status"))["exposure"]["refunds_usd"] == {"run": "99"}
        vote = {"approval_id": asked["approval_id"], "by": "olga", "answer": answer, "result": "yes"}
        await handle.execute_update("answer", vote)
        if answer == "not_happened":
            asked = await open_shop.asked(handle, but=asked["approval_id"])
            await handle.execute_update("answer", {**vote, "approval_id": asked["approval_id"], "answer": "happened"})
        result = await ended(handle)
        assert result.spent.exposure == {"refunds_usd": "99"}


async def test_calls_that_share_an_effect_count_it_once(shop: Opener) -> None:
    calls = [Call("refund_shared", {"order": "A0", "amount": 99})] * 3
    async with shop(Reply(calls=calls), Reply("done")) as open_shop:
        _, result = await ran(open_shop)
        assert open_shop.books == [99]
        assert result.exposure["refunds_usd"] == {"run": "99"}


async def test_what_is_no_amount_is_a_denial_with_a_code_and_changes_no_sum(shop: Opener) -> None:
    kinds = ("minus", "nan", "places", "text", "none", "yes", "missing")
    toml = DENY + "[stop]\ndenials = 8\n"
    async with shop(Reply(calls=[Call("odd", {"kind": kind}) for kind in kinds]), Reply("done"), toml=toml) as shut:
        handle, result = await ran(shut)
        verdicts = [found["verdict"] for found in await facts(handle, "call_judged")]
        assert {verdict["code"] for verdict in verdicts} == {"invalid_exposure"}
        assert "an amount is zero or more" in verdicts[0]["message"]
        assert "KeyError" in verdicts[6]["message"]
        assert "what the call adds to `refunds_usd` cannot be counted" in shut.told()
        assert (result.status, result.exposure["refunds_usd"]) == ("completed", {"run": "0"})
        assert shut.books == []


async def test_a_kill_gives_back_what_had_not_begun(shop: Opener) -> None:
    async with shop(Reply(calls=refunds(6)), Reply("done"), toml=ASK) as open_shop:
        handle = await open_shop.start()
        await open_shop.asked(handle)
        while len(open_shop.books) < 5:
            await asyncio.sleep(0.03)
        await handle.execute_update("kill", {"by": "olga"})
        result = await ended(handle)
        assert result.exposure["refunds_usd"] == {"run": "495"}
        assert (await handle.query("status"))["held"]["exposure"] == {}


async def test_the_organisations_limit_holds_beside_the_agents(shop: Opener) -> None:
    org = '[exposure.refunds_usd]\nrun = "600"\n'
    async with shop(Reply(calls=refunds(7)), Reply("done"), toml=ASK, org=org) as open_shop:
        handle = await open_shop.start()
        # The second might fit, if people refused the first.
        for asked in await open_shop.all_asked(handle, 2):
            await handle.execute_update("approve", {"approval_id": asked["approval_id"], "by": "alice"})
        result = await ended(handle)
        assert "`refunds_usd` is at 594, the call adds 99, and the limit of the run is 600" in open_shop.told()
        assert result.exposure["refunds_usd"] == {"run": "594"}
