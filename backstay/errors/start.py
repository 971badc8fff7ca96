"""Holds the errors that keep a command, a worker or a run from starting."""

from collections.abc import Sequence

from backstay.contracts.problems import Problem, summary

from .base import BackstayError


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


class MissingExtraError(ConfigurationError, ImportError):
    """Raised when a part of Backstay is used that is not installed; Python's own error of imports is its base, too.

    For a file or a setting that cannot be used raise `ConfigurationError`.

    Args:
        extra: the part, as in `backstay[worker]`.
        module: the module that is missing.
    """

    code = "MissingExtra"

    def __init__(self, extra: str, module: str) -> None:
        self.extra = extra
        super().__init__(f"this needs `{module}`, which is not installed", mend=f"pip install 'backstay[{extra}]'")
        self.name = module


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
