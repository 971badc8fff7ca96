"""Sends a message once more where it met a link of a run's chain just as that closed: the next link takes it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from backstay.adapters.engine.executions import described

T = TypeVar("T")

PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4)
"""The seconds before each further try."""
_CLOSED = ("aborted by closing workflow", "already completed")


async def delivered(client: Client, run_id: str, send: Callable[[], Awaitable[T]]) -> T:
    """Sends a message to a run, again where the engine took nothing of it because one link has just closed.

    Raises:
        RPCError: the engine does not take it, or the run has closed for good.
    """
    for pause in PAUSES:
        try:
            return await send()
        except RPCError as error:
            if not _has_moved(error) or not (await described(client, run_id)).open:
                raise
        await asyncio.sleep(pause)
    return await send()


def _has_moved(error: RPCError) -> bool:
    return error.status is RPCStatusCode.NOT_FOUND and any(words in error.message for words in _CLOSED)
