"""Repeats an activity that did nothing, and says so: no worker served it as it was admitted, or a stop held it.

Workers of one task queue may differ while a new version is rolled out. An activity that finds itself on the wrong
worker does nothing; any worker may take the next attempt. One that the control plane holds does nothing either, and
waits for as long as the stop lasts.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError

from backstay.contracts import names
from backstay.kernel.events import ModelLost

from ..elsewhere import ELSEWHERE
from ..outcome import nothing_done, waited_in_vain
from .live import LiveRun

R = TypeVar("R")

# The engine hands a task to the worker that has waited longest, which may be the same one several times.
FIRST_PAUSE = timedelta(seconds=0.1)
GROWTH = 1.25
LONGEST_PAUSE = {
    names.UNSERVED: timedelta(seconds=10),
    names.UNSERVED_TOOL: timedelta(seconds=1),
    # A stop may last for days. Pauses grow with it, so that the run is late by a fifth of it at most.
    names.HELD: timedelta(seconds=60),
    names.UNREACHED: timedelta(seconds=5),
}
HELD_BEFORE = "the time for which a stop held an activity is no time without a worker"
FOR_EVER = timedelta(days=36_500)
HELD_IN_ITS_QUEUE = "what waited in its queue while the run was frozen is asked for again"
TOOL_PATIENCE = timedelta(seconds=15)
"""The wait for a worker with an earlier version of a tool: it is there now, or will not come back."""
SERVER_PATIENCE = timedelta(seconds=30)
"""The wait for the server of a tool: a restart takes that long, and a longer trouble the model had better know of."""

_PATIENCE = {names.UNSERVED_TOOL: TOOL_PATIENCE, names.UNREACHED: SERVER_PATIENCE}


async def served(
    run: LiveRun,
    attempt: Callable[[bool], Awaitable[R]],
    waits: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> R:
    """Repeats an activity until nothing holds it and a worker serves it, for that up to the agent's `give_up_after`.

    Args:
        run: the run, which says meanwhile what it waits for.
        attempt: runs the activity; True makes it take the tools of any worker, so that a tool which differs from the
            admitted one is refused by its verdict.
        waits: says meanwhile how another link can begin the activity in place of this one.

    Raises:
        ActivityError: the activity failed otherwise, the run was interrupted, or no worker came to serve its agent.
    """
    search, pause, any_tool = _Search(run), FIRST_PAUSE, False
    while True:
        frozen = run.clock.frozen_for()
        try:
            ELSEWHERE.set(search.began is not None)
            result = await attempt(any_tool)
            ELSEWHERE.set(False)
            return result
        except ActivityError as error:
            failure = nothing_done(error)
            ELSEWHERE.set(False)
            if failure is None:
                if await _held_in_its_queue(run, error, frozen):
                    continue
                raise
            left = search.left(failure.type)
            if failure.type == names.UNSERVED_TOOL and left <= timedelta(0):
                any_tool = True
                continue
            if left <= timedelta(0):
                raise
            with waits():
                ahead = await _waited(run, failure.message, min(pause, left))
            if not ahead:
                raise
            pause = min(GROWTH * pause, LONGEST_PAUSE[failure.type or names.UNSERVED])


class _Search:
    """Looks for a worker that serves an activity; `began` is when the first attempt did nothing."""

    def __init__(self, run: LiveRun) -> None:
        self.began: datetime | None = None
        self._run = run
        self._unserved: datetime | None = None

    def left(self, kind: str | None) -> timedelta:
        """Returns how long it may go on after an attempt that did nothing, for a reason of some kind."""
        now = workflow.now()
        since = self.began = self.began or now
        # No worker is looked for while a stop holds the activity.
        self._unserved = None if kind == names.HELD else self._unserved or now
        if self._unserved not in (None, since) and self._run.knows(HELD_BEFORE):
            since = self._unserved or since
        return since + _patience(self._run, kind) - now


async def _held_in_its_queue(run: LiveRun, error: ActivityError, frozen: timedelta) -> bool:
    """Waits until the run may ask again, where it was frozen while its activity waited; False where it may not.

    The engine may hold the queue for as long as the stop lasts, and counts that time like any other.
    """
    held = waited_in_vain(error) and run.clock.frozen_for() > frozen
    return held and run.knows(HELD_IN_ITS_QUEUE) and await run.running.go_ahead()


async def _waited(run: LiveRun, trouble: str, time: timedelta) -> bool:
    """Waits for a time, and on while the run is paused; returns False where it was interrupted."""
    run.record.waits_for(trouble)
    # Not in a `finally`: a run that leaves its worker is dropped here, and nothing of it may run any more.
    ahead = not await run.running.interrupted_within(time) and await run.running.go_ahead()
    run.record.waits_no_more(trouble)
    return ahead


def lost(run: LiveRun, error: ActivityError) -> bool:
    """Tells whether an activity failed because nobody serves it, and then ends the run, unless that ends otherwise."""
    failure = nothing_done(error)
    if failure is not None and not run.record.over:
        run.apply(ModelLost(failure.message))
    return failure is not None


def _patience(run: LiveRun, kind: str | None) -> timedelta:
    if kind == names.HELD:
        return FOR_EVER
    give_up = timedelta(seconds=run.admission.model.give_up_after)
    return min(give_up, _PATIENCE.get(kind or "", give_up))
