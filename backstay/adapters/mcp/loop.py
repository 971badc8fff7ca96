"""Runs all that servers do in an event loop of its own, so that none of them holds up the worker's."""

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from backstay.errors import CallLostError

R = TypeVar("R")

_LOCK = threading.Lock()


class ServerLoop:
    """An event loop in a daemon thread; the programs of servers end with it."""

    def __init__(self) -> None:
        # Not the loop of the worker's own kind: only this one starts programs outside of the main thread.
        self._loop = asyncio.SelectorEventLoop()
        threading.Thread(target=self._serve, daemon=True, name="mcp").start()

    def wait(self, make: Callable[[], Coroutine[Any, Any, R]]) -> R:
        """Runs a coroutine to its end, from a thread that may wait."""
        return self._begin(make).result()

    async def run(self, make: Callable[[], Coroutine[Any, Any, R]], grace: float = 0.0) -> R:
        """Runs a coroutine to its end, for the loop of a worker.

        Args:
            make: makes the coroutine.
            grace: the seconds for which it goes on once it is cancelled: an answer that comes then counts.
        """
        begun = self._begin(make)
        ended = asyncio.wrap_future(begun)
        try:
            return await asyncio.shield(ended)
        except asyncio.CancelledError:
            if ended.cancelled():
                raise CallLostError("the connection to the server ended in the call") from None
            try:
                await asyncio.wait({ended}, timeout=grace)
                if ended.done() and not ended.cancelled() and ended.exception() is None:
                    return ended.result()
            finally:
                ended.cancel()
            raise

    def _begin(self, make: Callable[[], Coroutine[Any, Any, R]]) -> "concurrent.futures.Future[R]":
        return asyncio.run_coroutine_threadsafe(make(), self._loop)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()


_loops: list[ServerLoop] = []


def server_loop() -> ServerLoop:
    """Returns the one loop of this process, which begins with the first server."""
    with _LOCK:
        if not _loops:
            _loops.append(ServerLoop())
        return _loops[0]
