"""Holds the errors that a client raises about one run."""

from collections.abc import Mapping
from typing import Any

from .base import BackstayError


class RunError(BackstayError):
    """Groups the errors about one run: catch it, and raise one of its subclasses.

    Attributes:
        run_id: the run's id.
    """

    code = "RunError"

    def __init__(self, run_id: str, message: str) -> None:
        self.run_id = run_id
        super().__init__(message)


class RunNotFoundError(RunError):
    """Raised when the namespace has no run with that id: it never had one, or its retention is over.

    When the run is there but has closed, raise `RunClosedError`.
    """

    code = "RunNotFound"

    def __init__(self, run_id: str, namespace: str) -> None:
        self.namespace = namespace
        super().__init__(run_id, f"there is no run `{run_id}` in the namespace `{namespace}`")


class RunExistsError(RunError):
    """Raised when a start names the id of a run that has closed.

    A start with the id and input of an open run raises nothing: it is the same run. Where the input differs raise
    `RunConflictError`. A message to a closed run raises `RunClosedError`.
    """

    code = "RunExists"

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id, f"there was a run `{run_id}` already, and it has closed")


class RunConflictError(RunError):
    """Raised when a start names the id of a run that was started with another input, open or closed.

    Somebody else may have started it: its result answers another request. For the same input raise `RunExistsError`
    where the run has closed, and nothing where it is open.
    """

    code = "RunConflict"

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id, f"the id `{run_id}` belongs to a run that was started with another input")


class RunClosedError(RunError):
    """Raised when a message comes too late, because the run has closed.

    When the run is open and says no, raise `RefusedError`.

    Args:
        run_id: the run's id.
        how: how it closed, where that is known.
    """

    code = "RunClosed"

    def __init__(self, run_id: str, how: str | None = None) -> None:
        super().__init__(run_id, f"the run `{run_id}` has closed already" + (f": {how}" if how else ""))


class NoResultError(RunError):
    """Raised when somebody asks for the result of a run that closed without one.

    A run that failed or was stopped by governance has a result: return it, and raise nothing.

    Attributes:
        how: `canceled`, `terminated`, `timed_out`, or `failed` for a run that broke.
        detail: what the engine says about it, if anything.
    """

    code = "NoResult"

    def __init__(self, run_id: str, how: str, detail: str | None = None) -> None:
        self.how, self.detail = how, detail
        super().__init__(run_id, f"the run `{run_id}` has no result: {how}" + (f", {detail}" if detail else ""))


class NoWorkerError(RunError):
    """Raised when the server answers but no worker does in time.

    The message may still reach the run later, so ask for its status. When the server is silent too, raise
    `UnreachableError`.
    """

    code = "NoWorker"

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id, f"no worker answered for the run `{run_id}` in time")


class PausedByEngineError(NoWorkerError):
    """Raised when Temporal itself has paused the run, so that no worker gets its tasks; a signal still waits for it.

    A run that a message of ours paused answers as usual. Where the engine lets it run, raise `NoWorkerError`.

    Attributes:
        state: the engine's word, such as `paused_by_engine`.
    """

    code = "PausedByEngine"

    def __init__(self, run_id: str, state: str) -> None:
        self.state = state
        RunError.__init__(
            self, run_id, f"the engine holds the run `{run_id}` back (`{state}`): no worker gets its tasks"
        )


class RefusedError(RunError):
    """Raised when an open run refuses a message; a closed one raises `RunClosedError`.

    Attributes:
        reason: a stable word such as `InvalidMessage`.
        mend: what to do about it, where that is known.
    """

    code = "Refused"

    def __init__(self, run_id: str, reason: str, message: str, mend: str | None = None) -> None:
        self.reason, self.mend = reason, mend
        super().__init__(run_id, f"the run `{run_id}` refused: {message}")


class CrowdedError(RefusedError):
    """Raised when an open run takes no more updates, because it had too many; a signal still reaches it.

    When the run refuses what the message says, raise `RefusedError`.

    Attributes:
        name: the message's name.
        message: its payload, for `BackstayClient.post`.
    """

    code = "Crowded"

    def __init__(self, run_id: str, name: str, message: Mapping[str, Any]) -> None:
        self.name = name
        self.message = message
        super().__init__(run_id, "TooManyUpdates", "it takes no more updates; a signal of the same name reaches it")
