"""A start that does not fit: the run fails at once, says what is wrong with it, and repeats none of it."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import RawValue, WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from backstay.contracts.names import AGENT_RUN
from backstay.testing import Reply

if TYPE_CHECKING:
    from tests.workflow.conftest import Opener, Workshop

CANARY = "canary-5e1f"
ANSWER = [Reply("answered")]
CEILINGS = """
[budget]
steps = 5
model_calls = 6
tool_calls = 7
tokens = 8_000
usd = "0.09"
seconds = 10
tools = { add = { calls = 2, per_minute = 1 } }
"""

MISFITS: dict[str, tuple[list[Any], str]] = {
    "no goal": ([{"tenant": CANARY}], "goal"),
    "an empty goal": ([{"goal": "", "tenant": CANARY}], "goal"),
    "an unknown field": ([{"goal": CANARY, "colour": CANARY}], "colour"),
    "a number as goal": ([{"goal": 5}], "goal"),
    "a list as goal": ([{"goal": [CANARY]}], "goal"),
    "null as goal": ([{"goal": None, "tenant": CANARY}], "goal"),
    "a number as agent": ([{"goal": CANARY, "agent": 5}], "agent"),
    "a path as agent": ([{"goal": CANARY, "agent": f"../{CANARY}"}], "agent"),
    "null as tenant": ([{"goal": CANARY, "tenant": None}], "tenant"),
    "an object as requested_by": ([{"goal": CANARY, "requested_by": {"name": CANARY}}], "requested_by"),
    "text as budget": ([{"goal": CANARY, "budget": CANARY}], "budget"),
    "text as steps": ([{"goal": CANARY, "budget": {"steps": CANARY}}], "budget.steps"),
    "digits as steps": ([{"goal": CANARY, "budget": {"steps": "5"}}], "budget.steps"),
    "a fraction as steps": ([{"goal": CANARY, "budget": {"steps": 1.5}}], "budget.steps"),
    "true as steps": ([{"goal": CANARY, "budget": {"steps": True}}], "budget.steps"),
    "fewer steps than none": ([{"goal": CANARY, "budget": {"steps": -1}}], "budget.steps"),
    "a number as usd": ([{"goal": CANARY, "budget": {"usd": 0.1}}], "budget.usd"),
    "words as usd": ([{"goal": CANARY, "budget": {"usd": CANARY}}], "budget.usd"),
    "a debt as usd": ([{"goal": CANARY, "budget": {"usd": "-1"}}], "budget.usd"),
    "an unknown dimension": ([{"goal": CANARY, "budget": {"patience": CANARY}}], "budget.patience"),
    "a list of tools": ([{"goal": CANARY, "budget": {"tools": [CANARY]}}], "budget.tools"),
    "an unknown limit": ([{"goal": CANARY, "budget": {"tools": {"add": {"each": CANARY}}}}], "budget.tools.add.each"),
    "text as metadata": ([{"goal": CANARY, "metadata": CANARY}], "metadata"),
    "an object in metadata": ([{"goal": CANARY, "metadata": {"a": {"b": CANARY}}}], "metadata.a"),
    "too much metadata": ([{"goal": CANARY, "metadata": {str(n): CANARY for n in range(33)}}], "metadata"),
    "a huge goal": ([{"goal": CANARY * 100_000}], "goal"),
    "null": ([None], "$"),
    "text": ([CANARY], "$"),
    "a list": ([[CANARY]], "$"),
    "a number": ([4.5], "$"),
    "bytes": ([CANARY.encode()], "$"),
    "no input": ([], "$"),
    "two inputs": ([{"goal": CANARY}, {"goal": CANARY}], "$"),
    "an unknown agent": ([{"goal": CANARY, "agent": CANARY}], "agent"),
    "too many steps": ([{"goal": CANARY, "agent": "workshop", "budget": {"steps": 6}}], "budget.steps"),
    "too many model calls": (
        [{"goal": CANARY, "agent": "workshop", "budget": {"model_calls": 7}}],
        "budget.model_calls",
    ),
    "too many tool calls": ([{"goal": CANARY, "agent": "workshop", "budget": {"tool_calls": 8}}], "budget.tool_calls"),
    "too many tokens": ([{"goal": CANARY, "agent": "workshop", "budget": {"tokens": 8_001}}], "budget.tokens"),
    "too much money": ([{"goal": CANARY, "agent": "workshop", "budget": {"usd": "0.090001"}}], "budget.usd"),
    "too many seconds": ([{"goal": CANARY, "agent": "workshop", "budget": {"seconds": 11}}], "budget.seconds"),
    "too many calls of a tool": (
        [{"goal": CANARY, "agent": "workshop", "budget": {"tools": {"add": {"calls": 3}}}}],
        "budget.tools.add.calls",
    ),
    "too many calls a minute": (
        [{"goal": CANARY, "agent": "workshop", "budget": {"tools": {"add": {"per_minute": 2}}}}],
        "budget.tools.add.per_minute",
    ),
    "a limit for an unknown tool": (
        [{"goal": CANARY, "agent": "workshop", "budget": {"tools": {"hammer": {"calls": 1}}}}],
        "budget.tools.hammer",
    ),
}

UNREADABLE = {
    "half a character": b'{"goal": "canary-5e1f \\ud800"}',
    "half a character as key": b'{"goal": "canary-5e1f", "\\udfff": 1}',
    "lists within lists": b'{"goal": "canary-5e1f", "budget": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "a number without end": b'{"goal": "canary-5e1f", "budget": {"steps": 1' + b"0" * 5_000 + b"}}",
    "half an object": b'{"goal": "canary-5e1f',
    "bytes that are no text": b'{"goal": "canary-5e1f \xff"}',
}


async def begin(workshop: Workshop, *inputs: Any, **options: Any) -> WorkflowHandle[Any, Any]:
    return await workshop.runtime.client.start_workflow(
        AGENT_RUN,
        args=inputs,
        id=f"misfit-{uuid.uuid4()}",
        task_queue=workshop.runtime.settings.task_queue,
        **options,
    )


async def refused(workshop: Workshop, *inputs: Any) -> ApplicationError:
    """The error of a start that does not fit, after a look at what the history says of it."""
    handle = await begin(workshop, *inputs)
    error = await workshop.failure(handle)
    run = await handle.describe()
    assert run.close_time
    # By the engine's own clock: whoever waits for a result may be told of it only when their long poll is over.
    assert (run.close_time - run.start_time).total_seconds() < 10
    assert error.type == "InvalidInput"
    assert "WORKFLOW_TASK_FAILED" not in await workshop.event_names(handle)
    for event in await workshop.events(handle):
        if event.HasField("workflow_execution_failed_event_attributes") or event.HasField(
            "activity_task_failed_event_attributes"
        ):
            assert CANARY.encode() not in event.SerializeToString()
    return error


def fields(error: ApplicationError) -> list[str]:
    return [problem["field"] for problem in error.details[0]]


async def test_every_start_that_does_not_fit_fails_at_once_and_names_the_field(workshop: Opener) -> None:
    async with workshop(ANSWER, CEILINGS) as shop:
        room = asyncio.Semaphore(6)

        async def one_of(inputs: list[Any]) -> ApplicationError:
            async with room:
                return await refused(shop, *inputs)

        errors = await asyncio.gather(*(one_of(inputs) for inputs, _ in MISFITS.values()))
        found = {name: error for name, error in zip(MISFITS, errors, strict=True)}
        for name, (_, field) in MISFITS.items():
            assert field in fields(found[name]), name
            assert f"`{field}`" in found[name].message, name
        assert shop.model.requests == []


async def test_the_details_list_every_problem(workshop: Opener) -> None:
    async with workshop(ANSWER, CEILINGS) as shop:
        error = await refused(shop, {"agent": 5, "colour": CANARY, "budget": {"steps": "x", "usd": 1}, "metadata": []})
        assert sorted(fields(error)) == ["agent", "budget.steps", "budget.usd", "colour", "goal", "metadata"]
        over = {"steps": 6, "tokens": 9_000, "usd": "1", "tools": {"add": {"calls": 3, "per_minute": 2}}}
        error = await refused(shop, {"goal": CANARY, "agent": "workshop", "budget": over})
        tools = ["budget.tools.add.calls", "budget.tools.add.per_minute"]
        assert sorted(fields(error)) == ["budget.steps", "budget.tokens", *tools, "budget.usd"]


async def test_thousands_of_unknown_keys_give_a_short_error(workshop: Opener) -> None:
    async with workshop(ANSWER) as shop:
        error = await refused(shop, {"goal": CANARY, **{f"key-{n}-{'k' * 200}": CANARY for n in range(5_000)}})
        assert len(error.message) < 2_000
        assert len(str(error.details)) < 10_000
        assert "more problems" in str(error.details)


async def test_json_that_cannot_be_read_fails_at_once_too(workshop: Opener) -> None:
    async with workshop(ANSWER) as shop:
        payloads = [RawValue(Payload(metadata={"encoding": b"json/plain"}, data=text)) for text in UNREADABLE.values()]
        handles = [await begin(shop, payload) for payload in payloads]
        try:
            await asyncio.gather(*(shop.until(partial(closed, handle), 5) for handle in handles))
        finally:
            await asyncio.gather(*(ended(handle) for handle in handles))
        for payload in payloads:
            await refused(shop, payload)


async def ended(handle: WorkflowHandle[Any, Any]) -> None:
    with contextlib.suppress(RPCError):
        await handle.terminate()


async def closed(handle: WorkflowHandle[Any, Any]) -> bool:
    return (await handle.describe()).close_time is not None


async def test_a_model_without_a_price_cannot_run_under_a_usd_budget(workshop: Opener) -> None:
    async with workshop(ANSWER, model="nobody-knows-this-model", model_price=None) as shop:
        error = await refused(shop, {"goal": CANARY, "agent": "workshop"})
        assert "price" in error.message
        assert shop.model.requests == []


async def test_a_signal_that_starts_a_misfit_does_no_harm(workshop: Opener) -> None:
    async with workshop(ANSWER) as shop:
        for payload in ({"by": "olga", "reason": "stop"}, CANARY):
            handle = await begin(shop, {"goal": 5}, start_signal="kill", start_signal_args=[payload])
            assert (await shop.failure(handle)).type == "InvalidInput"


async def test_an_update_that_starts_a_misfit_is_rejected(workshop: Opener, client: Client) -> None:
    async with workshop(ANSWER) as shop:
        operation: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            AGENT_RUN,
            {"goal": [CANARY]},
            id=f"misfit-{uuid.uuid4()}",
            task_queue=shop.runtime.settings.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        )
        update = client.execute_update_with_start_workflow(
            "kill", {"by": "olga", "reason": "stop"}, start_workflow_operation=operation
        )
        with pytest.raises(WorkflowUpdateFailedError) as caught:
            await asyncio.wait_for(update, 10)
        assert isinstance(caught.value.cause, ApplicationError)
        assert caught.value.cause.type == "InvalidInput"
        assert (await shop.failure(await operation.workflow_handle())).type == "InvalidInput"


async def test_a_run_that_was_not_admitted_is_closed_to_those_who_ask(workshop: Opener) -> None:
    async with workshop(ANSWER) as shop:
        handle = await begin(shop, {"goal": "go", "agent": "nobody"})
        await shop.failure(handle)
        assert await shop.state(handle) == "closed"


async def test_a_misfit_answers_queries_and_takes_no_more_messages(workshop: Opener) -> None:
    async with workshop(ANSWER) as shop:
        handle = await begin(shop, {"goal": None})
        await shop.failure(handle)
        assert await shop.state(handle) == "closed"
        assert await shop.transcript(handle) == []
        assert await shop.audit(handle) == []
        for message in (handle.signal, handle.execute_update):
            with pytest.raises(RPCError) as caught:
                await asyncio.wait_for(message("kill", {"by": "olga", "reason": "stop"}), 10)
            assert caught.value.status is RPCStatusCode.NOT_FOUND
