"""Heartbeats: how a cancellation reaches an activity, and how a lost attempt proves that it was not billed."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

from temporalio import activity

EVERY_SECONDS = 0.5


class Pulse:
    """The heartbeats of an attempt; `tell` changes what the next attempt will know of this one."""

    def __init__(self, details: tuple[Any, ...]) -> None:
        # What an earlier attempt told stays with the engine until this one says something, so that an activity that
        # ends at once need not beat at all: two of them in each step would be a good part of what a step costs.
        self._details = details

    def tell(self, *details: Any) -> None:
        """Sends these details, now and with every beat from now on."""
        self._details = details
        self.beat()

    def beat(self) -> None:
        """Sends one beat."""
        activity.heartbeat(*self._details)


@contextlib.asynccontextmanager
async def beating(*details: Any) -> AsyncGenerator[Pulse]:
    """Beats from the first line to the last, bookkeeping included; `details` stay with the attempt."""
    pulse = Pulse(details)
    beat = asyncio.create_task(_beat(pulse))
    try:
        yield pulse
    finally:
        beat.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beat


async def _beat(pulse: Pulse) -> None:
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        pulse.beat()


def cancelled_by_the_run() -> bool:
    """Whether the run itself asked for the end: not a worker that shuts down, nor a time limit of the engine."""
    details = activity.cancellation_details()
    return details is not None and details.cancel_requested


def cancelled_at_all() -> bool:
    """Whether anybody asked for the end; a tool may raise a cancellation of its own."""
    return activity.cancellation_details() is not None


def engine_knows_it_no_more() -> bool:
    """Whether the engine knows the attempt no more: its run has closed, or another attempt has taken its place."""
    details = activity.cancellation_details()
    return details is not None and details.not_found
