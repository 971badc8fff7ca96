"""Answers over HTTP whether this worker lives, and whether it is ready for work.

Anybody who reaches the port may ask: the answers name no run, no tool and no person. They come from the loop in which
the worker works, so that one which stands still answers nobody.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from aiohttp import web

from backstay.errors import ConfigurationError

LIVE, READY = "/livez", "/readyz"
EVERY_SECONDS = 2.0
"""The time between two lines of the log while a worker lets calls finish."""
_CLOSING_SECONDS = 1.0
_LOG = logging.getLogger("backstay.worker")


class Polling(Protocol):
    """The part of a Temporal worker that tells whether it asks for work."""

    @property
    def is_running(self) -> bool:
        """True from its start until it has stopped."""
        ...


@dataclass(frozen=True, slots=True)
class Readiness:
    """The answer of `/readyz`: why the worker is not ready, and how many calls of tools it is executing."""

    ready: bool
    reasons: list[str]
    calls_running: int


class Health:
    """Knows how a worker is."""

    def __init__(self, trouble: Callable[[], str | None], running: Callable[[], Sequence[str]]) -> None:
        """Takes what says why everything but reads waits, None where it does not, and what names the calls that run."""
        self._trouble = trouble
        self._running = running
        self._workers: Sequence[Polling] = ()
        self._draining = asyncio.Event()

    def readiness(self) -> Readiness:
        """Tells whether the worker takes work and may act on it."""
        calls = len(self._running())
        if self._draining.is_set():
            return Readiness(False, [f"it was told to stop: {still_running(calls)}"], calls)
        reasons: list[str] = []
        if not self._workers or not all(worker.is_running for worker in self._workers):
            reasons.append("it does not ask for work")
        if trouble := self._trouble():
            reasons.append(trouble)
        return Readiness(not reasons, reasons, calls)

    @contextlib.asynccontextmanager
    async def working(self, workers: Sequence[Polling]) -> AsyncGenerator[None]:
        """Is ready while the block runs; once it ends, the worker drains."""
        self._workers = workers
        try:
            yield
        finally:
            self._draining.set()

    @contextlib.asynccontextmanager
    async def logged(self) -> AsyncGenerator[None]:
        """Writes to the log, from the end of `working` to that of the block, how many calls are still running."""
        telling = asyncio.create_task(self._tell())
        try:
            yield
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    async def _tell(self) -> None:
        await self._draining.wait()
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            _LOG.warning("stopping: %s", still_running(len(self._running())))


def still_running(calls: int) -> str:
    """Says how many calls of tools are still running."""
    if not calls:
        return "no call of a tool is still running"
    return "1 call is still running" if calls == 1 else f"{calls} calls are still running"


@contextlib.asynccontextmanager
async def answering(address: str | None, health: Health) -> AsyncGenerator[None]:
    """Answers while the block runs; without an address nothing listens.

    Args:
        address: `host:port`, as the setting `health` has it.
        health: what is asked.

    Raises:
        ConfigurationError: it cannot listen there.
    """
    if address is None:
        yield
        return
    host, _, port = address.rpartition(":")
    runner = web.AppRunner(_app(health), access_log=None, shutdown_timeout=_CLOSING_SECONDS)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host.strip("[]"), int(port)).start()
        except OSError as error:
            what = f"cannot listen on {address}: {(error.strerror or str(error)).lower()}"
            raise ConfigurationError(what, where="`BACKSTAY_HEALTH`", mend="choose another port") from None
        yield
    finally:
        await runner.cleanup()


def _app(health: Health) -> web.Application:
    async def live(_: web.Request) -> web.Response:
        return _answer(200, {"live": True})

    async def ready(_: web.Request) -> web.Response:
        found = health.readiness()
        return _answer(200 if found.ready else 503, asdict(found))

    app = web.Application()
    app.add_routes([web.get(LIVE, live), web.get(READY, ready)])
    return app


def _answer(status: int, body: dict[str, object]) -> web.Response:
    return web.json_response(body, status=status, headers={"Cache-Control": "no-store"})
