"""Runs a command in an event loop: signals end it in order, and nothing that hangs can hold it up."""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Coroutine
from enum import StrEnum
from typing import Any

from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

from backstay.telemetry.setup import flush

from .exit import leave

_LAST_SECONDS = 2.0
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Log(StrEnum):
    """Chooses the log: quiet has only errors of Temporal's client; text and json have warnings too."""

    QUIET = "quiet"
    TEXT = "text"
    JSON = "json"


def run_loop(work: Coroutine[Any, Any, int], stop: asyncio.Event | None = None, *, log: Log = Log.QUIET) -> int:
    """Runs a command to its end and returns its exit code.

    A second signal ends the process on the spot.

    Args:
        work: the command.
        stop: is set by the first signal; without it, the first signal cancels the work.
        log: what is logged, and how.
    """
    _log_to_stderr(log)
    loop = _new_loop()
    task = loop.create_task(work)
    heard: list[int] = []

    def hear(number: int) -> None:
        if heard:
            leave(128 + number)
        heard.append(number)
        stop.set() if stop else task.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, hear, number)
    try:
        return loop.run_until_complete(task)
    except asyncio.CancelledError:
        if not heard:
            raise
        return 128 + heard[0]
    finally:
        _end(loop)


def _new_loop() -> asyncio.AbstractEventLoop:
    """Returns the fast loop that comes with `backstay[worker]`, else Python's own, which is enough to start runs."""
    try:
        import uvloop
    except ModuleNotFoundError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _end(loop: asyncio.AbstractEventLoop) -> None:
    """Closes the loop; unlike `asyncio.run`, waits neither for tasks that refuse to end nor for threads."""
    rest = asyncio.all_tasks(loop)
    for task in rest:
        task.cancel()
    if rest:
        loop.run_until_complete(asyncio.wait(rest, timeout=_LAST_SECONDS))
    with contextlib.suppress(TimeoutError):
        loop.run_until_complete(asyncio.wait_for(loop.shutdown_asyncgens(), _LAST_SECONDS))
    loop.close()
    flush()


def _log_to_stderr(log: Log) -> None:
    """Logs to stderr, the log of Temporal's core included: by default it goes to stdout, which is for data."""
    if log is Log.JSON:
        from backstay.telemetry.logs import log_as_json  # loads OpenTelemetry, which is a part of `backstay[worker]`

        log_as_json()
    else:
        logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format=_FORMAT)
    logger = logging.getLogger("temporalio")
    logger.setLevel(logging.ERROR if log is Log.QUIET else logging.WARNING)
    levels = TelemetryFilter(core_level="WARN", other_level="ERROR")
    forwarded = LoggingConfig(levels, forwarding=LogForwardingConfig(logger))
    Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=forwarded)), error_if_already_set=False)
