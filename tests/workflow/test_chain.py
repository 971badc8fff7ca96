"""A long run goes on in one link after the other, and nobody outside can tell."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest, DescribeWorkflowExecutionRequest
from temporalio.service import RPCError, RPCStatusCode

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


@pytest.mark.soak
async def test_a_run_over_many_links_equals_the_same_run_in_one(workshop: Opener) -> None:
    async with workshop(script(STEPS), LONG, link_events=20_000) as shop:
        handle = await shop.start()
        await handle.result()  # however long it takes
        alone = await shop.result(handle)
        items, _ = await told(shop, handle)
        asked = [request.raw for request in shop.model.requests]
    async with workshop(script(STEPS), LONG, link_events=STEPS * 2) as shop:
        handle = await shop.start()
        await handle.result()
        result = await shop.result(handle)
        assert len(await links_of(shop, handle)) > 4
        chained, records = await told(shop, handle)
        assert [request.raw for request in shop.model.requests] == asked
    assert (result.answer, result.steps, result.stop_reason) == ("done", STEPS + 1, "completed")
    assert result.spent.model_copy(update={"seconds": 0}) == alone.spent.model_copy(update={"seconds": 0})
    assert chained == items
    assert verify(records, AuditHead()) == AuditHead(result.audit.records, result.audit.head)


async def test_any_worker_takes_over_any_link_from_histories_alone(workshop: Opener) -> None:
    async with workshop(script(24), LONG, link_events=20_000) as shop:
        handle = await shop.start()
        await shop.result(handle)
        items, _ = await told(shop, handle)
        asked = [request.raw for request in shop.model.requests]
    async with (
        workshop(script(24), LONG, worker=False, link_events=40, conversation_cache_mb=0) as shop,
        shop.worker(identity="one", max_cached_workflows=0),
        shop.worker(identity="two", max_cached_workflows=0),
    ):
        handle = await shop.start()
        assert (await shop.result(handle)).answer == "done"
        assert (await told(shop, handle))[0] == items
        assert [request.raw for request in shop.model.requests] == asked


async def test_a_run_needs_no_closed_link(workshop: Opener) -> None:
    gated = [*script(30)[:-1], Reply(calls=[Call("gate")]), Reply("done")]
    async with workshop(gated, LONG, link_events=100, conversation_cache_mb=0) as shop:
        handle = await shop.start()
        await shop.effects("at the gate")
        asked = len(shop.model.requests)
        links = await links_of(shop, handle)
        assert len(links) > 2
        for link in links[:-1]:
            await forget(shop, handle.id, link)
        shop.open("gate")
        latest = shop.runtime.client.get_workflow_handle(handle.id)
        assert (await shop.result(latest)).answer == "done"
        assert len(shop.model.requests) == asked + 1
        items, records = await told(shop, latest)
        assert items[0]["n"] > 1
        assert items[-1]["text"] == "done"
        assert records[0]["seq"] > 1


async def forget(shop: Workshop, workflow_id: str, link: str) -> None:
    """Lets Temporal forget a closed link, as it does when its retention is over."""
    service, namespace = shop.runtime.client.workflow_service, shop.runtime.client.namespace
    execution = WorkflowExecution(workflow_id=workflow_id, run_id=link)
    await service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(namespace=namespace, workflow_execution=execution)
    )

    async def gone() -> bool:
        try:
            asked = DescribeWorkflowExecutionRequest(namespace=namespace, execution=execution)
            await service.describe_workflow_execution(asked)
        except RPCError as error:
            return error.status is RPCStatusCode.NOT_FOUND
        return False

    await shop.until(gone)


async def test_what_a_caller_says_is_handed_on_is_refused(workshop: Opener) -> None:
    async with workshop(script(30), LONG, link_events=60) as shop:
        handle = await shop.start()
        await shop.result(handle)
        second = shop.runtime.client.get_workflow_handle(handle.id, run_id=(await links_of(shop, handle))[1])
        first = await anext(second.fetch_history_events())
        payloads = first.workflow_execution_started_event_attributes.input.payloads
        [handed] = await shop.runtime.client.data_converter.decode(payloads)
        assert set(handed) == {"request", "carried"}
        error = await shop.failure(await shop.runtime.start(handed))
        assert error.type == "InvalidInput"
        assert "carried" in str(error)
