"""Messages of all kinds, sent to a run while it goes from link to link: none is lost, and none counts twice."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from backstay.client.moved import delivered
from backstay.kernel.audit import AuditHead, verify
from backstay.testing import Call, Reply

from .test_chain import LONG, links_of, told
from .test_chain_waiting import pending

if TYPE_CHECKING:
    from tests.workflow.conftest import Handle, Opener, Workshop

ROUNDS = 20 if os.environ.get("BACKSTAY_SOAK") else 3
"""The rollovers; a message of each kind comes before or after each of them."""
OPEN = """
[conversation]
keep_open = "1h"
speakers = "ops"
[approval]
require = { note = "ops", mark = "both:2" }
budget = "ops"
groups = { ops = ["olga", "oscar"], both = ["ann", "ben"] }
[stop]
denials = 60
"""


class People:
    """Those who speak to one run; `sent` counts their messages, `refused` those that the run refuses."""

    def __init__(self, shop: Workshop, handle: Handle) -> None:
        self.shop = shop
        self.handle = handle
        self.latest = shop.runtime.client.get_workflow_handle(handle.id)
        self.sent = 0
        self.refused: Counter[str] = Counter()

    async def update(self, name: str, message: Any) -> Any:
        """Sends an update."""
        self.sent += 1
        client = self.shop.runtime.client
        return await delivered(client, self.handle.id, lambda: self.latest.execute_update(name, message))

    async def signal(self, name: str, message: Any) -> None:
        """Sends a signal."""
        self.sent += 1
        await delivered(self.shop.runtime.client, self.handle.id, lambda: self.latest.signal(name, message))

    async def is_refused(self, name: str, message: Any, code: str) -> None:
        """Sends a message that is refused, as an update and as a signal."""
        with pytest.raises(WorkflowUpdateFailedError) as caught:
            await self.update(name, message)
        assert isinstance(caught.value.cause, ApplicationError)
        assert caught.value.cause.type == code
        await self.signal(name, message)
        self.refused[code] += 2

    async def rolls_over(self, number: int) -> None:
        """Holds the run and lets it go on until another link does, each time with words of its own."""
        links = len(await links_of(self.shop, self.handle))
        while len(await links_of(self.shop, self.handle)) == links:
            assert self.sent < 60 * (number + 1), "no other link goes on"
            for name in ("pause", "resume"):
                await self.update(name, {"by": "olga", "reason": f"update {self.sent}"})
                await self.signal(name, {"by": "olga", "reason": f"signal {self.sent}"})


@pytest.mark.soak
async def test_messages_of_all_kinds_count_once_whichever_link_takes_them(workshop: Opener) -> None:
    rounds = [[Call("note", {"text": f"n{n}"}), Call("mark", {"text": f"m{n}"})] for n in range(ROUNDS)]
    script = [*[Reply(f"round {n}", calls=calls) for n, calls in enumerate(rounds)], Reply("done")]
    async with workshop(script, LONG + OPEN, link_events=60) as shop:
        handle = await shop.start(requested_by="rita", budget={"steps": 100, "tool_calls": 500})
        people = People(shop, handle)
        for number in range(ROUNDS):
            await _one_round(people, number)
        await shop.until(lambda: _listens(people))
        await people.update("say", {"by": "olga", "close": True})
        result = await shop.result(handle)
        items, records = await told(shop, handle)
        assert len(await links_of(shop, handle)) > ROUNDS
        assert people.sent >= 10 * ROUNDS
    assert (result.answer, result.steps) == ("done", ROUNDS + 1)
    assert verify(records, AuditHead()) == AuditHead(result.audit.records, result.audit.head)
    assert [item["n"] for item in items] == list(range(1, len(items) + 1))
    _once(people, records, items)
    # Even rounds say yes, and odd ones let the call go with other words, or not at all.
    assert sorted(shop.lines()) == sorted(f"n{n}" if n % 2 == 0 else f"e{n}" for n in range(ROUNDS))


async def _one_round(people: People, number: int) -> None:
    """Sends a message of each kind, some to approvals that are older than the link."""
    shop, tag = people.shop, str(number)
    await shop.until(lambda: _open(people, number))
    note, mark = await pending(shop, people.handle)
    yes = {"approval_id": mark["approval_id"], "by": "ann", "comment": tag}
    await people.signal("approve", yes)  # one of two, before the rollover
    await people.update("grant", {"by": "olga", "reason": f"grant {tag}", "budget": {"steps": 1}})
    await people.rolls_over(number)
    status = await people.latest.query("status")
    assert [one["approval_id"] for one in status["pending_approvals"]] == [note["approval_id"], mark["approval_id"]]
    await people.update("say", {"by": "olga", "text": f"words {tag}"})
    if number % 2:
        await people.is_refused("approve", {"approval_id": "apr_none", "by": "olga"}, "ApprovalUnknown")
        edited = await people.update(
            "edit", {"approval_id": note["approval_id"], "by": "olga", "args": {"text": f"e{tag}"}}
        )
        await people.rolls_over(number)
        await people.update("approve", {"approval_id": edited["replaced_by"], "by": "oscar"})
        await people.update("deny", {**yes, "by": "ben"})
    else:
        await people.is_refused("pause", {"by": "olga", "why": 5}, "InvalidMessage")
        await people.signal("approve", {"approval_id": note["approval_id"], "by": "oscar"})
        await people.update("approve", {**yes, "by": "ben"})
        await people.latest.query("transcript")
    await people.is_refused("approve", {**yes, "by": "ben"}, "ApprovalClosed")


async def _open(people: People, number: int) -> bool:
    status = await people.latest.query("status")
    return status["step"] == number + 1 and len(status["pending_approvals"]) == 2


async def _listens(people: People) -> bool:
    return await people.shop.state(people.latest) == "waiting_input"


def _once(people: People, records: list[dict[str, Any]], items: list[dict[str, Any]]) -> None:
    """Each message left its one mark: in the audit, and in the transcript where the model reads it."""
    events = Counter(one["event"] for one in records)
    tags = Counter(one["facts"]["reason"] for one in records if one["event"] in ("paused", "resumed", "granted"))
    assert set(tags.values()) == {1}
    assert {f"grant {n}" for n in range(ROUNDS)} <= tags.keys()
    assert Counter(one["facts"]["code"] for one in records if one["event"] == "message_refused") == people.refused
    assert [item["text"] for item in items if item["kind"] == "said"] == [f"words {n}" for n in range(ROUNDS)]
    odd = ROUNDS // 2
    ends = Counter(one["facts"]["end"] for one in records if one["event"] == "approval_ended")
    assert ends == Counter(approved=2 * ROUNDS - odd, denied=odd, edited=odd)
    assert events["approval_opened"] == 2 * ROUNDS + odd
    assert events["approval_voted"] == 3 * ROUNDS - odd
    accepted = sum(tags.values()) + events["approval_voted"] + ends["denied"] + ends["edited"]
    assert people.sent == accepted + people.refused.total() + ROUNDS + 1, "and so many words"
