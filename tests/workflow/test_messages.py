"""What people say to a run: orders are obeyed at once, and nothing that does not fit can harm it."""

from __future__ import annotations

import asyncio
import logging
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowQueryFailedError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from backstay.client.connection import connect
from backstay.contracts.admission import Admission, AdmitInput
from backstay.contracts.names import ADMIT, AGENT_RUN
from backstay.testing import Call, Reply

if TYPE_CHECKING:
    from tests.workflow.conftest import Handle, Opener, Refused, Workshop

KILL = {"by": "olga", "reason": "enough"}
CANARY = "canary-77aa"
WAITS = [Reply("late", delay=30)]
GATE = Reply(calls=[Call("gate")])
DONE = Reply("done")


def as_it_is(text: bytes) -> RawValue:
    """A payload that says it is JSON."""
    return RawValue(Payload(metadata={"encoding": b"json/plain"}, data=text))


MISFITS: dict[str, list[Any]] = {
    "none": [],
    "two": [{"by": "olga"}, {"by": CANARY}],
    "text": [CANARY],
    "null": [None],
    "a number": [7],
    "a list": [[{"by": "olga", "reason": CANARY}]],
    "an unknown field": [{"by": "olga", "reason": "x", "colour": CANARY}],
    "a field too few": [{"reason": CANARY}],
    "a wrong type": [{"by": {"name": CANARY}, "reason": CANARY}],
    "an empty name": [{"by": "", "reason": CANARY}],
    "a huge text": [{"by": "olga", "reason": CANARY * 1_000}],
    "half an object": [as_it_is(b'{"by": "canary-77aa')],
    "half a character": [as_it_is(b'{"by": "olga", "reason": "canary-77aa \\ud800"}')],
}


async def send(handle: Handle, how: str, name: str, *payloads: Any) -> Any:
    """Sends a message by `signal` or by `update`."""
    if how == "signal":
        return await handle.signal(name, args=payloads)
    return await handle.execute_update(name, args=payloads)


async def begun(shop: Workshop) -> Handle:
    """A run whose model is thinking."""
    handle = await shop.start()
    await shop.asked(1)
    return handle


@pytest.mark.parametrize("how", ["signal", "update"])
async def test_a_kill_ends_the_run_and_says_by_whom(workshop: Opener, how: str) -> None:
    async with workshop(WAITS) as shop:
        handle = await begun(shop)
        answer = await send(handle, how, "kill", KILL)
        assert answer == ({"state": "stopping"} if how == "update" else None)
        result = await shop.result(handle)
        assert (result.status, result.stop_reason, result.stop_detail) == ("stopped", "killed", "by olga: enough")
        assert result.answer is None
        assert await shop.audit(handle, "killed") == [KILL]
        assert await shop.state(handle) == "closed"


@pytest.mark.parametrize("how", ["signal", "update"])
async def test_a_paused_run_takes_no_new_step_until_it_is_resumed(workshop: Opener, how: str) -> None:
    script = [Reply(calls=[Call("work", {"text": "a", "seconds": 0})], delay=2), DONE]
    async with workshop(script) as shop:
        handle = await begun(shop)
        answer = await send(handle, how, "pause", {"by": "olga", "reason": "lunch"})
        assert answer == ({"state": "paused"} if how == "update" else None)
        await shop.until(lambda: shop.transcript(handle, "decision"))
        await asyncio.sleep(0.5)
        assert await shop.state(handle) == "paused"
        assert shop.lines() == []
        await send(handle, how, "resume", {"by": "olga"})
        assert (await shop.result(handle)).status == "completed"
        assert shop.lines() == ["begin a", "end a"]
        assert await shop.audit(handle, "paused") == [{"by": "olga", "reason": "lunch"}]
        assert await shop.audit(handle, "resumed") == [{"by": "olga", "reason": None}]


async def test_a_call_that_runs_when_the_run_is_paused_finishes(workshop: Opener) -> None:
    async with workshop([GATE, DONE]) as shop:
        handle = await shop.resting()
        assert [item["status"] for item in await shop.transcript(handle, "result")] == ["completed"]
        await asyncio.sleep(0.5)
        assert len(shop.model.requests) == 1
        assert await shop.state(handle) == "paused"
        await shop.shown(handle, "BackstayState", "paused")
        await handle.execute_update("resume", {"by": "olga"})
        assert (await shop.result(handle)).answer == "done"


async def test_siblings_that_wait_for_a_slot_do_not_start_while_the_run_is_paused(workshop: Opener) -> None:
    calls = [Call("work", {"text": str(n), "seconds": 2}) for n in range(20)]  # none ends before the pause
    async with workshop([Reply(calls=calls), Reply("done")]) as shop:
        handle = await shop.start()
        await shop.until(lambda: len(shop.lines()) >= 16)
        await handle.execute_update("pause", {"by": "olga"})
        await shop.until(lambda: len(shop.lines()) >= 32)
        await asyncio.sleep(0.5)
        assert len(shop.lines()) == 32
        await handle.execute_update("resume", {"by": "olga"})
        assert (await shop.result(handle)).spent.tools == {"work": 20}
        assert len(shop.lines()) == 40


async def test_a_paused_run_can_be_killed(workshop: Opener) -> None:
    async with workshop([GATE, DONE]) as shop:
        handle = await shop.resting()
        assert await handle.execute_update("kill", KILL) == {"state": "stopping"}
        assert (await shop.result(handle)).stop_reason == "killed"


async def test_the_deadline_of_a_paused_run_goes_on(workshop: Opener) -> None:
    async with workshop([GATE, DONE]) as shop:
        handle = await shop.start(budget={"seconds": 3})
        await shop.effects("at the gate")
        await handle.execute_update("pause", {"by": "olga"})
        shop.open()
        assert (await shop.result(handle)).stop_reason == "deadline_exceeded"
        assert len(shop.model.requests) == 1


@pytest.mark.parametrize("name", ["pause", "resume"])
async def test_an_update_that_does_not_fit_is_refused_and_audited_without_its_values(
    workshop: Opener, refusal: Refused, name: str
) -> None:
    async with workshop([GATE, DONE]) as shop:
        handle = await shop.at_the_gate()
        for case, payloads in MISFITS.items():
            error = await refusal(handle.execute_update(name, args=payloads))
            assert error.type == "InvalidMessage", case
            assert CANARY not in f"{error.message}{error.details}", case
        refused = await shop.audit(handle, "message_refused")
        assert refused == [{"message": name, "code": "InvalidMessage", "by": None}] * len(MISFITS)
        shop.open()
        assert (await shop.result(handle)).status == "completed"
        assert CANARY not in str(await shop.audit(handle))


@pytest.mark.parametrize("name", ["pause", "resume"])
async def test_a_signal_that_does_not_fit_changes_nothing_and_is_audited(workshop: Opener, name: str) -> None:
    async with workshop([GATE, DONE]) as shop:
        handle = await shop.at_the_gate()
        for payloads in MISFITS.values():
            await handle.signal(name, args=payloads)
        await shop.until(lambda: everything_was_refused(shop, handle))
        assert await shop.state(handle) == "running"
        shop.open()
        assert (await shop.result(handle)).status == "completed"
        assert CANARY not in str(await shop.audit(handle))


async def everything_was_refused(shop: Workshop, handle: Handle) -> bool:
    return len(await shop.audit(handle, "message_refused")) == len(MISFITS)


async def test_after_a_hundred_refusals_further_ones_leave_no_trace(workshop: Opener, refusal: Refused) -> None:
    async with workshop([GATE, DONE]) as shop:
        handle = await shop.at_the_gate()
        for _ in range(10):
            await asyncio.gather(*(refusal(handle.execute_update("pause", CANARY)) for _ in range(10)))
        before = await traces(shop, handle)
        for _ in range(5):
            await asyncio.gather(*(refusal(handle.execute_update("pause", CANARY)) for _ in range(10)))
        error = await refusal(handle.execute_update("pause", args=[]))
        assert error.type == "InvalidMessage"
        assert await traces(shop, handle) == before
        for _ in range(20):
            await handle.signal("pause", CANARY)
        assert await handle.execute_update("pause", {"by": "olga"}) == {"state": "paused"}
        assert len(await shop.audit(handle, "message_refused")) == 100
        await handle.execute_update("resume", {"by": "olga"})
        shop.open()
        assert (await shop.result(handle)).status == "completed"


async def test_after_a_hundred_refusals_a_kill_of_any_shape_still_kills(workshop: Opener, refusal: Refused) -> None:
    async with workshop([GATE, DONE]) as shop:
        handle = await shop.at_the_gate()
        for _ in range(10):
            await asyncio.gather(*(refusal(handle.execute_update("pause", CANARY)) for _ in range(10)))
        assert await handle.execute_update("kill", CANARY) == {"state": "stopping"}
        assert (await shop.result(handle)).stop_detail == "by unknown: no reason given"


@pytest.mark.parametrize("how", ["signal", "update"])
async def test_a_kill_that_does_not_fit_kills_all_the_same(workshop: Opener, how: str) -> None:
    async with workshop(WAITS) as shop:
        for case, payloads in MISFITS.items():
            handle = await shop.start()
            await send(handle, how, "kill", *payloads)
            assert (await shop.result(handle)).stop_reason == "killed", case


async def traces(shop: Workshop, handle: Handle) -> list[str]:
    """The events of a history, but those of workflow tasks: on a slow machine the engine writes down more of them."""
    return [name for name in await shop.event_names(handle) if not name.startswith("WORKFLOW_TASK")]


async def test_a_signal_nobody_knows_is_refused_and_says_what_to_send_instead(
    workshop: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "temporalio")  # a command that ran before in this process may keep it quiet
    async with workshop([GATE, DONE]) as shop:
        handle = await shop.at_the_gate()
        for name, payload in (("applaud", {"by": "olga"}), ("__applaud", CANARY), ("edit", {"by": "olga"})):
            await handle.signal(name, payload)
        await handle.signal("pause", CANARY)

        async def all_refused() -> bool:
            return len((await handle.query("status"))["refused"]) == 4

        await shop.until(all_refused)
        shop.open()
        assert (await shop.result(handle)).status == "completed"
        assert "WORKFLOW_TASK_FAILED" not in await shop.event_names(handle)
        refused = (await handle.query("status"))["refused"]
    told = [(one["message"], one["code"], one["instead"][:24]) for one in refused]
    assert told == [
        ("unknown", "UnknownMessage", "send one of `approve`, `"),
        ("unknown", "UnknownMessage", "send one of `approve`, `"),
        ("edit", "UnknownMessage", "send `edit` as an update"),
        ("pause", "InvalidMessage", 'send `pause` with {"by":'),
    ]
    assert CANARY not in str(refused)
    assert "refused `pause`: InvalidMessage; send `pause` with" in caplog.text
    assert CANARY not in caplog.text


async def test_the_status_names_who_did_what(workshop: Opener) -> None:
    async with workshop([GATE, DONE]) as shop:
        handle = await shop.at_the_gate()
        await handle.execute_update("pause", {"by": "ann", "reason": "lunch"})
        await handle.signal("kill")
        assert (await shop.result(handle)).stop_reason == "killed"
        people = (await handle.query("status"))["people"]
    assert [(one["by"], one["did"], one["comment"]) for one in people] == [
        ("ann", "paused", "lunch"),
        ("unknown", "killed", "no reason given"),
    ]


async def test_an_update_nobody_knows_is_rejected(workshop: Opener, refusal: Refused) -> None:
    async with workshop([GATE, DONE]) as shop:
        handle = await shop.at_the_gate()
        await refusal(handle.execute_update("applaud", {"by": "olga"}))
        shop.open()
        assert (await shop.result(handle)).status == "completed"


async def test_a_query_that_does_not_fit_is_refused_and_harms_nothing(workshop: Opener) -> None:
    async with workshop([Reply("done")]) as shop:
        handle = await shop.start()
        await shop.result(handle)
        for page in ({"after": -1}, {"limit": 0}, {"after": "x"}, {"colour": 1}, CANARY, 7, [1]):
            for query in ("transcript", "audit"):
                with pytest.raises(WorkflowQueryFailedError) as caught:
                    await handle.query(query, page)
                assert CANARY not in str(caught.value)
        everything = await shop.audit(handle)
        assert (await handle.query("audit", {"after": 2, "limit": 1}))["items"][0]["facts"] == everything[2]
        assert (await handle.query("transcript", {"after": 99}))["items"] == []


async def test_a_kill_that_comes_before_the_first_line_stops_the_run_before_its_first_decision(
    workshop: Opener,
) -> None:
    async with workshop(WAITS) as shop:
        handle = await shop.runtime.client.start_workflow(
            AGENT_RUN,
            shop.request(),
            id=f"killed-{uuid.uuid4()}",
            task_queue=shop.runtime.settings.task_queue,
            start_signal="kill",
            start_signal_args=[KILL],
        )
        result = await shop.result(handle)
        assert (result.stop_reason, result.steps, result.in_flight) == ("killed", 0, [])
        assert shop.model.requests == []


async def test_a_kill_during_the_admission_stops_the_run(workshop: Opener) -> None:
    async with workshop(WAITS, worker=False) as shop:
        async with shop.runtime.serving(no_remote_activities=True):
            handle = await shop.start()
            await shop.until(lambda: admission_is_asked_for(shop, handle))
            await handle.execute_update("kill", KILL)
        async with shop.runtime.serving():
            result = await shop.result(handle)
        assert (result.status, result.stop_reason, result.steps) == ("stopped", "killed", 0)


async def test_a_kill_waits_for_the_admission_under_way(workshop: Opener) -> None:
    began = asyncio.Event()

    @activity.defn(name=ADMIT)
    async def slow_admission(given: AdmitInput) -> Admission:
        began.set()
        await asyncio.sleep(1)
        raise ApplicationError("too late")

    async with workshop(WAITS, worker=False) as shop:
        runtime = shop.runtime
        other = await connect(
            target_host=runtime.client.service_client.config.target_host, namespace=runtime.client.namespace
        )
        async with (
            runtime.serving(no_remote_activities=True),
            Worker(other, task_queue=runtime.settings.task_queue, activities=[slow_admission]),
        ):
            handle = await shop.start()
            await asyncio.wait_for(began.wait(), 20)
            await handle.execute_update("kill", KILL)
            assert (await shop.result(handle)).stop_reason == "killed"
            assert not (await handle.describe()).raw_description.pending_activities


async def admission_is_asked_for(shop: Workshop, handle: Handle) -> bool:
    return "ACTIVITY_TASK_SCHEDULED" in await shop.event_names(handle)


async def test_only_the_first_kill_counts(workshop: Opener) -> None:
    script = [Reply(calls=[Call("stubborn", {"seconds": 1})])]
    async with workshop(script) as shop:
        handle = await shop.start()
        await shop.effects("begin stubborn")
        await handle.execute_update("kill", KILL)
        assert await handle.execute_update("kill", {"by": "max", "reason": "me too"}) == {"state": "stopping"}
        assert (await shop.result(handle)).stop_detail == "by olga: enough"
