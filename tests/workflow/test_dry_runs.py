"""Runs whose budget is exhausted: a last answer from what was held back, and people who are asked for more."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from backstay.testing import Call, Reply, Usage

if TYPE_CHECKING:
    from tests.workflow.conftest import Handle, Opener, Refused

LAST = Reply("done: some notes; open: the rest", usage=Usage(900, 40))
NOTHING_MORE = "no tool can be called any more"
ASKING = """
[budget]
steps = 12
usd = "0.09"
on_exhausted = "ask"
wrap_up = false
[approval]
budget = "finance"
groups = { finance = ["olga", "bob"] }
"""


def tools(request: Any) -> bool:
    """Tells whether a request to the model offers tools."""
    return bool(request.body.get("tools"))


async def waits(handle: Handle, but: str = "", limit: int | None = None) -> bool:
    """Tells whether a question is open: another one than `but`, and about that limit."""
    pending = (await handle.query("status"))["pending_approvals"]
    return any(one["approval_id"] != but and limit in (None, one["args"]["limit"]) for one in pending)


def keen(request: Any) -> Reply:
    """A model that calls tools as long as it may, and answers where it may not."""
    if tools(request):
        return Reply(calls=[Call("note", {"text": str(len(request.raw))})], usage=Usage(2_000, 50))
    return LAST


DRY: list[tuple[dict[str, Any], str]] = [
    ({"steps": 4}, "steps"),
    ({"model_calls": 4}, "model_calls"),
    ({"tokens": 20_000}, "tokens"),
    ({"usd": "0.012"}, "usd"),
    ({"tool_calls": 2}, "tool_calls"),
    ({"tools": {"note": {"calls": 2}}}, "tool:note"),
]


async def test_a_run_that_runs_dry_answers_from_what_was_held_back(workshop: Opener) -> None:
    async with workshop({f"run out of {detail}.": [keen] * 30 for _, detail in DRY}) as shop:
        handles: list[Handle] = []
        for budget, detail in DRY:
            log = str(shop.log.with_name(detail))
            request = {"goal": f"run out of {detail}.", "metadata": {"log": log}, "budget": budget}
            handles.append(await shop.start(**request))
        for handle, (_, detail) in zip(handles, DRY, strict=True):
            result = await shop.result(handle)
            assert (result.status, result.stop_reason, result.stop_detail) == ("stopped", "budget_exhausted", detail)
            assert result.answer == LAST.text
            asked = [one for one in shop.model.requests if f"run out of {detail}." in one.raw.decode()]
            *before, last = asked
            assert all(tools(request) for request in before)
            assert (tools(last), NOTHING_MORE in last.raw.decode()) == (False, True)
            # The provider's own books: nothing was asked beyond what the run counts, and no limit was passed.
            assert result.steps == result.spent.model_calls == len(asked)
            assert result.spent.tool_calls == len(shop.log.with_name(detail).read_text().splitlines())
            assert result.spent.output_tokens == 50 * len(before) + 40
            assert result.spent.input_tokens == 2_000 * len(before) + 900
            assert result.spent.input_tokens + result.spent.output_tokens <= (result.budget.tokens or 0)
            assert Decimal(result.spent.usd) <= Decimal(result.budget.usd or "0")


async def test_what_is_held_back_for_a_last_answer_is_held_from_the_start(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("gate", {})]), Reply("free")]) as shop:
        handle = await shop.at_the_gate()
        held = (await handle.query("status"))["held"]
        assert (held["steps"], held["model_calls"]) == (1, 1)
        assert Decimal(held["usd"]) > 0
        shop.open("gate")
        result = await shop.result(handle)
        assert (result.stop_reason, result.answer) == ("completed", "free")
        assert (await handle.query("status"))["held"]["steps"] == 0
        assert not await shop.audit(handle, "wraps_up")


@pytest.mark.parametrize("toml", ["", "[budget]\nwrap_up = false\n"], ids=["too small", "switched off"])
async def test_where_nothing_is_held_back_the_last_step_is_a_free_one(workshop: Opener, toml: str) -> None:
    steps = 5 if toml else 2
    async with workshop([keen] * 30, toml) as shop:
        result = await shop.stopped("budget_exhausted", "steps", budget={"steps": steps})
        assert (result.answer, result.spent.tool_calls) == (None, steps)
        assert all(tools(request) for request in shop.model.requests)


async def test_a_last_answer_that_fails_leaves_the_reason_as_it_is(workshop: Opener) -> None:
    def deaf(request: Any) -> Reply:
        return keen(request) if tools(request) else Reply(calls=[Call("note", {"text": "still"})])

    async with workshop([deaf] * 30) as shop:
        result = await shop.stopped("budget_exhausted", "steps", budget={"steps": 3})
        assert (result.answer, result.steps, result.spent.tool_calls) == (None, 3, 2)


async def test_people_are_asked_for_more_and_a_yes_lets_the_run_go_on_where_it_waited(
    workshop: Opener, refusal: Refused
) -> None:
    async with workshop([keen] * 3 + [Reply("all noted")], ASKING) as shop:
        handle = await shop.start(budget={"steps": 2}, requested_by="olga")
        await shop.until(lambda: waits(handle))
        status = await handle.query("status")
        [asked] = status["pending_approvals"]
        assert (asked["kind"], asked["groups"], asked["approvers"]) == ("budget", ["finance"], ["bob"])
        assert asked["args"] == {"dimension": "steps", "spent": 2, "held": 0, "limit": 2, "asked": 1}
        assert asked["reasons"] == ["a further decision needs 1 of `steps`, 0 is left: a yes adds 1"]
        vote = {"approval_id": asked["approval_id"], "by": "bob"}
        error = await refusal(handle.execute_update("edit", {**vote, "args": {"asked": 9}}))
        assert error.type == "NotEditable"
        error = await refusal(handle.execute_update("approve", {**vote, "by": "olga"}))
        assert error.type == "RequesterMayNotApprove"
        await handle.execute_update("approve", vote)
        await shop.until(lambda: waits(handle, but=asked["approval_id"]))
        [again] = (await handle.query("status"))["pending_approvals"]
        assert again["args"] == {"dimension": "steps", "spent": 3, "held": 0, "limit": 3, "asked": 1}
        await handle.execute_update("grant", {"by": "bob", "reason": "finish it", "budget": {"steps": 2}})
        result = await shop.result(handle)
        assert (result.stop_reason, result.steps, result.budget.steps) == ("completed", 4, 5)
        assert [one["by"] for one in await shop.audit(handle, "granted")] == ["bob", "bob"]


@pytest.mark.parametrize("answer", ["deny", "expire"])
async def test_a_no_and_no_answer_end_the_run_for_want_of_budget(workshop: Opener, answer: str) -> None:
    toml = ASKING if answer == "deny" else ASKING.replace("[approval]", '[approval]\nexpires_after = "1s"')
    async with workshop(
        [keen] * 5, toml.replace("wrap_up = false", "wrap_up = true") + "[stop]\ndenials = 1\n"
    ) as shop:
        handle = await shop.start(budget={"steps": 3})
        if answer == "deny":
            await shop.until(lambda: waits(handle))
            [asked] = (await handle.query("status"))["pending_approvals"]
            await handle.execute_update("deny", {"approval_id": asked["approval_id"], "by": "olga"})
        result = await shop.result(handle)
        assert (result.stop_reason, result.stop_detail, result.answer) == ("budget_exhausted", "steps", LAST.text)
        assert (result.budget.steps, result.steps) == (3, 3)


async def test_nobody_is_asked_where_the_ceiling_leaves_nothing(workshop: Opener) -> None:
    async with workshop([keen] * 5, ASKING.replace("steps = 12", "steps = 2")) as shop:
        result = await shop.stopped("budget_exhausted", "steps")
        assert result.steps == 2


async def test_calls_without_room_wait_for_one_question_and_go_on_in_the_order_asked(workshop: Opener) -> None:
    three = Reply(calls=[Call("note", {"text": str(number)}) for number in range(3)])
    toml = ASKING + "[budget.tools]\nnote = { calls = 4 }\n"
    async with workshop([three, Reply("noted")], toml) as shop:
        handle = await shop.start(budget={"tools": {"note": {"calls": 1}}})
        for limit in (1, 2):
            await shop.until(lambda limit=limit: waits(handle, limit=limit))
            [asked] = (await handle.query("status"))["pending_approvals"]
            assert (asked["args"]["dimension"], asked["args"]["asked"]) == ("tools.note.calls", 1)
            assert asked["args"]["spent"] + asked["args"]["held"] == limit
            await handle.execute_update("approve", {"approval_id": asked["approval_id"], "by": "bob"})
        result = await shop.result(handle)
        assert (result.stop_reason, shop.lines()) == ("completed", ["0", "1", "2"])
        assert [call_id for call_id, _ in shop.answers()]
