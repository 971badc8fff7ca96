"""Reads the outcome of a call from an activity that ended without a result."""

from datetime import timedelta
from typing import Literal

from temporalio.exceptions import ActivityError, ApplicationError, CancelledError, TimeoutError, TimeoutType

from backstay.contracts import names
from backstay.contracts.admission import Effect

from .options import HEARTBEAT, MARGIN

Status = Literal["failed", "cancelled", "unknown"]

_NOTHING_DONE = (names.UNSERVED, names.UNSERVED_TOOL, names.HELD, names.UNREACHED)
_TOLD = (names.TOOL_LOST, names.UNREACHED)
"""Those of which the engine's last word says more than that nobody saw the end."""
_UNSEEN = (names.TOOL_TIMEOUT, names.TOOL_LOST, names.EFFECT_UNREACHED, names.UNREADABLE, *_NOTHING_DONE)
HELD_AFTER_ATTEMPTS = "the outcome is unknown: the call was held by a stop, and an attempt had begun before"
_UNKNOWN = "the outcome is unknown: "
_RESET = "the outcome is unknown: the run was reset after the call had begun, and its effect may have happened"


def unfinished(effect: Effect, error: ActivityError, *, shared: bool = False) -> tuple[Status, str]:
    """Returns how a call ended, and says so to the model; with an effect, the outcome is often unknown.

    `shared`: the activity only claimed the effect, which another one performs, and may go on performing.
    """
    cause = error.cause
    if _was_reset(error):
        return "unknown", _RESET
    timed_out = isinstance(cause, TimeoutError) or (isinstance(cause, ApplicationError) and cause.type in _UNSEEN)
    if isinstance(cause, ApplicationError) and cause.type in _TOLD:
        return ("failed", f"failed: {cause.message}") if effect == "read" else ("unknown", f"{_UNKNOWN}{cause.message}")
    if isinstance(cause, CancelledError):
        return "unknown" if effect == "write" or shared else "cancelled", "cancelled: the run was stopped"
    if timed_out and effect != "read":
        return "unknown", "the outcome is unknown: the call timed out, and its effect may have happened"
    if timed_out:
        return "failed", "failed: the call timed out"
    return "failed", f"failed: {cause.message if isinstance(cause, ApplicationError) else 'the worker was lost'}"


def nothing_done(error: ActivityError) -> ApplicationError | None:
    """Returns the failure of an activity that did nothing: no worker served it, or a stop held it; else None."""
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.non_retryable and cause.type in _NOTHING_DONE:
        return cause
    return None


def attempts_begun(error: ActivityError) -> int:
    """Returns how many attempts an activity had begun before a stop held the next one."""
    failure = nothing_done(error)
    told: object = failure.details[0] if failure is not None and failure.details else None
    return told if isinstance(told, int) and told > 0 else 0


def waited_in_vain(error: ActivityError) -> bool:
    """Tells whether the engine gave an activity up because no worker took it in time: not even an attempt began."""
    cause = error.cause
    if not isinstance(cause, TimeoutError) or cause.last_heartbeat_details or cause.cause is not None:
        return False
    return cause.type in (TimeoutType.SCHEDULE_TO_START, TimeoutType.SCHEDULE_TO_CLOSE)


def may_go_on(error: ActivityError, timeout: float) -> timedelta:
    """Returns how long a lost worker may still be executing the call.

    A worker that is not heard of any more may be cut off and alive, and so may one from which a reset took the call.
    The first began at least one heartbeat ago; both let go of the call once the tool's time limit is over.
    """
    if _was_reset(error):
        return timedelta(seconds=timeout) + MARGIN
    cut_off = isinstance(error.cause, TimeoutError) and error.cause.type is TimeoutType.HEARTBEAT
    return timedelta(seconds=timeout) + MARGIN - HEARTBEAT if cut_off else timedelta(0)


def _was_reset(error: ActivityError) -> bool:
    return isinstance(error.cause, ApplicationError) and error.cause.type == names.BEGUN_BEFORE_RESET
