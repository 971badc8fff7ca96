"""Leaves a message as a signal, where the run takes no more updates."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from backstay.client.run import Run
from backstay.contracts.names import EDIT
from backstay.contracts.status import RunStatusView
from backstay.errors import CrowdedError, RefusedError

from .terminal import say

R = TypeVar("R")

_LOOKS = 25
_PAUSE_SECONDS = 0.2


async def posted(run: Run, crowded: CrowdedError, taken: Callable[[RunStatusView], R | None]) -> R:
    """Sends a message that was refused as an update, and looks for some seconds whether the run took it.

    Args:
        run: the run.
        crowded: the refusal, which has the message.
        taken: returns the answer as a status tells it; None where the run has not taken the message.

    Raises:
        CrowdedError: the message is none that a signal may carry.
        RefusedError: the run did not take it.
    """
    if crowded.name == EDIT:
        raise crowded
    await run.client.post(run.run_id, crowded.name, crowded.message)
    say("the run takes no more updates: Temporal keeps this as a signal")
    for _ in range(_LOOKS):
        if (answer := taken(await run.status())) is not None:
            return answer
        await asyncio.sleep(_PAUSE_SECONDS)
    raise RefusedError(run.run_id, "NotTaken", "it has not taken the signal; its audit says why")
