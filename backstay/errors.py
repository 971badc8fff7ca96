"""Holds every exception that Backstay raises on purpose.

    BackstayError
    ├── ConfigurationError        a setting, an agent folder or a rule cannot be used
    ├── UnreachableError          no Temporal server answers
    ├── InvalidInputError         a start cannot be admitted
    ├── RunError                  something about one run
    │   ├── RunNotFoundError      no run has that id
    │   ├── RunExistsError        a run with that id has closed, so it cannot be started again
    │   ├── RunClosedError        the run has closed and takes no more messages
    │   ├── NoResultError         the run closed without a result
    │   ├── NoWorkerError         no worker answered for the run in time
    │   └── RefusedError          the run refused a message
    ├── ModelError                a request to the model brought no usable reply
    ├── HistoryError              a history lacks something that it must hold
    │   └── HistoryGoneError      the engine keeps no history of that run
    ├── EffectUnreachedError      a shared effect could not be asked for its result
    ├── CodecError                a payload cannot be decrypted with the keys at hand
    ├── ToolError                 a tool refuses a call
    │   └── SecretError           a tool may not read a secret, or the worker lacks it
    └── OutcomeUnknownError       a tool cannot tell whether its effect happened

`code` is stable; at a Temporal boundary it is the type of the ApplicationError.
"""

from collections.abc import Sequence
from typing import ClassVar

from backstay.contracts.problems import Problem, summary


class BackstayError(Exception):
    """Groups all errors of Backstay: catch it, and raise one of its subclasses."""

    code: ClassVar[str] = "BackstayError"


class ConfigurationError(BackstayError):
    """Raised for something a person wrote or set: settings, agent folders, rules, arguments of a command.

    Raise it before anything runs. For the input of a run raise `InvalidInputError`, for a server that is down
    `UnreachableError`.

    Args:
        what: what is wrong, without values that may be secret.
        where: the file, line or variable.
        mend: what to do about it.
    """

    code = "ConfigurationError"

    def __init__(self, what: str, *, where: str | None = None, mend: str | None = None) -> None:
        self.what, self.where, self.mend = what, where, mend
        place = f"{where}: " if where else ""
        super().__init__(f"{place}{what}" + (f"; {mend}" if mend else ""))


class UnreachableError(BackstayError):
    """Raised when no Temporal server answers at an address.

    When the server answers but no worker does, raise `NoWorkerError`.
    """

    code = "Unreachable"

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__(
            f"no Temporal server answers at `{address}`; start one with `backstay dev`, or set `TEMPORAL_ADDRESS`"
        )


class InvalidInputError(BackstayError):
    """Raised when a start cannot be admitted; the caller has to change the request.

    For a mistake in settings or an agent folder raise `ConfigurationError`, for a message to a run `RefusedError`.

    Args:
        problems: every problem of the input, without its values.
    """

    code = "InvalidInput"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__(f"invalid input: {summary(self.problems)}")


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

    A start with the id of an open run raises nothing: it is the same run. A message to a closed run raises
    `RunClosedError`.
    """

    code = "RunExists"

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id, f"there was a run `{run_id}` already, and it has closed")


class RunClosedError(RunError):
    """Raised when a message comes too late, because the run has closed.

    When the run is open and says no, raise `RefusedError`.
    """

    code = "RunClosed"

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id, f"the run `{run_id}` has closed already")


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


class RefusedError(RunError):
    """Raised when an open run refuses a message; a closed one raises `RunClosedError`.

    Attributes:
        reason: a stable word such as `InvalidMessage`.
    """

    code = "Refused"

    def __init__(self, run_id: str, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(run_id, f"the run `{run_id}` refused: {message}")


class ModelError(BackstayError):
    """Raised when a request to the model brings no usable reply.

    A reply that can be read but proposes nonsense is no error: it is a malformed decision.

    Attributes:
        kind: a stable word: `unreachable`, `rate_limited`, `overloaded`, `refused`, `timeout`, `lost`, `unreadable`.
        retryable: whether the same request may succeed later.
        billed: False only if the provider certainly did not bill; True if it may have.
        retry_after: seconds the provider asked to wait, or None.
    """

    code = "ModelError"

    def __init__(
        self, kind: str, message: str, *, retryable: bool, billed: bool, retry_after: float | None = None
    ) -> None:
        self.kind, self.retryable, self.billed, self.retry_after = kind, retryable, billed, retry_after
        super().__init__(f"{kind}: {message}")


class HistoryError(BackstayError):
    """Raised when the history of a run lacks something that it must hold; reading is tried again.

    When there is no history at all, raise `HistoryGoneError`.
    """

    code = "HistoryError"


class HistoryGoneError(HistoryError):
    """Raised by an activity that reads a history which the engine does not keep: never made, or past its retention.

    A client that looks for a run raises `RunNotFoundError`.
    """

    code = "HistoryGone"


class EffectUnreachedError(BackstayError):
    """Raised when a shared effect cannot be asked for its result; it may happen all the same, and is asked again.

    When the tool itself cannot tell what happened, raise `OutcomeUnknownError`.
    """

    code = "EffectUnreached"


class CodecError(BackstayError):
    """Raised when a payload cannot be decrypted with the keys at hand; the text names the id of the missing key.

    For a key that is itself malformed raise `ConfigurationError`.
    """

    code = "CodecError"


class ToolError(BackstayError):
    """Raised by a tool to refuse a call when nothing was done; the model reads its text.

    When the effect may have happened, raise `OutcomeUnknownError`.
    """

    code = "ToolError"


class SecretError(ToolError):
    """Raised when a tool asks for a secret that it did not declare or that the worker lacks.

    The text names the secret and the mend, never a value. For anything else a tool raises `ToolError`.
    """

    code = "SecretError"


class OutcomeUnknownError(BackstayError):
    """Raised by a tool when its effect may or may not have happened; nobody then repeats the call on a guess.

    When nothing happened for certain, raise `ToolError`.
    """

    code = "OutcomeUnknown"
