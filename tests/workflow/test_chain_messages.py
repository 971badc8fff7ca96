"""Messages that are sent to a run while it goes from link to link: none is lost, and none counts twice."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from backstay.client.client import BackstayClient
from backstay.testing import Call, Reply

from .test_chain import LONG, links_of, script, told

if TYPE_CHECKING:
    from tests.workflow.conftest import Opener

MESSAGES = 200 if os.environ.get("BACKSTAY_SOAK") else 40
LINKS = 20 if os.environ.get("BACKSTAY_SOAK") else 5
GRANTED = """
[approval]
budget = "ops"
groups = { ops = ["olga"] }
"""


@pytest.mark.soak
async def test_messages_of_all_kinds_are_taken_once_over_many_links(workshop: Opener) -> None:
    steps = LINKS * 5
    async with workshop(script(steps), LONG + GRANTED, link_events=40) as shop:
        handle = await shop.start()
        handle = shop.runtime.client.get_workflow_handle(
            handle.id, first_execution_run_id=handle.first_execution_run_id
        )
        for number in range(MESSAGES // 4):
            note = {"by": "olga", "reason": f"signal {number}"}
            await handle.signal("pause", note)
            await handle.execute_update("pause", {"by": "olga", "reason": f"update {number}"})
            await handle.signal("resume", note)
            await handle.execute_update("resume", {"by": "olga", "reason": f"update {number}"})
            await asyncio.sleep(0.05)
        result = await shop.result(handle)
        assert (result.answer, result.steps) == ("done", steps + 1)
        items, records = await told(shop, handle)
        assert len(await links_of(shop, handle)) >= LINKS - 1
    heard = Counter((one["event"], one["facts"]["reason"]) for one in records if one["event"] in ("paused", "resumed"))
    wanted = [
        (event, f"{kind} {number}")
        for event in ("paused", "resumed")
        for kind in ("signal", "update")
        for number in range(MESSAGES // 4)
    ]
    assert heard == Counter(wanted)
    assert [item["n"] for item in items] == list(range(1, len(items) + 1))


async def test_a_kill_takes_a_second_at_most_in_whichever_link_it_arrives(workshop: Opener) -> None:
    async with workshop(script(400), LONG, link_events=30) as shop:
        for seconds in (0.7, 1.3):
            handle = await shop.start()
            await asyncio.sleep(seconds)
            began = time.monotonic()
            await shop.runtime.client.get_workflow_handle(handle.id).signal("kill", {"by": "olga", "reason": "enough"})
            result = await shop.result(handle)
            assert time.monotonic() - began < 5
            assert result.stop_reason == "killed"
            # A call that was under way is told, with its end; one that gives a text back is too quick to be cancelled.
            assert [one.outcome for one in result.in_flight] in ([], ["completed"], ["cancelled"])
            assert result.audit.records == len((await told(shop, handle))[1])


async def test_approvals_are_asked_for_and_answered_in_later_links(workshop: Opener) -> None:
    ask = '[approval]\nrequire = { echo = "ops" }\ngroups = { ops = ["olga"] }\n'
    async with workshop(script(8), LONG + ask, link_events=30) as shop:
        handle = await shop.start()
        client = BackstayClient(shop.runtime.client)
        for _ in range(8):

            async def waits() -> list[Any]:
                return (await client.status(handle.id)).pending_approvals

            await shop.until(waits)
            [pending] = (await client.status(handle.id)).pending_approvals
            await client.approve(handle.id, pending.approval_id, "olga")
        result = await shop.result(handle)
        assert (result.answer, result.spent.tool_calls) == ("done", 8)
        assert len(await links_of(shop, handle)) > 2


async def test_a_paused_run_that_is_sent_many_messages_goes_on_in_another_link(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("gate")]), Reply("done")], LONG, link_events=40) as shop:
        handle = await shop.resting()
        latest = shop.runtime.client.get_workflow_handle(handle.id)
        for number in range(30):
            await latest.signal("pause", {"by": "olga", "reason": str(number)})
        await shop.until(lambda: _later(shop, handle))
        assert await shop.state(latest) == "paused"
        assert (await latest.query("status"))["people"][-1]["did"] == "paused"
        await latest.execute_update("resume", {"by": "olga"})
        assert (await shop.result(handle)).answer == "done"


async def _later(shop: Any, handle: Any) -> bool:
    return len(await links_of(shop, handle)) > 1
