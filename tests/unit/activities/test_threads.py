"""Reviews work in threads of their own agent; one that is late is left behind."""

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable

import pytest

from activities.threads import AT_ONCE, MOST_LATE, ReviewThreads


class Work:
    """Work of a review that goes on until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun = 0
        self.ended = 0

    def __call__(self) -> None:
        self.begun += 1
        self.go.wait(20)
        self.ended += 1

    def at(self) -> str | None:
        return None if self.ended else "query"


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


async def test_work_in_time_is_waited_for() -> None:
    threads, work = ReviewThreads(), Work()
    work.go.set()
    await threads.work("clerk", work, 5, work.at)
    assert work.ended == 1


async def test_reviews_of_one_agent_wait_for_a_place_and_those_of_another_do_not() -> None:
    threads, long, short = ReviewThreads(), Work(), Work()
    short.go.set()
    held = [asyncio.create_task(threads.work("clerk", long, 10, long.at)) for _ in range(AT_ONCE + 2)]
    await until(lambda: long.begun == AT_ONCE)
    await asyncio.wait_for(threads.work("stranger", short, 5, short.at), 5)
    assert (long.begun, short.ended) == (AT_ONCE, 1)
    long.go.set()
    await asyncio.gather(*held)
    assert long.ended == AT_ONCE + 2


async def test_the_time_of_a_review_begins_with_its_thread() -> None:
    threads, long, short = ReviewThreads(), Work(), Work()
    short.go.set()
    late = [asyncio.create_task(threads.work("clerk", long, 0.3, long.at)) for _ in range(AT_ONCE)]
    await until(lambda: long.begun == AT_ONCE)
    await threads.work("clerk", short, 0.2, short.at)  # waited for longer than it may work
    assert short.ended == 1
    assert not threads.is_stuck("clerk", "mail")
    long.go.set()
    await asyncio.gather(*late)


async def test_a_tool_with_late_reviews_is_stuck_until_they_end_and_no_other_tool_is() -> None:
    threads, never = ReviewThreads(), Work()
    begun = time.monotonic()
    await asyncio.gather(*(threads.work("clerk", never, 0.1, never.at) for _ in range(MOST_LATE)))
    assert time.monotonic() - begun < 5
    assert threads.is_stuck("clerk", "query")
    assert not threads.is_stuck("clerk", "mail")
    assert not threads.is_stuck("stranger", "query")
    never.go.set()
    await until(lambda: not threads.is_stuck("clerk", "query"))


async def test_work_that_fails_tells_its_caller_and_gives_its_place_back() -> None:
    threads = ReviewThreads()

    def failing() -> None:
        raise LookupError("canary")

    for _ in range(AT_ONCE + 1):
        with pytest.raises(LookupError, match="canary"):
            await asyncio.wait_for(threads.work("clerk", failing, 5, lambda: None), 5)


async def test_a_thread_sees_the_context_of_whoever_asked() -> None:
    run: contextvars.ContextVar[str] = contextvars.ContextVar("run")
    run.set("run-1")
    seen: list[str] = []
    await ReviewThreads().work("clerk", lambda: seen.append(run.get()), 5, lambda: None)
    assert seen == ["run-1"]
