"""Everything Backstay raises on purpose.

    BackstayError
    ├── ConfigurationError     settings, agent folders or policies that cannot be used; found before anything runs
    ├── UnreachableError       no Temporal server answers
    ├── InvalidInputError      a start that cannot be admitted; lists every problem
    ├── RunNotFoundError       there is no run of that id
    ├── RunExistsError         a run of that id has closed already, so that it cannot be started
    ├── RunClosedError         the run has closed: it takes no more messages
    ├── NoResultError          the run closed without a result: cancelled, terminated, timed out
    ├── NoWorkerError          no worker answered for a run in time
    ├── RefusedError           the run refused a message, and says why
    ├── ModelError             a model call without a usable reply
    ├── HistoryError           the engine's history does not hold what it must; tried again
    │   └── HistoryGoneError   the engine keeps no history of that run
    ├── EffectUnreachedError   an effect that identical calls share could not be asked; tried again
    ├── CodecError             a payload that cannot be decrypted with the keys that are here
    ├── ToolError              a tool's own refusal, in words that the model may read
    │   └── SecretError        a tool asked for a secret that it has not declared, or that the worker lacks
    └── OutcomeUnknownError    a tool cannot tell whether its effect happened

`code` is stable; it is the type of the ApplicationError at a Temporal boundary.
"""

from collections.abc import Sequence
from typing import ClassVar

from backstay.contracts.problems import Problem, summary


class BackstayError(Exception):
    """The root of the tree."""

    code: ClassVar[str] = "BackstayError"


class ConfigurationError(BackstayError):
    """Something a person wrote cannot be used.

    The text names the place, what is wrong and the mend, in one line each where all are known.
    """

    code = "ConfigurationError"

    def __init__(self, what: str, *, where: str | None = None, mend: str | None = None) -> None:
        self.what, self.where, self.mend = what, where, mend
        place = f"{where}: " if where else ""
        super().__init__(f"{place}{what}" + (f"; {mend}" if mend else ""))


class UnreachableError(BackstayError):
    """No Temporal server answers at an address."""

    code = "Unreachable"

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__(
            f"no Temporal server answers at `{address}`; start one with `backstay dev`, or set `TEMPORAL_ADDRESS`"
        )


class InvalidInputError(BackstayError):
    """A run that cannot be admitted; `problems` lists all of it, values of the input excepted."""

    code = "InvalidInput"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__(f"invalid input: {summary(self.problems)}")


class RunError(BackstayError):
    """The root of what concerns one run; `run_id` names it."""

    def __init__(self, run_id: str, message: str) -> None:
        self.run_id = run_id
        super().__init__(message)


class RunNotFoundError(RunError):
    """The namespace holds no run of that id: it never did, or its retention is over."""

    code = "RunNotFound"

    def __init__(self, run_id: str, namespace: str) -> None:
        self.namespace = namespace
        super().__init__(run_id, f"there is no run `{run_id}` in the namespace `{namespace}`")


class RunExistsError(RunError):
    """A run of that id has closed already; its result can be read, and another id starts another run."""

    code = "RunExists"

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id, f"there was a run `{run_id}` already, and it has closed")


class RunClosedError(RunError):
    """The run has closed, and a closed run takes no messages."""

    code = "RunClosed"

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id, f"the run `{run_id}` has closed already")


class NoResultError(RunError):
    """The run closed without a result.

    Attributes:
        how: `canceled`, `terminated`, `timed_out`, or `failed` where the run broke in itself.
    """

    code = "NoResult"

    def __init__(self, run_id: str, how: str, detail: str | None = None) -> None:
        self.how, self.detail = how, detail
        super().__init__(run_id, f"the run `{run_id}` has no result: {how}" + (f", {detail}" if detail else ""))


class NoWorkerError(RunError):
    """No worker answered for a run in time. An order may still reach the run later; ask for its status."""

    code = "NoWorker"

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id, f"no worker answered for the run `{run_id}` in time")


class RefusedError(RunError):
    """The run refused a message; `reason` is a stable word such as `InvalidMessage`."""

    code = "Refused"

    def __init__(self, run_id: str, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(run_id, f"the run `{run_id}` refused: {message}")


class ModelError(BackstayError):
    """A model call that brought no usable reply.

    Attributes:
        kind: a stable word: `unreachable`, `rate_limited`, `overloaded`, `refused`, `timeout`, `lost`, `unreadable`.
        retryable: whether the same request may succeed later.
        billed: False only where it is certain that the provider did not bill; True where it may have.
        retry_after: seconds the provider asked to wait, or None.
    """

    code = "ModelError"

    def __init__(
        self, kind: str, message: str, *, retryable: bool, billed: bool, retry_after: float | None = None
    ) -> None:
        self.kind, self.retryable, self.billed, self.retry_after = kind, retryable, billed, retry_after
        super().__init__(f"{kind}: {message}")


class HistoryError(BackstayError):
    """The history read back for a run lacks something that was promised to be in it."""

    code = "HistoryError"


class HistoryGoneError(HistoryError):
    """The engine keeps no history of that run: there never was one, or its retention is over."""

    code = "HistoryGone"


class EffectUnreachedError(BackstayError):
    """An effect that identical calls share could not be asked for its result; it may be performed all the same."""

    code = "EffectUnreached"


class CodecError(BackstayError):
    """A payload that cannot be decrypted with the keys that are here; the text names the key's id."""

    code = "CodecError"


class ToolError(BackstayError):
    """Raise this in a tool for an expected refusal; its text is what the model reads."""

    code = "ToolError"


class SecretError(ToolError):
    """A secret that a tool cannot read; the text names the secret and the mend, and never holds a value."""

    code = "SecretError"


class OutcomeUnknownError(BackstayError):
    """Raise this in a tool where its effect may or may not have happened: nothing is then done again on a guess."""

    code = "OutcomeUnknown"
