"""Sends heartbeats: they bring cancellations to an activity, and leave word for its next attempt."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

from temporalio import activity

EVERY_SECONDS = 0.25


class Pulse:
    """The heartbeats of one attempt; `tell` sets what the next attempt will know."""

    def __init__(self, details: tuple[Any, ...]) -> None:
        # The engine keeps the details of an earlier attempt until this one sends some, so that a short activity need
        # not beat at all: two beats in each step would be a good part of the cost of a step.
        self._details = details

    def tell(self, *details: Any) -> None:
        """Sends these details now, and with every later beat."""
        self._details = details
        self.beat()

    def beat(self) -> None:
        """Sends one beat."""
        activity.heartbeat(*self._details)


@contextlib.asynccontextmanager
async def beating(*details: Any) -> AsyncGenerator[Pulse]:
    """Beats while the block runs, with these details until the pulse is told others."""
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
    """Tells whether the run itself cancelled the activity, and neither a worker's shutdown nor a time limit."""
    details = activity.cancellation_details()
    return details is not None and details.cancel_requested


def cancelled_at_all() -> bool:
    """Tells whether anybody cancelled the activity; a tool may raise a cancellation of its own."""
    return activity.cancellation_details() is not None


def engine_knows_it_no_more() -> bool:
    """Tells whether the engine dropped the attempt: its run has closed, or another attempt replaced it."""
    details = activity.cancellation_details()
    return details is not None and details.not_found
