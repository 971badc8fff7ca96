"""Runs an agent's async tools in an event loop of the agent's own, so that one that blocks stops no other agent.

The worker's own loop sends heartbeats, asks models and answers the engine. A tool that blocks it, as `time.sleep` does,
would let the calls of all other agents be taken for lost.

Objects that belong to a loop, such as an HTTP client, can be shared by all async tools of one agent, and not by two
agents. Code that holds the interpreter's lock, such as one long regular expression, still stops the whole process.
"""

import asyncio
import contextlib
import contextvars
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from .watchdog import Watched, watch

R = TypeVar("R")

_LAGS_SECONDS = 0.5
_GRACE_SECONDS = 0.25
_CALL: contextvars.ContextVar[str | None] = contextvars.ContextVar("call", default=None)


class ToolLoop:
    """The loop of one agent's async tools, in a daemon thread that starts with the first call."""

    def __init__(self, agent: str = "") -> None:
        self._agent = agent
        self._lock = threading.Lock()
        self._thread: _Thread | None = None

    async def run(self, call: str, start: Callable[[], Coroutine[Any, Any, R]]) -> R:
        """Runs a coroutine in the agent's loop, with the context variables of the caller, and returns its result.

        A cancellation reaches the coroutine, and its end is waited for.

        Args:
            call: names the call where it blocks the loop.
            start: makes the coroutine.
        """
        with self._lock:
            if self._thread is None:
                self._thread = _Thread(self._agent)
                weakref.finalize(self, self._thread.end)
            thread = self._thread
            thread.enter()
        work = _Work(thread, start)
        context = contextvars.copy_context()
        context.run(_CALL.set, call)
        thread.loop.call_soon_threadsafe(work.begin, context)
        while not work.ended.done():
            try:
                await asyncio.wait({work.ended})
            except asyncio.CancelledError:
                thread.loop.call_soon_threadsafe(work.cancel, time.monotonic())
        return work.ended.result()

    def close(self) -> None:
        """Ends the thread once no call runs any more; a later call starts another."""
        with self._lock:
            if self._thread is not None:
                self._thread.end()
            self._thread = None


class _Thread:
    """A loop and its thread; `end` and the end of the last call together stop it."""

    def __init__(self, agent: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_task_factory(self._task)
        self._calls: weakref.WeakKeyDictionary[asyncio.Task[Any], str | None] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()
        self._running = 0
        self._ending = False
        thread = threading.Thread(target=self._serve, daemon=True, name=f"tools-{agent}")
        thread.start()
        self._watched = Watched(self.loop, thread, f"the loop of the agent `{agent}`", self._busy, self._current)
        watch(self._watched)

    def enter(self) -> None:
        """Counts a call that begins."""
        with self._lock:
            self._running += 1

    def leave(self) -> None:
        """Counts a call that has ended."""
        with self._lock:
            self._running -= 1
            self._stop_if_over()

    def end(self) -> None:
        """Stops the loop as soon as no call runs."""
        with self._lock:
            self._ending = True
            self._stop_if_over()

    def _stop_if_over(self) -> None:
        if self._ending and not self._running:
            with contextlib.suppress(RuntimeError):  # it has stopped already
                self.loop.call_soon_threadsafe(self.loop.stop)

    def _busy(self) -> bool:
        return self._running > 0

    def _current(self) -> str | None:
        """Names the call that the loop executes right now, in any task that the call began."""
        task = asyncio.current_task(self.loop)
        return self._calls.get(task) if task is not None else None

    def _task(self, loop: asyncio.AbstractEventLoop, work: Any, **given: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **given)
        context: contextvars.Context | None = given.get("context")
        self._calls[task] = context.get(_CALL) if context is not None else _CALL.get()
        return task

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        # A tool's own task may raise SystemExit or KeyboardInterrupt, which end `run_forever` for everybody.
        while True:
            with contextlib.suppress(BaseException):
                self.loop.run_forever()
                break
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        with contextlib.suppress(BaseException):
            self.loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self.loop.close()


class _Work:
    """One coroutine in another loop; `ended` belongs to the loop that waits for it."""

    def __init__(self, thread: _Thread, start: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._here = asyncio.get_running_loop()
        self.ended: asyncio.Future[Any] = self._here.create_future()
        self._thread = thread
        self._start = start
        self._task: asyncio.Task[tuple[Any, BaseException | None]] | None = None

    def begin(self, context: contextvars.Context) -> None:
        self._task = self._thread.loop.create_task(self._outcome(), context=context)
        self._task.add_done_callback(self._tell)

    def cancel(self, asked_at: float) -> None:
        """Cancels the coroutine; after a standstill of the loop, what is ready to end may do so first."""
        if self._task is None:
            return
        late = time.monotonic() - asked_at > _LAGS_SECONDS
        self._thread.loop.call_later(_GRACE_SECONDS if late else 0, self._task.cancel)

    async def _outcome(self) -> tuple[Any, BaseException | None]:
        try:
            return await self._start(), None
        except BaseException as error:  # an error that ends a process must not end the loop
            return None, error

    def _tell(self, task: asyncio.Task[tuple[Any, BaseException | None]]) -> None:
        result, error = (None, asyncio.CancelledError()) if task.cancelled() else task.result()
        self._thread.leave()
        with contextlib.suppress(RuntimeError):  # who waited may have gone, and closed its loop
            self._here.call_soon_threadsafe(self._settle, result, error)

    def _settle(self, result: Any, error: BaseException | None) -> None:
        if error is None:
            self.ended.set_result(result)
        else:
            self.ended.set_exception(error)
