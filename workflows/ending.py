"""What it means for a call that the activity which executed it ended without a result."""

from typing import Literal

from temporalio.exceptions import ActivityError, ApplicationError, CancelledError, TimeoutError

from backstay.contracts import names
from backstay.contracts.admission import Effect

Status = Literal["failed", "cancelled", "unknown"]

_UNSEEN = (names.TOOL_TIMEOUT, names.EFFECT_UNREACHED)


def unfinished(effect: Effect, error: ActivityError, *, shared: bool = False) -> tuple[Status, str]:
    """How the call ended, and in words: for a tool with an effect, that nobody knows.

    `shared`: the activity only claimed the effect, which another one performs, and may go on performing.
    """
    cause = error.cause
    timed_out = isinstance(cause, TimeoutError) or (isinstance(cause, ApplicationError) and cause.type in _UNSEEN)
    if isinstance(cause, CancelledError):
        return "unknown" if effect == "write" or shared else "cancelled", "cancelled: the run was stopped"
    if timed_out and effect != "read":
        return "unknown", "the outcome is unknown: the call timed out, and its effect may have happened"
    if timed_out:
        return "failed", "failed: the call timed out"
    return "failed", f"failed: {cause.message if isinstance(cause, ApplicationError) else 'the worker was lost'}"
