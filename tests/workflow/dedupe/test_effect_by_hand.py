"""What people send to an effect by hand: it fails or is refused at once, and gets nothing done."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.client import WithStartWorkflowOperation, WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError

if TYPE_CHECKING:
    from tests.workflow.dedupe.conftest import Opener, Shop

PATIENCE = 40.0
CALL = {"workflow_id": "w", "run_id": "r", "call_id": "1-0", "task_queue": "q"}
START = {"call": CALL, "key": "k", "tenant": "acme", "tool": "refund", "effect": "write", "timeout": 5, "window": 60}
RESULT = {"status": "completed", "text": "canary-5e1f"}
HELD = {"performer": {"call": CALL}, "performances": 1, "result": RESULT, "free": False, "until_ms": 1}
MISFITS: dict[str, list[Any]] = {
    "none": [],
    "two": [START, START],
    "null": [None],
    "text": ["canary-5e1f"],
    "a list": [["canary-5e1f"]],
    "no call": [{**START, "call": None}],
    "raw arguments": [{**START, "arguments": "canary-5e1f"}],
    "an effect of its own": [{**START, "effect": "read"}],
    "no time": [{**START, "timeout": 0}],
    "for ever": [{**START, "window": 1e300}],
    "a state of its own": [{**START, "held": HELD}],
}


async def test_a_start_that_does_not_fit_fails_at_once(opened: Opener) -> None:
    async with opened() as shop:
        for name, args in MISFITS.items():
            client, queue = shop.runtime.client, shop.runtime.settings.task_queue
            handle = await client.start_workflow("Effect", args=args, id=f"misfit-{uuid.uuid4()}", task_queue=queue)
            with pytest.raises(WorkflowFailureError) as caught:
                await asyncio.wait_for(handle.result(), 10)
            assert isinstance(caught.value.cause, ApplicationError), name
            assert caught.value.cause.type == "InvalidInput", name
            assert "canary" not in str(caught.value.cause), name


async def by_hand(shop: Shop, effect_id: str, start: Any, claim: Any) -> Any:
    operation: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
        "Effect",
        start,
        id=effect_id,
        task_queue=shop.runtime.settings.task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    update = shop.runtime.client.execute_update_with_start_workflow("claim", claim, start_workflow_operation=operation)
    return await asyncio.wait_for(update, PATIENCE)


async def test_a_claim_that_does_not_fit_is_refused_and_harms_nothing(opened: Opener) -> None:
    async with opened() as shop:
        run = await shop.start(("slow", {"order": "A1"}))
        effect = await shop.effect(run)
        for payload in ([], [None], ["x"], [{}], [{"call": CALL, "again": -1}], [{"call": CALL}, {"call": CALL}]):
            with pytest.raises(WorkflowUpdateFailedError) as caught:
                await asyncio.wait_for(effect.execute_update("claim", args=payload), 10)
            assert isinstance(caught.value.cause, ApplicationError)
            assert caught.value.cause.type == "InvalidMessage"
            await effect.signal("withdraw", args=payload)
        shop.touch("go")
        assert await shop.results(run) == ["slow 2"]


async def test_nothing_is_performed_for_an_effect_that_is_started_by_hand(opened: Opener) -> None:
    async with opened() as shop:
        run = await shop.start(("refund", {"order": "A1"}))
        await shop.results(run)
        effect = await shop.effect(run)
        start = (await effect.fetch_history()).events[0].workflow_execution_started_event_attributes
        [given] = await shop.runtime.client.data_converter.decode(start.input.payloads)
        before = len(shop.lines())
        await effect.terminate("forgotten")
        forged = [
            (effect.id, given),  # the call is over
            (f"effect-{uuid.uuid4()}", given),
            (effect.id, {**given, "call": {**given["call"], "call_id": "7-0"}}),
            (effect.id, {**given, "call": {**given["call"], "run_id": str(uuid.uuid4())}}),
            (effect.id, {**given, "call": {**given["call"], "workflow_id": "nobody"}}),
        ]
        for effect_id, start in forged:
            answer = await by_hand(shop, effect_id, start, {"call": start["call"]})
            assert answer["result"]["status"] == "denied"
        assert len(shop.lines()) == before


async def test_an_effect_that_nobody_claims_is_not_performed(opened: Opener) -> None:
    async with opened() as shop:
        client, queue = shop.runtime.client, shop.runtime.settings.task_queue
        start = {**START, "call": {**CALL, "task_queue": queue}}
        handle = await client.start_workflow("Effect", start, id=f"effect-{uuid.uuid4()}", task_queue=queue)
        with pytest.raises(WorkflowFailureError):
            await asyncio.wait_for(handle.result(), 20)


async def test_nobody_has_it_performed_again_by_hand(opened: Opener) -> None:
    async with opened(toml="") as shop:
        run = await shop.start(("lost", {"order": "A1"}))
        await asyncio.wait_for(run.result(), PATIENCE)
        effect = await shop.effect(run)
        queue = shop.runtime.settings.task_queue
        forged = {**CALL, "workflow_id": run.id, "run_id": run.result_run_id, "task_queue": queue}
        answer = await asyncio.wait_for(effect.execute_update("claim", {"call": forged, "again": 1}), PATIENCE)
        assert answer["result"]["status"] == "denied"
        assert await shop.stopped(("lost", {"order": "A1"})) == "outcome_unknown"
        assert len(shop.lines()) == 1
