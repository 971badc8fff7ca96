"""People are asked about calls above a limit of many runs, and about changed ones, and see the sums of the tenant."""

from __future__ import annotations

import asyncio

from backstay.testing import Reply

from .refund_shop import ASK, LARGE, Opener, ended, refunds


async def test_people_may_let_a_call_above_the_day_and_see_its_sums(shop: Opener) -> None:
    toml = ASK.replace('day = "1000"', 'day = "1000"\nmonth = true\nrun = "1050"')
    async with shop([Reply(calls=refunds(11)), Reply("done")], toml) as open_shop:
        handle = await open_shop.start()
        card = await open_shop.asked(handle)
        assert (card["kind"], card["groups"], card["approvers"]) == ("exposure", ["finance"], ["alice", "bob"])
        day = {"before": "990", "after": "1089", "limit": "1000"}
        assert card["exposure"]["refunds_usd"] == {
            **{**day, "limit": "1050"},
            "day": day,
            "month": {**day, "limit": None},
        }
        assert "`refunds_usd` would be at 1089, above the run's limit of 1050" in card["reasons"][0]
        assert "the call adds 99 to `refunds_usd`, and 10 is left to the tenant this day" in card["reasons"][0]
        await open_shop.until(lambda: asyncio.sleep(0, len(open_shop.books) == 10))
        assert await open_shop.day() == ("0", "990")
        await handle.execute_update("approve", {"approval_id": card["approval_id"], "by": "alice"})
        result = await ended(handle)
        assert result.exposure == {"refunds_usd": {"run": "1089", "day": "1089", "month": "1089"}}
        assert await open_shop.day() == ("1089", "0")


async def test_a_yes_covers_the_day_that_was_shown_and_no_more(shop: Opener) -> None:
    scripts = {
        "first": [Reply(calls=[*refunds(9), *refunds(1, 120)]), Reply("done")],
        "other": [
            Reply(calls=refunds(1, 50)),
            Reply("done"),
        ],
    }
    async with shop(scripts, ASK) as open_shop:
        first = await open_shop.start("first")
        card = await open_shop.asked(first)
        assert card["exposure"]["refunds_usd"]["day"]["after"] == "1011"
        await open_shop.result("other")
        await first.execute_update("approve", {"approval_id": card["approval_id"], "by": "alice"})
        again = await open_shop.asked(first, card["approval_id"])
        assert again["exposure"]["refunds_usd"]["day"] == {"before": "941", "after": "1061", "limit": "1000"}
        await first.execute_update("deny", {"approval_id": again["approval_id"], "by": "bob"})
        assert (await ended(first)).stop_reason == "completed"
        assert await open_shop.day() == ("941", "0")


async def test_while_rules_ask_a_call_stays_held_and_a_changed_amount_is_held_anew(shop: Opener) -> None:
    async with shop([Reply(calls=refunds(1, 400)), Reply("done")], rules=LARGE) as open_shop:
        handle = await open_shop.start()
        card = await open_shop.asked(handle)
        assert (card["kind"], card["exposure"]["refunds_usd"]["day"]["after"]) == ("action", "400")
        assert await open_shop.day() == ("0", "400")
        edit = {"approval_id": card["approval_id"], "by": "ben", "args": {"order": "A0", "amount": 990}}
        answer = await handle.execute_update("edit", edit)
        assert answer["outcome"] == "require_approval"
        assert await open_shop.day() == ("0", "990")
        card = await open_shop.asked(handle, card["approval_id"])
        assert card["exposure"]["refunds_usd"]["day"] == {"before": "0", "after": "990", "limit": "1000"}
        edit = {"approval_id": card["approval_id"], "by": "bea", "args": {"order": "A0", "amount": 1001}}
        assert (await handle.execute_update("edit", edit))["outcome"] == "deny"
        assert (await ended(handle)).exposure["refunds_usd"]["run"] == "0"
        assert "the call adds 1001 to `refunds_usd`, and 1000 is left to the tenant this day" in open_shop.told()
        assert (await open_shop.day(), open_shop.books) == (("0", "0"), [])


async def test_a_changed_amount_above_the_day_is_put_to_the_people_of_the_limit(shop: Opener) -> None:
    async with shop([Reply(calls=refunds(1, 400)), Reply("done")], ASK, LARGE) as open_shop:
        handle = await open_shop.start()
        card = await open_shop.asked(handle)
        edit = {"approval_id": card["approval_id"], "by": "ben", "args": {"order": "A0", "amount": 1200}}
        answer = await handle.execute_update("edit", edit)
        card = await open_shop.asked(handle, card["approval_id"])
        assert (card["approval_id"], card["kind"]) == (answer["replaced_by"], "exposure")
        assert sorted(card["groups"]) == ["board", "finance"]
        assert await open_shop.day() == ("0", "0")
        vote = {"approval_id": card["approval_id"], "by": "bea"}
        await handle.execute_update("approve", vote)
        await handle.execute_update("approve", {**vote, "by": "alice"})
        assert (await ended(handle)).exposure["refunds_usd"] == {"run": "1200", "day": "1200"}
        assert await open_shop.day() == ("1200", "0")
