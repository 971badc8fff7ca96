"""Everything Backstay raises on purpose.

    BackstayError
    ├── ConfigurationError     settings, agent folders or policies that cannot be used; found before anything runs
    ├── UnreachableError       no Temporal server answers
    ├── InvalidInputError      a start that cannot be admitted; lists every problem
    ├── ModelError             a model call without a usable reply
    ├── HistoryError           the engine's history does not hold what it must; tried again
    └── ToolError              a tool's own refusal, in words that the model may read

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
        super().__init__(f"no Temporal server answers at `{address}`; start one with `backstay dev`, or set `TEMPORAL_ADDRESS`")


class InvalidInputError(BackstayError):
    """A run that cannot be admitted; `problems` lists all of it, values of the input excepted."""

    code = "InvalidInput"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__(f"invalid input: {summary(self.problems)}")


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


class ToolError(BackstayError):
    """Raise this in a tool for an expected refusal; its text is what the model reads."""

    code = "ToolError"
