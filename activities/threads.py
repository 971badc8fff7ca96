"""Runs the reviews of calls in threads, so that none keeps the worker's loop, nor another agent's review, waiting."""

import asyncio
import contextlib
import contextvars
import functools
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from queue import SimpleQueue

AT_ONCE = 4
"""The most reviews of one agent at a time; others wait, and their time does not run yet."""
MOST_LATE = 4
"""The most late reviews of one tool that may still be working before its calls are refused at once."""


class _Thread:
    """A thread that does one work after the other; a process that ends does not wait for it."""

    def __init__(self) -> None:
        self._works = SimpleQueue[Callable[[], None]]()
        threading.Thread(target=self._serve, name="review", daemon=True).start()

    def begin(self, work: Callable[[], None]) -> None:
        """Begins a work, which must not raise."""
        self._works.put(work)

    def _serve(self) -> None:
        while True:
            self._works.get()()


class ReviewThreads:
    """The threads of reviews. None can be ended: one that is late is left behind, and its place is free again."""

    def __init__(self) -> None:
        self._idle: list[_Thread] = []
        self._places = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(AT_ONCE))
        self._late = Counter[tuple[str, str]]()

    def is_stuck(self, agent: str, tool: str) -> bool:
        """Tells whether so many late reviews of a tool still work that another one would be late as well."""
        return self._late[agent, tool] >= MOST_LATE

    async def work(self, agent: str, work: Callable[[], None], seconds: float, at: Callable[[], str | None]) -> None:
        """Lets a thread work for an agent, and returns when it is done or its time is over.

        Args:
            agent: who it works for.
            work: the work.
            seconds: the time that it has, from its beginning.
            at: names the tool that the work is at; None once it is through.

        Raises:
            BaseException: whatever the work raised in its time.
        """
        async with self._places[agent]:
            loop = asyncio.get_running_loop()
            done = asyncio.Event()
            late: list[tuple[str, str]] = []
            failed: list[BaseException] = []

            thread = self._idle.pop() if self._idle else _Thread()

            def ended() -> None:
                done.set()
                self._idle.append(thread)
                self._late.subtract(late)

            def run() -> None:
                try:
                    work()
                except BaseException as error:  # the caller is to see it
                    failed.append(error)
                finally:
                    with contextlib.suppress(RuntimeError):  # the loop may be closed by now
                        loop.call_soon_threadsafe(ended)

            inside = functools.partial(contextvars.copy_context().run, run)
            thread.begin(inside)
            try:
                async with asyncio.timeout(seconds):
                    await done.wait()
            except TimeoutError:
                if (tool := at()) is not None:
                    late.append((agent, tool))
                    self._late.update(late)
            if failed:
                raise failed[0]
