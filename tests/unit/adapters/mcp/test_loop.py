"""What servers do runs in a loop of its own, and a cancellation goes through."""

import asyncio
import threading

import pytest

from backstay.adapters.mcp.loop import ServerLoop, server_loop
from backstay.errors import CallLostError


@pytest.fixture(scope="module")
def loop() -> ServerLoop:
    return server_loop()


async def test_there_is_one_loop_and_it_is_not_the_caller_s(loop: ServerLoop) -> None:
    async def thread() -> str:
        return threading.current_thread().name

    assert server_loop() is loop
    assert await loop.run(thread) == "mcp" != threading.current_thread().name
    assert loop.wait(thread) == "mcp"


async def test_an_error_comes_back(loop: ServerLoop) -> None:
    async def fail() -> None:
        raise LookupError("here")

    with pytest.raises(LookupError, match="here"):
        await loop.run(fail)


async def test_a_cancellation_reaches_what_runs_there(loop: ServerLoop) -> None:
    ended = threading.Event()
    begun = threading.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    task = asyncio.create_task(loop.run(work))
    await asyncio.to_thread(begun.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(ended.wait, 5)


async def test_an_end_within_the_grace_counts_and_a_failure_does_not(loop: ServerLoop) -> None:
    async def work(fails: bool) -> str:
        await asyncio.sleep(0.2)
        if fails:
            raise LookupError
        return "done"

    good = asyncio.create_task(loop.run(lambda: work(False), grace=10))
    bad = asyncio.create_task(loop.run(lambda: work(True), grace=10))
    await asyncio.sleep(0.05)
    good.cancel()
    bad.cancel()
    assert await good == "done"
    with pytest.raises(asyncio.CancelledError):
        await bad


async def test_a_cancellation_by_nobody_is_no_cancellation(loop: ServerLoop) -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(CallLostError):
        await loop.run(work)
