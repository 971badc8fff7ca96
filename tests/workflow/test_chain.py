"""A long run goes on in one link after the other, and nobody outside can tell."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from backstay.client.client import BackstayClient
from backstay.kernel.audit import AuditHead, verify
from backstay.testing import Call, Reply

if TYPE_CHECKING:
    from tests.workflow.conftest import Handle, Opener, Workshop

STEPS = 1_000 if os.environ.get("BACKSTAY_SOAK") else 60
LONG = """
[budget]
steps = 20_000
tool_calls = 50_000
tokens = 1_000_000_000
usd = "1000"
seconds = 100_000
"""


def script(steps: int) -> list[Reply]:
    """A call in each step, and an answer at last."""
    return [*[Reply(f"look {n}", calls=[Call("echo", {"text": f"äöü {n}"})]) for n in range(steps)], Reply("done")]


async def told(shop: Workshop, handle: Handle) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The whole transcript and the whole audit, as the client reads them over all links."""
    client = BackstayClient(shop.runtime.client)
    items = [item.model_dump() async for item in client.transcript(handle.id)]
    return items, [record async for record in client.audit(handle.id)]


async def links_of(shop: Workshop, handle: Handle) -> list[str]:
    """The run ids of a chain, the first link first."""
    found = [handle.first_execution_run_id or ""]
    while True:
        last = shop.runtime.client.get_workflow_handle(handle.id, run_id=found[-1])
        events = [event async for event in last.fetch_history_events()]
        following = events[-1].workflow_execution_continued_as_new_event_attributes.new_execution_run_id
        if not following:
            return found
        found.append(following)


async def test_a_run_over_many_links_equals_the_same_run_in_one(workshop: Opener) -> None:
    async with workshop(script(STEPS), LONG, link_events=20_000) as shop:
        handle = await shop.start()
        alone = await shop.result(handle)
        items, _ = await told(shop, handle)
        asked = [request.raw for request in shop.model.requests]
    async with workshop(script(STEPS), LONG, link_events=STEPS * 2) as shop:
        handle = await shop.start()
        result = await shop.result(handle)
        assert len(await links_of(shop, handle)) > 4
        chained, records = await told(shop, handle)
        assert [request.raw for request in shop.model.requests] == asked
    assert (result.answer, result.steps, result.stop_reason) == ("done", STEPS + 1, "completed")
    assert result.spent.model_copy(update={"seconds": 0}) == alone.spent.model_copy(update={"seconds": 0})
    assert chained == items
    assert verify(records, AuditHead()) == AuditHead(result.audit.records, result.audit.head)
