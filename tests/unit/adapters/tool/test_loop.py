"""The loop of an agent's async tools: what a tool may do to itself, and must not be able to do to others."""

import asyncio
import contextvars
import logging
import threading
import time
from collections.abc import Iterator

import pytest

from backstay.adapters.tool import watchdog
from backstay.adapters.tool.loop import ToolLoop
from backstay.adapters.tool.watchdog import watching

WORD: contextvars.ContextVar[str] = contextvars.ContextVar("word", default="none")


@pytest.fixture
def loop() -> Iterator[ToolLoop]:
    loop = ToolLoop("clerk")
    yield loop
    loop.close()


def stand_still(seconds: float) -> None:
    """Blocks as careless code does."""
    time.sleep(seconds)


async def forever() -> None:
    await asyncio.Event().wait()


async def test_a_coroutine_runs_in_another_thread_with_the_context_of_its_caller(loop: ToolLoop) -> None:
    async def look() -> tuple[str, bool]:
        WORD.set("theirs")
        return WORD.get(), threading.current_thread() is threading.main_thread()

    async def read() -> str:
        return WORD.get()

    WORD.set("ours")
    assert await loop.run("read", read) == "ours"
    assert await loop.run("look", look) == ("theirs", False)
    assert WORD.get() == "ours"


async def test_calls_of_an_agent_share_a_loop_so_that_what_belongs_to_a_loop_can_be_shared(loop: ToolLoop) -> None:
    gate = asyncio.Event()

    async def wait() -> int:
        await gate.wait()
        return id(asyncio.get_running_loop())

    async def open_it() -> int:
        gate.set()
        return id(asyncio.get_running_loop())

    waiting = asyncio.create_task(loop.run("wait", wait))
    await asyncio.sleep(0.05)
    opened = await loop.run("open", open_it)
    assert opened == await waiting != id(asyncio.get_running_loop())


@pytest.mark.parametrize(
    "error", [ValueError("no"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), StopAsyncIteration()]
)
async def test_what_a_tool_raises_reaches_its_caller_and_the_loop_goes_on(loop: ToolLoop, error: BaseException) -> None:
    async def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        await loop.run("fail", fail)
    assert await loop.run("next", lambda: asyncio.sleep(0, "next")) == "next"


async def test_a_task_that_a_tool_leaves_behind_cannot_end_the_loop(loop: ToolLoop) -> None:
    async def leave() -> None:
        raise SystemExit(3)

    async def begin() -> str:
        task = asyncio.get_running_loop().create_task(leave())
        await asyncio.sleep(0.05)
        return str(task.done())

    assert await asyncio.wait_for(loop.run("begin", begin), 5) == "True"


async def test_a_cancellation_reaches_the_tool_and_its_end_is_waited_for(loop: ToolLoop) -> None:
    ended: list[str] = []

    async def tidy() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.1)
            ended.append("tidied")

    call = asyncio.create_task(loop.run("tidy", tidy))
    await asyncio.sleep(0.05)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert ended == ["tidied"]


async def test_a_tool_that_returns_although_it_was_cancelled_is_taken_at_its_word(loop: ToolLoop) -> None:
    async def deaf() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "finished all the same"
        return "never"

    call = asyncio.create_task(loop.run("deaf", deaf))
    await asyncio.sleep(0.05)
    call.cancel()
    assert await call == "finished all the same"


async def test_a_call_that_is_cancelled_before_it_began_is_cancelled(loop: ToolLoop) -> None:
    call = asyncio.create_task(loop.run("late", forever))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(call, 5)


async def test_a_blocking_tool_holds_up_no_other_agent_and_is_named(
    loop: ToolLoop, caplog: pytest.LogCaptureFixture
) -> None:
    async def inner() -> None:
        stand_still(2.8)

    async def block() -> None:
        await asyncio.get_running_loop().create_task(inner())

    blocked = asyncio.create_task(loop.run("the tool `block`", block))
    began = time.monotonic()
    assert await ToolLoop("other").run("other", lambda: asyncio.sleep(0.1, "done")) == "done"
    assert time.monotonic() - began < 2
    with caplog.at_level(logging.WARNING, "backstay.tools"):
        await blocked
        await asyncio.sleep(0.1)
    [said, _] = [record.getMessage() for record in caplog.records if record.name == "backstay.tools"]
    assert "the loop of the agent `clerk` has stood still" in said
    assert "the tool `block` blocks it at" in said
    assert "test_loop.py" in said
    assert "(`stand_still`)" in said


async def test_a_neighbour_of_the_same_agent_that_is_ready_to_end_does_so_before_its_time_limit_counts(
    loop: ToolLoop,
) -> None:
    async def block() -> None:
        await asyncio.sleep(0.05)
        stand_still(1.5)

    async def neighbour() -> str:
        await asyncio.sleep(0.4)
        await asyncio.sleep(0.05)
        return "done"

    blocked = asyncio.create_task(loop.run("block", block))
    async with asyncio.timeout(0.6):
        assert await loop.run("neighbour", neighbour) == "done"
    await blocked


async def test_a_closed_loop_ends_with_its_last_call_and_another_begins_with_the_next(loop: ToolLoop) -> None:
    async def slow() -> threading.Thread:
        await asyncio.sleep(0.3)
        return threading.current_thread()

    call = asyncio.create_task(loop.run("slow", slow))
    await asyncio.sleep(0.1)
    loop.close()
    thread = await call
    async with asyncio.timeout(5):
        while thread.is_alive():
            await asyncio.sleep(0.02)
    assert await loop.run("next", lambda: asyncio.sleep(0, "next")) == "next"
    loop.close()


async def test_what_blocks_the_workers_own_loop_is_named_by_its_place(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "backstay.tools"), watching("the worker's loop"):
        await asyncio.sleep(0.5)
        stand_still(2.8)
        await asyncio.sleep(0.5)
    said = caplog.records[0].getMessage()
    assert "the worker's loop has stood still" in said
    assert "(`stand_still`)" in said


async def test_a_loop_that_is_held_up_while_a_worker_starts_is_watched_from_when_it_moves(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "STILL_SECONDS", 1.0)
    with caplog.at_level(logging.WARNING, "backstay.tools"):
        async with watchdog.watching_once_it_moves("the worker's loop"):
            for _ in range(2):
                stand_still(1.6)
                await asyncio.sleep(0.3)
            assert caplog.records == []
            while not watchdog._WATCHDOG._loops:  # pyright: ignore[reportPrivateUsage]
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.3)
            stand_still(1.6)
            await asyncio.sleep(0.3)
    assert "the worker's loop has stood still" in caplog.records[0].getMessage()
