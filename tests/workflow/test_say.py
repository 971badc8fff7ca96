"""Follow-up turns: a run that its agent keeps open waits after its answer for what people say next."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.service import RPCError

from backstay.client import BackstayClient
from backstay.contracts import names
from backstay.testing import Call, Reply

if TYPE_CHECKING:
    from tests.workflow.conftest import Handle, Opener, Refused, Workshop

GATE = Reply(calls=[Call("gate", {})])
FIRST, SECOND, THIRD = Reply("first"), Reply("second"), Reply("third")
OPEN = """
[conversation]
keep_open = "1h"
speakers = "desk"
[approval]
groups = { desk = ["olga", "Bob <bob@example.com>"] }
"""
BRIEFLY = OPEN.replace('"1h"', '"3s"')


def words(by: str, text: str) -> dict[str, Any]:
    return {"by": by, "text": text}


async def waiting(shop: Workshop, turn: int = 1, **request: Any) -> Handle:
    """A run of rita's that has answered and waits for words."""
    handle = await shop.start(requested_by="rita", **request)
    await listens(shop, handle, turn)
    return handle


async def listens(shop: Workshop, handle: Handle, turn: int) -> dict[str, Any]:
    """Waits until a turn is answered; returns the status."""

    async def holds() -> bool:
        status = await handle.query("status")
        return status["state"] == "waiting_input" and status["conversation"]["turn"] == turn

    await shop.until(holds)
    return await handle.query("status")


def asked(shop: Workshop, request: int = -1) -> list[tuple[str, str]]:
    """The words of a request to the model, each with its role."""
    body: Any = shop.model.requests[request].body
    items = body.get("messages") or body["input"]
    said: list[tuple[str, str]] = []
    for item in items:
        content = item.get("content")
        if isinstance(content, list):
            content = "".join(part.get("text", "") for part in content)
        if isinstance(content, str) and item.get("role") in ("user", "assistant"):
            said.append((item["role"], content))
    return said


async def test_a_run_that_is_kept_open_answers_turn_by_turn_and_ends_with_its_last_answer(workshop: Opener) -> None:
    async with workshop([FIRST, SECOND], OPEN) as shop:
        handle = await waiting(shop)
        status = await handle.query("status")
        assert (status["conversation"]["answer"], status["conversation"]["group"]) == ("first", "desk")
        assert await handle.execute_update("say", words("rita", "and then?")) == {"turn": 2, "state": "running"}
        status = await listens(shop, handle, 2)
        assert (status["conversation"]["answer"], status["step"]) == ("second", 2)
        assert asked(shop) == [("user", "work"), ("assistant", "first"), ("user", "and then?")]
        assert await handle.execute_update("say", {"by": "rita", "close": True}) == {"turn": 3, "state": "running"}
        result = await shop.result(handle)
        assert (result.status, result.stop_reason, result.answer, result.steps) == (
            "completed",
            "completed",
            "second",
            2,
        )
        said = [(item["kind"], item["text"]) for item in await shop.transcript(handle)]
        assert said == [("goal", "work"), ("decision", "first"), ("said", "and then?"), ("decision", "second")]
        assert [one["turn"] for one in await shop.audit(handle, "turn_ended")] == [1, 2]
        assert await shop.audit(handle, "conversation_closed") == [{"by": "rita"}]
        assert "and then?" not in str(await shop.audit(handle))
        assert [deed["did"] for deed in (await handle.query("status"))["people"]] == ["said", "closed"]


async def test_what_another_member_says_is_labelled_for_the_model_and_taints_the_run(workshop: Opener) -> None:
    async with workshop([FIRST, SECOND], OPEN) as shop:
        handle = await waiting(shop)
        await handle.signal("say", words("bob@example.com", "refund him"))
        await listens(shop, handle, 2)
        assert asked(shop)[-1] == ("user", "bob@example.com, who did not ask for this run, says:\nrefund him")
        assert await shop.audit(handle, "tainted") == [{"tool": "say", "taint": "speaker"}]
        [said] = await shop.audit(handle, "words_said")
        assert (said["by"], said["requester"], said["characters"]) == ("bob@example.com", False, 10)


REFUSED = [
    (words("mallory", "hi"), "NotASpeaker"),
    ({"by": "mallory", "close": True}, "NotASpeaker"),
    ({"by": "rita"}, "InvalidMessage"),
    (words("rita", ""), "InvalidMessage"),
    (words("rita", "x" * 32_001), "InvalidMessage"),
    ({"by": "rita", "text": None, "close": False}, "InvalidMessage"),
    ({"text": "hi"}, "InvalidMessage"),
    ({**words("rita", "hi"), "proof": "made up"}, "ProofUnverifiable"),
]


async def test_words_are_refused_where_their_sender_or_their_form_does_not_fit(
    workshop: Opener, refusal: Refused
) -> None:
    async with workshop([FIRST, SECOND], OPEN) as shop:
        handle = await waiting(shop)
        for given, code in REFUSED:
            assert (await refusal(handle.execute_update("say", given))).type == code
        await handle.signal("say", words("mallory", "hi"))
        assert await shop.state(handle) == "waiting_input"
        codes = [(one["message"], one["code"]) for one in (await handle.query("status"))["refused"]]
        assert codes == [("say", code) for _, code in REFUSED] + [("say", "NotASpeaker")]
        assert len(shop.model.requests) == 1
        assert await handle.execute_update("say", words("rita", "x" * 32_000)) == {"turn": 2, "state": "running"}


async def test_words_that_come_while_the_run_works_are_told_to_its_next_decision(workshop: Opener) -> None:
    async with workshop([GATE, FIRST], OPEN) as shop:
        handle = await shop.start(requested_by="rita")
        await shop.effects("at the gate")
        assert await handle.execute_update("say", words("rita", "hurry")) == {"turn": 1, "state": "running"}
        shop.open("gate")
        await listens(shop, handle, 1)
        assert ("user", "hurry") in asked(shop) or "hurry" in str(shop.model.requests[-1].body)


async def test_words_that_come_while_the_answer_is_made_begin_the_next_turn_at_once(workshop: Opener) -> None:
    async with workshop([Reply("first", delay=2), SECOND], OPEN) as shop:
        handle = await shop.start(requested_by="rita")
        await shop.asked(1)
        assert (await handle.execute_update("say", {**words("rita", "wait"), "close": True}))["turn"] == 1
        result = await shop.result(handle)
        assert (result.answer, result.stop_reason, result.steps) == ("second", "completed", 2)
        assert asked(shop)[1:] == [("assistant", "first"), ("user", "wait")]
        assert [one["turn"] for one in await shop.audit(handle, "turn_begun")] == [2]


async def test_a_run_that_nobody_speaks_to_completes_with_its_last_answer(workshop: Opener) -> None:
    async with workshop([FIRST], BRIEFLY) as shop:
        result = await shop.run(requested_by="rita")
        assert (result.stop_reason, result.answer, result.spent.seconds < 3) == ("completed", "first", True)


async def test_words_that_come_after_the_time_are_late_although_no_worker_ran(
    workshop: Opener, refusal: Refused
) -> None:
    async with workshop([FIRST, SECOND], BRIEFLY, worker=False) as shop:
        async with shop.runtime.serving():
            handle = await waiting(shop)
        said = asyncio.ensure_future(refusal(handle.execute_update("say", words("rita", "too late?"))))
        await asyncio.sleep(4)
        async with shop.runtime.serving():
            assert (await said).type == "ConversationOver"
            result = await shop.result(handle)
        assert (result.answer, result.stop_reason, len(shop.model.requests)) == ("first", "completed", 1)


@pytest.mark.parametrize("how", ["kill", "cancel"])
async def test_a_run_that_waits_for_words_ends_at_once(workshop: Opener, how: str) -> None:
    async with workshop([FIRST], OPEN) as shop:
        handle = await waiting(shop)
        if how == "cancel":
            await handle.cancel()
            await shop.until(lambda: closed(handle))
            return
        assert await handle.execute_update("kill", {"by": "olga", "reason": "enough"}) == {"state": "stopping"}
        result = await shop.result(handle)
        assert (result.stop_reason, result.answer) == ("killed", "first")


async def closed(handle: Handle) -> bool:
    return (await handle.describe()).close_time is not None


async def test_the_budget_is_that_of_the_whole_run_and_keeps_the_last_answer(workshop: Opener) -> None:
    async with workshop([FIRST, SECOND], OPEN + "[budget]\nsteps = 2\nwrap_up = false\n") as shop:
        handle = await waiting(shop)
        await handle.execute_update("say", words("rita", "more"))
        await listens(shop, handle, 2)
        await handle.execute_update("say", words("rita", "and more"))
        result = await shop.result(handle)
        assert (result.stop_reason, result.stop_detail, result.answer) == ("budget_exhausted", "steps", "second")


async def test_waiting_for_words_uses_up_seconds_only_where_the_agent_says_so(workshop: Opener) -> None:
    async with workshop([FIRST], OPEN) as shop:
        handle = await waiting(shop, budget={"seconds": 3})
        await asyncio.sleep(4)
        assert await shop.state(handle) == "waiting_input"
        await handle.execute_update("say", {"by": "olga", "close": True})
        assert (await shop.result(handle)).stop_reason == "completed"
    counting = OPEN + 'expires_after = "3s"\n[budget]\nseconds_exclude_approvals = false\n'
    async with workshop([FIRST], counting) as shop:
        result = await shop.run(requested_by="rita", budget={"seconds": 3})
        assert (result.stop_reason, result.answer) == ("deadline_exceeded", "first")


async def test_a_turn_begins_with_no_repetition_behind_it(workshop: Opener) -> None:
    look = Reply(calls=[Call("look", {"key": 1})])
    async with workshop([look, look, FIRST, look, look, SECOND], OPEN + "[stop]\nrepeats = 3\n") as shop:
        handle = await waiting(shop)
        await handle.execute_update("say", words("rita", "look again"))
        assert (await listens(shop, handle, 2))["conversation"]["answer"] == "second"


async def test_a_run_ends_with_its_answer_where_it_is_not_kept_open_or_nobody_may_speak(
    workshop: Opener, refusal: Refused
) -> None:
    async with workshop([GATE, FIRST]) as shop:
        handle = await shop.at_the_gate()
        error = await refusal(handle.execute_update("say", words("rita", "hi")))
        assert error.type == "NotKeptOpen"
        shop.open("gate")
        assert (await shop.result(handle)).answer == "first"
        with pytest.raises(RPCError, match="already completed"):
            await handle.execute_update("say", words("rita", "hi"))
    async with workshop([FIRST], '[conversation]\nkeep_open = "1h"\n') as shop:
        assert (await shop.run()).answer == "first"


async def test_the_time_to_say_more_stands_still_while_an_incident_holds_the_run(workshop: Opener) -> None:
    order = {"incident_id": "inc-1", "scope": "agent:workshop", "by": "olga", "reason": "odd"}
    async with workshop([FIRST, SECOND], BRIEFLY) as shop:
        handle = await waiting(shop)
        await handle.signal(names.INCIDENT, {**order, "do": "freeze"})
        await asyncio.sleep(4)
        assert (await handle.execute_update("say", words("rita", "still there?")))["state"] == "paused"
        await asyncio.sleep(0.5)
        assert len(shop.model.requests) == 1
        await handle.signal(names.INCIDENT, {**order, "do": "thaw"})
        result = await shop.result(handle)
        assert (result.stop_reason, result.answer) == ("completed", "second")


async def test_a_frozen_run_that_nobody_speaks_to_completes_only_after_it_was_let_go(workshop: Opener) -> None:
    order = {"incident_id": "inc-1", "scope": "agent:workshop", "by": "olga", "reason": "odd"}
    async with workshop([FIRST], BRIEFLY) as shop:
        handle = await waiting(shop)
        await handle.signal(names.INCIDENT, {**order, "do": "freeze"})
        await asyncio.sleep(4)
        assert await shop.state(handle) == "paused"
        await handle.signal(names.INCIDENT, {**order, "do": "thaw"})
        assert (await shop.result(handle)).stop_reason == "completed"


async def test_words_to_a_paused_run_are_read_after_it_is_resumed(workshop: Opener) -> None:
    async with workshop([FIRST, SECOND], OPEN) as shop:
        handle = await waiting(shop)
        await handle.execute_update("pause", {"by": "olga"})
        await handle.execute_update("say", {**words("rita", "and?"), "close": True})
        await asyncio.sleep(0.5)
        assert len(shop.model.requests) == 1
        await handle.execute_update("resume", {"by": "olga"})
        assert (await shop.result(handle)).answer == "second"


async def test_the_client_says_more_and_waits_for_the_answer_and_lists_find_the_state(workshop: Opener) -> None:
    async with workshop([FIRST, SECOND, Reply("late", delay=30)], OPEN) as shop:
        handle = await shop.start(requested_by="rita")
        run = BackstayClient(shop.runtime.client, shop.runtime.settings.task_queue).run(handle.id)
        assert await run.answered() == "first"
        await shop.shown(handle, "BackstayState", "waiting_input")
        assert (await run.say("rita", "and?")).turn == 2
        assert await run.answered() == "second"
        await run.say("rita", "more")
        await shop.asked(3)
        await run.kill("olga", "enough")
        assert await run.answered() is None


async def test_the_same_update_id_says_it_once(workshop: Opener) -> None:
    async with workshop([FIRST, SECOND], OPEN) as shop:
        handle = await waiting(shop)
        for _ in range(2):
            assert (await handle.execute_update("say", words("rita", "and?"), id="once"))["turn"] == 2
        await listens(shop, handle, 2)
        assert len(await shop.audit(handle, "words_said")) == 1


async def test_the_page_of_a_run_that_waits_shows_its_answer_and_how_to_speak(workshop: Opener) -> None:
    async with workshop([FIRST], OPEN) as shop:
        handle = await waiting(shop)
        page = await handle.query("__temporal_workflow_metadata")
        details = str(page)
        assert all(part in details for part in ("waiting for words", "Say more", "backstay say", "first", "desk"))
