"""Grants: the people of a group raise limits of a running run, up to its ceilings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from temporalio.service import RPCError

from backstay.testing import Call, Reply

if TYPE_CHECKING:
    from tests.workflow.conftest import Opener, Refused

GATE = Reply(calls=[Call("gate", {})])
DONE = Reply("done")
FINANCE = """
[budget]
steps = 6
tool_calls = 5
tokens = 150_000
usd = "0.40"
seconds = 900
tools = { note = { calls = 4, per_minute = 4 } }
[approval]
budget = "finance"
groups = { finance = ["olga", "Bob <bob@example.com>", "rita"] }
"""


def notes(count: int) -> list[Reply]:
    return [Reply(calls=[Call("note", {"text": str(number)})]) for number in range(count)]


def by(person: str, **budget: Any) -> dict[str, Any]:
    return {"by": person, "reason": "more orders", "budget": budget}


async def test_a_grant_adds_to_the_limits_of_a_running_run_and_stands_with_its_name_and_reason(
    workshop: Opener,
) -> None:
    async with workshop([GATE, *notes(3), DONE], FINANCE) as shop:
        narrow = {"steps": 2, "tool_calls": 2, "tokens": 20_000, "usd": "0.10", "tools": {"note": {"calls": 1}}}
        handle = await shop.start(budget=narrow)
        await shop.effects("at the gate")
        more = {"steps": 3, "tool_calls": 2, "tokens": 90_000, "usd": "0.30", "tools": {"note": {"calls": 2}}}
        answer = await handle.execute_update("grant", by("BOB@example.com", **more))
        assert (answer["state"], answer["budget"]["usd"], answer["budget"]["steps"]) == ("running", "0.40", 5)
        shop.open("gate")
        result = await shop.result(handle)
        assert (result.stop_reason, result.steps, shop.lines()[1:]) == ("completed", 5, ["0", "1", "2"])
        assert (result.budget.tokens, result.budget.tools["note"].calls) == (110_000, 3)
        [granted] = await shop.audit(handle, "granted")
        assert (granted["by"], granted["reason"]) == ("BOB@example.com", "more orders")
        [deed] = (await handle.query("status"))["people"]
        assert (deed["did"], deed["by"]) == ("granted", "BOB@example.com")
        assert deed["comment"].startswith("steps=3, tool_calls=2, tokens=90000, usd=0.30, tools.note.calls=2: ")


REFUSED = [
    (by("mallory", steps=1), "NotInGroup", "only members"),
    (by("Rita ", steps=1), "RequesterMayNotGrant", "who asked"),
    (by("olga", steps=5), "AboveCeiling", "`steps` would be 7, above the ceiling of 6: 4 can be granted"),
    (by("olga", usd="0.300001"), "AboveCeiling", "above the ceiling of 0.40: 0.30 can be granted"),
    (by("olga", steps=1, usd="0.31"), "AboveCeiling", "`usd`"),
    (by("olga", model_calls=1), "NoLimit", "`model_calls` has no limit"),
    (by("olga", tools={"note": {"calls": 4}}), "AboveCeiling", "`tools.note.calls` would be 5"),
    (by("olga", tools={"echo": {"calls": 4}}), "NoLimit", "`tools.echo.calls`"),
    (by("olga"), "InvalidMessage", "names nothing"),
    (by("olga", steps=0), "InvalidMessage", "above zero"),
    (by("olga", steps=-1), "InvalidMessage", "budget.steps"),
    (by("olga", usd=0.5), "InvalidMessage", "decimal string"),
    (by("olga", usd="NaN"), "InvalidMessage", "decimal string"),
    (by("olga", stepz=1), "InvalidMessage", "steps"),
    ({"by": "olga", "budget": {"steps": 1}}, "InvalidMessage", "reason"),
    ("more", "InvalidMessage", "JSON object"),
]


async def test_a_grant_is_refused_where_its_sender_or_its_amounts_do_not_fit(
    workshop: Opener, refusal: Refused
) -> None:
    async with workshop([GATE, DONE], FINANCE) as shop:
        narrow = {"steps": 2, "usd": "0.10", "tools": {"note": {"calls": 1}}}
        handle = await shop.start(requested_by="rita", budget=narrow)
        await shop.effects("at the gate")
        before = (await handle.query("status"))["budget"]
        for given, code, words in REFUSED:
            error = await refusal(handle.execute_update("grant", given))
            assert (error.type, words in error.message) == (code, True), error.message
        status = await handle.query("status")
        assert status["budget"] == before
        assert [(one["message"], one["code"]) for one in status["refused"]] == [("grant", row[1]) for row in REFUSED]
        assert not await shop.audit(handle, "granted")
        shop.open("gate")
        await shop.result(handle)


async def test_a_signal_grants_as_an_update_does_and_harms_nothing_where_it_is_refused(workshop: Opener) -> None:
    async with workshop([GATE, *notes(1), DONE], FINANCE) as shop:
        handle = await shop.start(budget={"steps": 2})
        await shop.effects("at the gate")
        await handle.signal("grant", by("mallory", steps=1))
        await handle.signal("grant", by("olga", steps=1))
        shop.open("gate")
        result = await shop.result(handle)
        assert (result.stop_reason, result.budget.steps) == ("completed", 3)


async def test_nobody_may_grant_where_no_group_is_named_and_nothing_is_granted_after_the_end(
    workshop: Opener, refusal: Refused
) -> None:
    async with workshop([GATE, DONE]) as shop:
        handle = await shop.start(budget={"steps": 2})
        await shop.effects("at the gate")
        error = await refusal(handle.execute_update("grant", by("olga", steps=1)))
        assert (error.type, "`[approval] budget`" in error.message) == ("NoGroup", True)
        shop.open("gate")
        await shop.result(handle)
        with pytest.raises(RPCError, match="already completed"):
            await handle.execute_update("grant", by("olga", steps=1))


@pytest.mark.parametrize("excludes", ["true", "false"])
async def test_granted_seconds_move_the_deadline(workshop: Opener, excludes: str) -> None:
    script = [Reply(calls=[Call("work", {"text": "slowly", "seconds": 2.5})]), DONE]
    toml = FINANCE.replace("seconds = 900", f"seconds = 900\nseconds_exclude_approvals = {excludes}")
    toml = toml.replace("[approval]", '[approval]\nexpires_after = "60s"')
    async with workshop(script, toml) as shop:
        handle = await shop.start(budget={"seconds": 2})
        await shop.asked(1)
        await handle.execute_update("grant", by("olga", seconds=20))
        result = await shop.result(handle)
        assert (result.stop_reason, result.budget.seconds) == ("completed", 22)
        assert result.spent.seconds >= 2
