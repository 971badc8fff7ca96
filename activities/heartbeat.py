"""Heartbeats: how a cancellation reaches an activity, and how a lost attempt proves that it was not billed."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

from temporalio import activity

EVERY_SECONDS = 0.25


@contextlib.asynccontextmanager
async def beating(*details: Any) -> AsyncGenerator[None]:
    """Beats from the first line to the last, bookkeeping included; `details` stay with the attempt."""
    activity.heartbeat(*details)
    beat = asyncio.create_task(_beat(details))
    try:
        yield
    finally:
        beat.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beat


async def _beat(details: tuple[Any, ...]) -> None:
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        activity.heartbeat(*details)


def cancelled_by_the_run() -> bool:
    """Whether the run itself asked for the end: not a worker that shuts down, nor a time limit of the engine."""
    details = activity.cancellation_details()
    return details is not None and details.cancel_requested
