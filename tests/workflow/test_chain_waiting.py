"""A run that waits for people in the middle of a decision goes on in another link, and waits there for the same."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any

from backstay.kernel.audit import AuditHead, verify
from backstay.testing import Call, Reply

from .test_chain import LONG, links_of, told

if TYPE_CHECKING:
    from tests.workflow.conftest import Handle, Opener, Workshop

LINK = 40
PEOPLE = """
[approval]
require = { mark = "ops", note = "both:2" }
groups = { ops = ["olga", "oscar"], both = ["ann", "ben"] }
"""
TWO = [Reply(calls=[Call("work", {"text": "a", "seconds": 0}), Call("mark", {"text": "äb"})]), Reply("done")]


async def pending(shop: Workshop, handle: Handle) -> list[dict[str, Any]]:
    """The open approvals, once there are some."""
    latest = shop.runtime.client.get_workflow_handle(handle.id)

    async def asked() -> list[dict[str, Any]]:
        return (await latest.query("status"))["pending_approvals"]

    await shop.until(asked)
    return await asked()


async def crowded(shop: Workshop, handle: Handle, links: int = 1) -> int:
    """Sends messages that change nothing until so many more links go on; returns how many were sent."""
    latest, sent = shop.runtime.client.get_workflow_handle(handle.id), 0
    wanted = len(await links_of(shop, handle)) + links
    while len(await links_of(shop, handle)) < wanted:
        assert sent < 100 * links, "no other link goes on"
        for _ in range(5):
            await latest.execute_update("resume", {"by": "olga", "reason": str(sent)})
            sent += 1
    return sent


async def asked_of(shop: Workshop, count: int) -> list[Any]:
    """The first requests to the model."""
    await shop.asked(count)
    return [request.raw for request in shop.model.requests]


async def test_an_approval_that_was_opened_before_a_rollover_is_answered_after_it(workshop: Opener) -> None:
    async with workshop(TWO, LONG + PEOPLE) as shop:
        handle = await shop.start()
        [asked] = await pending(shop, handle)
        await handle.execute_update("approve", {"approval_id": asked["approval_id"], "by": "olga"})
        alone = await shop.result(handle)
        items, _ = await told(shop, handle)
        requests = await asked_of(shop, 2)
        shop.log.unlink()
    async with workshop(TWO, LONG + PEOPLE, link_events=LINK) as shop:
        handle = await shop.start()
        [asked] = await pending(shop, handle)
        await shop.effects("end a")
        sent = await crowded(shop, handle, 2)
        assert await pending(shop, handle) == [asked]
        latest = shop.runtime.client.get_workflow_handle(handle.id)
        assert await shop.state(latest) == "waiting_approval"
        answer = {"approval_id": asked["approval_id"], "by": "olga"}
        assert (await latest.execute_update("approve", answer))["state"] == "closed"
        result = await shop.result(handle)
        chained, records = await told(shop, handle)
        assert [request.raw for request in shop.model.requests] == requests
    assert result.answer == "done"
    assert result.spent.model_copy(update={"seconds": 0}) == alone.spent.model_copy(update={"seconds": 0})
    assert shop.lines() == ["begin a", "end a"]
    assert chained == items
    assert verify(records, AuditHead()) == AuditHead(result.audit.records, result.audit.head)
    assert [one["event"] for one in records].count("resumed") == sent
    assert [one["event"] for one in records].count("approval_opened") == 1


async def test_of_two_people_one_says_yes_before_a_rollover_and_one_after_it(workshop: Opener) -> None:
    script = [Reply(calls=[Call("note", {"text": "a"}), Call("mark", {"text": "b"})]), Reply("done")]
    async with workshop(script, LONG + PEOPLE, link_events=LINK, conversation_cache_mb=0) as shop:
        handle = await shop.start()
        latest = shop.runtime.client.get_workflow_handle(handle.id)
        await shop.until(lambda: _count(shop, handle, 2))
        both, mark = await pending(shop, handle)
        vote = {"approval_id": both["approval_id"], "by": "ann"}
        assert (await latest.execute_update("approve", vote))["state"] == "open"
        await crowded(shop, handle)
        [told_before, _] = await pending(shop, handle)
        assert told_before["answered_by"] == ["ann"]
        edit = {"approval_id": mark["approval_id"], "by": "oscar", "args": {"text": "c"}}
        edited = await latest.execute_update("edit", edit)
        await shop.until(lambda: _has(shop, handle, edited["replaced_by"]))
        await crowded(shop, handle)
        await latest.signal("approve", {"approval_id": both["approval_id"], "by": "ben"})
        # Whoever changed a call may not release it, in whichever link.
        for person in ("oscar", "olga"):
            await latest.signal("approve", {"approval_id": edited["replaced_by"], "by": person})
        result = await shop.result(handle)
        assert (result.answer, shop.lines()) == ("done", ["a"])
        assert [text.splitlines()[0] for _, text in shop.answers()] == ["noted", "<c>"]
        _, records = await told(shop, handle)
        assert [one["facts"]["code"] for one in records if one["event"] == "message_refused"] == ["EditorMayNotApprove"]


async def _count(shop: Workshop, handle: Handle, number: int) -> bool:
    return len(await pending(shop, handle)) == number


async def _has(shop: Workshop, handle: Handle, approval_id: str) -> bool:
    return approval_id in [one["approval_id"] for one in await pending(shop, handle)]


async def test_what_is_denied_or_killed_after_a_rollover_ends_as_it_would_have_before(workshop: Opener) -> None:
    async with workshop([*TWO, *TWO], LONG + PEOPLE, link_events=LINK) as shop:
        handle = await shop.start()
        [asked] = await pending(shop, handle)
        await crowded(shop, handle)
        latest = shop.runtime.client.get_workflow_handle(handle.id)
        no = {"approval_id": asked["approval_id"], "by": "olga", "comment": "no"}
        assert (await latest.execute_update("deny", no))["state"] == "closed"
        assert (await shop.result(handle)).answer == "done"
        assert [text for _, text in shop.answers()] == ["done a", "denied by a person: no"]
        shop.log.unlink()

        handle = await shop.start()
        await pending(shop, handle)
        await crowded(shop, handle)
        latest = shop.runtime.client.get_workflow_handle(handle.id)
        await latest.signal("kill", {"by": "olga"})
        result = await shop.result(handle)
        assert (result.stop_reason, result.in_flight, shop.lines()) == ("killed", [], ["begin a", "end a"])
        items, records = await told(shop, handle)
        assert [(one["call_id"], one["status"]) for one in items if one["kind"] == "result"] == [
            ("1-0", "completed"),
            ("1-1", "denied"),
        ]
        ends = [one["facts"]["end"] for one in records if one["event"] == "approval_ended"]
        assert ends == ["interrupted"]


async def test_an_approval_expires_in_another_link_at_its_own_time(workshop: Opener) -> None:
    soon = LONG + PEOPLE.replace("[approval]", '[approval]\nexpires_after = "6s"')
    async with workshop(TWO, soon, link_events=LINK) as shop:
        handle = await shop.start()
        await pending(shop, handle)
        await crowded(shop, handle)
        assert (await shop.result(handle)).answer == "done"
        assert shop.answers()[1][1] == "not executed: nobody answered before the approval expired"
        _, records = await told(shop, handle)
        [opened] = [one["facts"] for one in records if one["event"] == "approval_opened"]
        [expired] = [one["at"] for one in records if one["event"] == "approval_ended"]
        late = datetime.fromisoformat(expired).timestamp() * 1000 - opened["approval"]["expires_at_ms"]
        assert 0 <= late < 5_000


async def test_a_call_that_was_released_while_the_run_was_paused_is_made_in_another_link(workshop: Opener) -> None:
    async with workshop(TWO, LONG + PEOPLE, link_events=LINK) as shop:
        handle = await shop.start()
        [asked] = await pending(shop, handle)
        latest = shop.runtime.client.get_workflow_handle(handle.id)
        await latest.execute_update("pause", {"by": "olga"})
        await latest.execute_update("approve", {"approval_id": asked["approval_id"], "by": "olga"})
        before = len(await links_of(shop, handle))
        sent = 0
        while len(await links_of(shop, handle)) == before:
            assert sent < 100
            sent += 1
            await latest.execute_update("pause", {"by": "olga", "reason": str(sent)})
        assert await shop.state(latest) == "paused"
        assert len(shop.model.requests) == 1
        await latest.execute_update("resume", {"by": "olga"})
        assert (await shop.result(handle)).answer == "done"
        assert [text for _, text in shop.answers()] == ["done a", "<bä>"]


async def test_a_question_is_answered_in_another_link(workshop: Opener) -> None:
    desk = '[std.ask_human]\ngroup = "ops"\n'
    toml = f'tools = ["work", "mark", "note", "std:ask_human"]\n{LONG}{PEOPLE}{desk}'
    question = [Reply(calls=[Call("ask_human", {"question": "Which?", "choices": ["a", "b"]})]), Reply("done")]
    async with workshop(question, toml, link_events=LINK) as shop:
        handle = await shop.start()
        [asked] = await pending(shop, handle)
        await crowded(shop, handle, 2)
        assert await pending(shop, handle) == [asked]
        latest = shop.runtime.client.get_workflow_handle(handle.id)
        await latest.execute_update("answer", {"approval_id": asked["approval_id"], "by": "olga", "answer": "b"})
        assert (await shop.result(handle)).answer == "done"
        assert "b" in shop.answers()[0][1]
        _, records = await told(shop, handle)
        assert [one["event"] for one in records].count("approval_opened") == 1


async def test_a_run_that_asks_for_more_budget_is_given_it_in_another_link(workshop: Opener) -> None:
    ask = PEOPLE.replace("[approval]", '[approval]\nbudget = "ops"')
    short = LONG.replace('usd = "1000"', 'usd = "1000"\non_exhausted = "ask"\nwrap_up = false')
    script = [Reply(calls=[Call("add", {"left": 1, "right": n}) for n in range(2)]), Reply("done")]
    for budget, kind in (({"steps": 1}, "steps"), ({"tool_calls": 1}, "tool_calls")):
        async with workshop(script, short + ask, link_events=LINK) as shop:
            handle = await shop.start(budget=budget)
            [asked] = await pending(shop, handle)
            assert asked["args"]["dimension"] == kind
            await crowded(shop, handle, 2)
            assert await pending(shop, handle) == [asked]
            latest = shop.runtime.client.get_workflow_handle(handle.id)
            await latest.execute_update("approve", {"approval_id": asked["approval_id"], "by": "olga"})
            result = await shop.result(handle)
            assert (result.answer, result.spent.tool_calls, len(shop.model.requests)) == ("done", 2, 2)
            _, records = await told(shop, handle)
            assert [one["event"] for one in records].count("approval_opened") == 1


async def test_what_became_of_a_call_is_answered_in_another_link(workshop: Opener) -> None:
    unknown = PEOPLE.replace("[approval]", '[approval]\nunknown = "ops"')
    script = [Reply(calls=[Call("slow_once"), Call("note", {"text": "b"})]), Reply("done")]
    for answer, tries in (("happened", 1), ("not_happened", 2)):
        async with workshop(script, LONG + unknown.replace(', note = "both:2"', ""), link_events=LINK) as shop:
            handle = await shop.start()
            [asked] = await pending(shop, handle)
            await shop.effects("tried", "b")
            await crowded(shop, handle)
            latest = shop.runtime.client.get_workflow_handle(handle.id)
            said = {"approval_id": asked["approval_id"], "by": "olga", "answer": answer, "result": "went well"}
            await latest.execute_update("answer", said)
            if answer == "not_happened":
                await shop.until(lambda: _asked_anew(shop, handle, asked["approval_id"]))  # noqa: B023
                [again] = await pending(shop, handle)
                await latest.execute_update(
                    "answer", {**said, "approval_id": again["approval_id"], "answer": "happened"}
                )
            assert (await shop.result(handle)).answer == "done"
            assert shop.answers()[0][1] == "went well"
            assert sorted(shop.lines()) == ["b", *["tried"] * tries]
            shop.log.unlink()


async def _asked_anew(shop: Workshop, handle: Handle, before: str) -> bool:
    latest = shop.runtime.client.get_workflow_handle(handle.id)
    ids = [one["approval_id"] for one in (await latest.query("status"))["pending_approvals"]]
    return bool(ids) and ids != [before]


async def test_a_decision_that_came_while_the_run_was_paused_is_acted_upon_in_another_link(workshop: Opener) -> None:
    asked = asyncio.Event()

    def slowly(_: Any) -> Reply:
        asked.set()
        return Reply(calls=[Call("work", {"text": "a", "seconds": 0})], delay=2)

    async with workshop([slowly, Reply("done")], LONG + PEOPLE, link_events=LINK) as shop:
        handle = await shop.start()
        latest = shop.runtime.client.get_workflow_handle(handle.id)
        await asked.wait()
        await latest.execute_update("pause", {"by": "olga"})
        await shop.until(lambda: _said(shop, handle, "decision"))
        sent = 0
        while len(await links_of(shop, handle)) < 2:
            assert sent < 100
            sent += 1
            await latest.execute_update("pause", {"by": "olga", "reason": str(sent)})
        assert shop.lines() == []
        await latest.execute_update("resume", {"by": "olga"})
        assert (await shop.result(handle)).answer == "done"
        assert (shop.lines(), len(shop.model.requests)) == (["begin a", "end a"], 2)


async def _said(shop: Workshop, handle: Handle, kind: str) -> bool:
    return bool(await shop.transcript(handle, kind))
