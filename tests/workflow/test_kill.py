"""A kill while tools are at work: they are cancelled and waited for, nothing new begins, the result tells it all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import CancelledError, TerminatedError

from backstay.testing import Call, Reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from tests.workflow.conftest import Opener

    Quickly = Callable[[float], AbstractAsyncContextManager[None]]

KILL = {"by": "olga", "reason": "enough"}


def flights(result: object) -> list[tuple[str, str, str]]:
    return [(flight.call_id, flight.tool, flight.outcome) for flight in result.in_flight]  # pyright: ignore


@pytest.mark.parametrize(
    ("call", "line", "outcome"),
    [
        (Call("work", {"text": "a", "seconds": 60}), "begin a", "unknown"),
        (Call("look", {"seconds": 60}), "looking", "cancelled"),
        (Call("block", {"seconds": 15}), "begin block", "unknown"),
    ],
    ids=["a write", "a read", "a thread that blocks"],
)
async def test_a_killed_run_says_what_was_in_flight(
    workshop: Opener, quickly: Quickly, call: Call, line: str, outcome: str
) -> None:
    async with workshop([Reply(calls=[call]), Reply("done")]) as shop:
        handle = await shop.start()
        await shop.effects(line)
        async with quickly(8):
            await handle.execute_update("kill", KILL)
            result = await shop.result(handle)
        assert result.stop_reason == "killed"
        assert flights(result) == [("1-0", call.tool, outcome)]
        assert len(shop.model.requests) == 1
        assert result.spent.tools == {call.tool: 1}


WAITS_TO_BE_REVIEWED = '''
from typing import Annotated
from pydantic import AfterValidator

def reviewed(path: str) -> str:
    """Waits for its gate after the three looks that the verdict takes: just before the call."""
    with Path(path).open("a") as looks:
        looks.write("look\\n")
    end = time.monotonic() + 2.5
    while Path(path).read_text().count("look") > 3 and not Path(path + ".open").exists() and time.monotonic() < end:
        time.sleep(0.01)
    return path

@tool(effect="write")
async def careful(call: ToolCall, path: Annotated[str, AfterValidator(reviewed)]) -> str:
    """Begins once it was reviewed."""
    log(call, "begin careful")
    return "done"
'''


async def test_a_call_that_was_handed_out_but_not_begun_does_not_begin_after_a_kill(
    workshop: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.heartbeat.EVERY_SECONDS", 60.0)  # no beat brings the kill
    looks = tmp_path / "looks"
    script = [Reply(calls=[Call("careful", {"path": str(looks)})]), Reply("done")]
    async with workshop(script, tools=WAITS_TO_BE_REVIEWED) as shop:
        handle = await shop.start()
        await shop.until(lambda: looks.exists() and looks.read_text().count("look") > 3)
        await handle.execute_update("kill", KILL)
        looks.with_name("looks.open").touch()
        assert flights(await shop.result(handle)) == [("1-0", "careful", "cancelled")]
        assert shop.lines() == []


async def test_a_tool_that_does_not_listen_is_waited_for(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("stubborn", {"seconds": 2})]), Reply("done")]) as shop:
        handle = await shop.start()
        await shop.effects("begin stubborn")
        await handle.execute_update("kill", KILL)
        assert await shop.state(handle) == "stopping"
        result = await shop.result(handle)
        assert shop.lines() == ["begin stubborn", "not listening", "end stubborn"]
        assert flights(result) == [("1-0", "stubborn", "completed")]


async def test_no_sibling_starts_after_a_kill(workshop: Opener, quickly: Quickly) -> None:
    calls = [Call("work", {"text": str(n), "seconds": 60}) for n in range(20)]
    async with workshop([Reply(calls=calls), Reply("done")]) as shop:
        handle = await shop.start()
        await shop.until(lambda: len(shop.lines()) >= 16)
        async with quickly(10):
            await handle.execute_update("kill", KILL)
            result = await shop.result(handle)
        begun = {line.removeprefix("begin ") for line in shop.lines()}
        assert len(begun) == 16
        assert flights(result) == [(f"1-{n}", "work", "unknown") for n in range(20) if str(n) in begun]
        assert result.spent.tools == {"work": 16}
        await asyncio.sleep(0.5)
        assert len(shop.lines()) == 16


async def test_a_finished_call_is_not_in_flight(workshop: Opener) -> None:
    calls = [Call("note", {"text": "quick"}), Call("work", {"text": "slow", "seconds": 60})]
    async with workshop([Reply(calls=calls)]) as shop:
        handle = await shop.start()
        await shop.effects("quick", "begin slow")
        await shop.until(lambda: shop.audit(handle, "call_ended"))
        await handle.execute_update("kill", KILL)
        assert flights(await shop.result(handle)) == [("1-1", "work", "unknown")]


async def test_a_cancel_of_the_engine_closes_as_canceled_once_activities_have_ended(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("stubborn", {"seconds": 1.5})]), Reply("done")]) as shop:
        handle = await shop.start()
        await shop.effects("begin stubborn")
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await asyncio.wait_for(handle.result(), 20)
        assert isinstance(caught.value.cause, CancelledError)
        assert shop.lines() == ["begin stubborn", "not listening", "end stubborn"]
        assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
        assert await shop.audit(handle, "cancel_requested") == [{}]
        assert len(shop.model.requests) == 1
        await shop.shown(handle, "BackstayState", "closed")


async def test_a_cancel_while_the_model_thinks_closes_the_request(workshop: Opener, quickly: Quickly) -> None:
    async with workshop([Reply("late", delay=30)]) as shop:
        handle = await shop.start()
        await shop.asked(1)
        async with quickly(8):
            await handle.cancel()
            with pytest.raises(WorkflowFailureError) as caught:
                await asyncio.wait_for(handle.result(), 20)
        assert isinstance(caught.value.cause, CancelledError)
        await shop.until(lambda: shop.model.cancelled == 1)


async def test_a_cancel_of_a_paused_run_closes_it(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("gate")]), Reply("done")]) as shop:
        handle = await shop.resting()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await asyncio.wait_for(handle.result(), 20)
        assert isinstance(caught.value.cause, CancelledError)


async def test_a_cancel_during_the_admission_closes_as_canceled(workshop: Opener) -> None:
    async with workshop([Reply("done")], worker=False) as shop:
        async with shop.runtime.serving(no_remote_activities=True):
            handle = await shop.start()
            await shop.until(lambda: shop.events(handle))
            await handle.cancel()
            with pytest.raises(WorkflowFailureError) as caught:
                await asyncio.wait_for(handle.result(), 20)
        assert isinstance(caught.value.cause, CancelledError)


async def test_a_terminated_run_ends_its_tools(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("work", {"text": "a", "seconds": 2})]), Reply("done")]) as shop:
        handle = await shop.start()
        await shop.effects("begin a")
        await handle.terminate("no more")
        with pytest.raises(WorkflowFailureError) as caught:
            await asyncio.wait_for(handle.result(), 20)
        assert isinstance(caught.value.cause, TerminatedError)
        await asyncio.sleep(2.2)
        assert shop.lines() == ["begin a"]
