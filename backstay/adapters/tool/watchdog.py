"""Names in the log what blocks an event loop, once the loop has stood still for two seconds."""

import asyncio
import contextlib
import logging
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path
from types import FrameType

from backstay.tools import ToolCall

STILL_SECONDS = 2.0
_LOOK_SECONDS = 0.25
_FREE_MOVES = 4
_OF_A_TOOL = "Make the tool a plain `def`, which gets a thread of its own, or await what it waits for"
_OF_A_FACT = "The facts that tools declare for rules run here, and must be quick"
_log = logging.getLogger("backstay.tools")
_LIBRARIES = (str(Path(threading.__file__).parent), "site-packages")


class Watched:
    """A loop that is watched.

    Attributes:
        what: names the loop.
        busy: tells whether the loop has work, without which it is not looked at.
        current: names the call that the loop executes now, where it is known; the worker's own loop executes none.
        mend: what the author of an agent can do about it.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        thread: threading.Thread,
        what: str,
        busy: Callable[[], bool] = lambda: True,
        current: Callable[[], str | None] | None = None,
    ) -> None:
        self.loop, self.thread, self.what, self.busy = loop, thread, what, busy
        self.current = current or (lambda: None)
        self.mend = _OF_A_TOOL if current else _OF_A_FACT
        self._asked_at: float | None = None
        self._told = False

    def look(self, now: float) -> None:
        """Asks the loop for a sign of life, or says what keeps it from giving one."""
        if self._asked_at is None:
            if self.busy():
                self._asked_at, self._told = now, False
                self.loop.call_soon_threadsafe(self._moves)
        elif now - self._asked_at >= STILL_SECONDS and not self._told:
            self._told = True
            self._tell(now - self._asked_at)

    def excuse(self, now: float) -> None:
        """Begins to count anew, because the watchdog itself was held up."""
        self._asked_at = self._asked_at and now

    def _moves(self) -> None:
        still = time.monotonic() - (self._asked_at or time.monotonic())
        if self._told:
            _log.warning("%s moves again after %.1f s", self.what, still)
        self._asked_at = None

    def _tell(self, still: float) -> None:
        frame = sys._current_frames().get(self.thread.ident or 0)  # pyright: ignore[reportPrivateUsage]
        where = _place(frame) if frame is not None else "an unknown place"
        _log.error(
            "%s has stood still for %.0f s: %s blocks it at %s. %s",
            self.what,
            still,
            self.current() or "something",
            where,
            self.mend,
        )


class _Watchdog:
    """The thread that looks after all loops of the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loops: list[Watched] = []
        self._awake = False

    def watch(self, watched: Watched) -> None:
        """Looks after a loop until it is closed."""
        with self._lock:
            self._loops.append(watched)
            if not self._awake:
                self._awake = True
                threading.Thread(target=self._look, daemon=True, name="watchdog").start()

    def unwatch(self, watched: Watched) -> None:
        """Looks after a loop no more."""
        with self._lock, contextlib.suppress(ValueError):
            self._loops.remove(watched)

    def _look(self) -> None:
        looked = time.monotonic()
        while True:
            now, before = time.monotonic(), looked
            looked = now
            with self._lock:
                self._loops = [one for one in self._loops if not one.loop.is_closed()]
                self._awake = bool(self._loops)
                loops = list(self._loops)
            if not loops:
                return
            for watched in loops:
                with contextlib.suppress(RuntimeError):  # closed just now
                    watched.look(now) if now - before < STILL_SECONDS else watched.excuse(now)
            time.sleep(_LOOK_SECONDS)


_WATCHDOG = _Watchdog()
watch = _WATCHDOG.watch
unwatch = _WATCHDOG.unwatch


@contextlib.contextmanager
def watching(what: str) -> Generator[None]:
    """Watches the running loop while the block runs."""
    watched = Watched(asyncio.get_running_loop(), threading.current_thread(), what)
    watch(watched)
    try:
        yield
    finally:
        unwatch(watched)


@contextlib.asynccontextmanager
async def watching_once_it_moves(what: str) -> AsyncGenerator[None]:
    """Watches the running loop while the block runs, from when it moves freely: what starts may load modules first."""

    async def watched() -> None:
        await _moving()
        with watching(what):
            await asyncio.Event().wait()

    watch_task = asyncio.create_task(watched())
    try:
        yield
    finally:
        watch_task.cancel()
        await asyncio.gather(watch_task, return_exceptions=True)


async def _moving() -> None:
    """Waits until the running loop has moved for a while without being held up."""
    loop = asyncio.get_running_loop()
    moves = 0
    while moves < _FREE_MOVES:
        began = loop.time()
        await asyncio.sleep(_LOOK_SECONDS)
        moves = moves + 1 if loop.time() - began < 2 * _LOOK_SECONDS else 0


def name_of(tool: str, call: ToolCall) -> str:
    """Names a call where it blocks a loop."""
    return f"the tool `{tool}` of the agent `{call.agent}` (call {call.call_id} of the run {call.run_id})"


def _place(frame: FrameType) -> str:
    """Returns file, line and function: the innermost that is no library's, else the innermost of all."""
    found: FrameType | None = frame
    while found is not None and any(part in found.f_code.co_filename for part in _LIBRARIES):
        found = found.f_back
    at = found or frame
    return f"{at.f_code.co_filename}:{at.f_lineno} (`{at.f_code.co_name}`)"
