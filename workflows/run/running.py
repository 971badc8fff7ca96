"""The activities of a run that are under way: an interruption cancels them, and they are waited for."""

import asyncio
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import Priority
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError
from temporalio.workflow import ActivityConfig

from backstay.contracts import names
from backstay.contracts.problems import Contract

from .record import Record

R = TypeVar("R", bound=Contract)


class Running:
    """Runs activities, and cancels them as soon as the run is interrupted."""

    def __init__(self, record: Record, priority: Priority = Priority.default) -> None:
        self._record = record
        self._priority = priority
        self._handles: dict[str, workflow.ActivityHandle[Any]] = {}

    @property
    def idle(self) -> bool:
        """True where no activity is under way."""
        return not self._handles

    def heed(self) -> None:
        """Cancels what is under way, where the run was interrupted."""
        if self._handles and self._record.interrupted:
            for handle in self._handles.values():
                handle.cancel()

    async def execute(self, name: str, given: Contract, result: type[R], how: ActivityConfig) -> R:
        """Runs an activity to its end; `how` names its `activity_id`.

        Raises:
            ActivityError: the activity failed, or was cancelled.
        """
        activity_id = how.get("activity_id") or name
        fairly: ActivityConfig = {**how, "priority": self._priority}
        handle = workflow.start_activity(name, given, result_type=result, **fairly)
        self._handles[activity_id] = handle
        self._record.quiet.left()
        try:
            # Anything may have happened to the run when this returns: a kill, an answer, the end of a sibling.
            answer: object = await handle
            if isinstance(answer, result):
                return answer
            raise unreadable(name, activity_id)
        except asyncio.CancelledError:
            # Cancelled in the very task that scheduled it: the engine is never told of it.
            raise activity_error("cancelled before it began", name, activity_id) from CancelledError()
        finally:
            del self._handles[activity_id]
            self._record.quiet.changed()

    async def go_ahead(self) -> bool:
        """Waits while the run is paused or frozen; returns False where it was interrupted."""
        await workflow.wait_condition(lambda: not self._record.state.stands_still or self._record.interrupted)
        return not self._record.interrupted

    async def interrupted_within(self, time: timedelta) -> bool:
        """Waits for a time, or until the run is interrupted; tells whether it was."""
        try:
            await workflow.wait_condition(lambda: self._record.interrupted, timeout=time)
        except TimeoutError:
            return False
        return True


def unreadable(name: str, activity_id: str) -> ActivityError:
    """Returns the error of an activity with a result that is not ours, or cannot be read: its end is unknown."""
    error = activity_error("its result cannot be read", name, activity_id)
    text = "the result cannot be read: somebody else may have written it"
    error.__cause__ = ApplicationError(text, type=names.UNREADABLE, non_retryable=True)
    return error


def activity_error(text: str, name: str, activity_id: str) -> ActivityError:
    """Returns the error that the engine gives activities, for one that it gives none; its cause is to be set."""
    return ActivityError(
        text,
        scheduled_event_id=0,
        started_event_id=0,
        identity="",
        activity_type=name,
        activity_id=activity_id,
        retry_state=None,
    )
