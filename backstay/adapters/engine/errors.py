"""Translates Temporal's errors into our own."""

import contextlib
from collections.abc import Generator

from pydantic import TypeAdapter, ValidationError
from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import (
    ApplicationError,
    CancelledError,
    TerminatedError,
    TimeoutError,
    WorkflowAlreadyStartedError,
)
from temporalio.service import RPCError, RPCStatusCode

from backstay.contracts.names import INVALID_INPUT, TOO_MANY_UPDATES
from backstay.contracts.problems import Problem
from backstay.contracts.run import RunResult
from backstay.errors import (
    BackstayError,
    ConfigurationError,
    InvalidInputError,
    NoResultError,
    NoWorkerError,
    RefusedError,
    RunClosedError,
    RunExistsError,
    RunNotFoundError,
    UnreachableError,
)

# All of these mean that no worker answered. The server holds few open queries and reports RESOURCE_EXHAUSTED beyond
# them; a run that no worker has taken up yet reports FAILED_PRECONDITION.
_NO_WORKER = (
    RPCStatusCode.CANCELLED,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.FAILED_PRECONDITION,
)
_CROWDED = ("total number of distinct updates", "concurrent in-flight updates")
_ENDED_BY_ENGINE = ("history size exceeds limit", "history count exceeds limit")
_FORBIDDEN = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED)
_PROBLEMS = TypeAdapter(list[Problem])


@contextlib.contextmanager
def in_our_words(client: Client, run_id: str) -> Generator[None]:
    """Turns Temporal's errors about a run into our own; unforeseen ones pass unchanged.

    Raises:
        BackstayError: Temporal raised an error with a counterpart here.
    """
    try:
        yield
    except RPCError as error:
        raise rpc_error(client, run_id, error) from error
    except WorkflowAlreadyStartedError as error:
        raise RunExistsError(run_id) from error
    except WorkflowUpdateRPCTimeoutOrCancelledError as error:
        raise NoWorkerError(run_id) from error
    except WorkflowUpdateFailedError as error:
        cause = error.cause
        reason = (cause.type or "") if isinstance(cause, ApplicationError) else type(cause).__name__
        raise RefusedError(run_id, reason, str(getattr(cause, "message", cause))) from error
    except WorkflowQueryFailedError as error:
        raise RefusedError(run_id, "QueryFailed", error.message) from error


def takes_no_update(error: RPCError | WorkflowUpdateFailedError) -> bool:
    """Tells whether a run refused an update, or Temporal did, only because the run had too many."""
    if isinstance(error, RPCError):
        return any(words in error.message for words in _CROWDED)
    return isinstance(error.cause, ApplicationError) and error.cause.type == TOO_MANY_UPDATES


def rpc_error(client: Client, run_id: str, error: RPCError) -> BackstayError | RPCError:
    """Returns our own error for a failed remote call, or the same error where we have none."""
    text = error.message
    if error.status is RPCStatusCode.NOT_FOUND:
        if text.startswith("Namespace "):
            return ConfigurationError(f"there is no namespace `{client.namespace}`", mend="see `TEMPORAL_NAMESPACE`")
        return RunClosedError(run_id) if "already completed" in text else RunNotFoundError(run_id, client.namespace)
    if any(words in text for words in _ENDED_BY_ENGINE):
        return RunClosedError(run_id)
    if "limit for signal" in text:
        return RefusedError(run_id, "TooManySignals", "it takes no more signals")
    if error.status in _NO_WORKER:
        return NoWorkerError(run_id)
    if error.status is RPCStatusCode.UNAVAILABLE:
        return UnreachableError(client.service_client.config.target_host)
    if error.status in _FORBIDDEN:
        return ConfigurationError(f"Temporal refuses this: {text}", mend="see `TEMPORAL_API_KEY` and `TEMPORAL_TLS`")
    if error.status is RPCStatusCode.INVALID_ARGUMENT:
        return InvalidInputError([Problem(field="run_id", problem=text[:200])])
    return error


def result_of_failure(run_id: str, error: WorkflowFailureError) -> RunResult:
    """Reads the result that a failed run carries in its error.

    Raises:
        InvalidInputError: the run was not admitted.
        NoResultError: the error carries no result.
    """
    cause = error.cause
    if isinstance(cause, ApplicationError):
        detail = cause.details[0] if cause.details else None
        try:
            if cause.type == INVALID_INPUT:
                raise InvalidInputError(_PROBLEMS.validate_python(detail)) from error
            return RunResult.model_validate(detail)
        except ValidationError:
            raise NoResultError(run_id, "failed", cause.message) from error
    raise _without_result(run_id, cause) from error


def _without_result(run_id: str, cause: BaseException) -> NoResultError:
    match cause:
        case CancelledError():
            return NoResultError(run_id, "canceled")
        case TerminatedError():
            return NoResultError(run_id, "terminated", cause.message or None)
        case TimeoutError():
            return NoResultError(run_id, "timed_out")
        case _:
            return NoResultError(run_id, "failed", str(cause) or None)
