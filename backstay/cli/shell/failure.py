"""Explains an error on stderr, and chooses the exit code for it."""

import sys
import traceback

from backstay.adapters.payload.keys import KEYS
from backstay.errors import (
    BackstayError,
    CodecError,
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

from .exit import ExitCode
from .terminal import clean


def report(error: Exception) -> ExitCode:
    """Says on stderr what is wrong and returns the exit code; only a bug of ours gets a traceback."""
    if isinstance(error, BackstayError):
        explain(error)
        return code_of_error(error)
    traceback.print_exception(error)
    return ExitCode.FAILED


def code_of_error(error: BackstayError) -> ExitCode:
    """Returns the exit code for a command that ended with this error."""
    match error:
        case ConfigurationError() | InvalidInputError() | RunExistsError():
            return ExitCode.USAGE
        case RunNotFoundError():
            return ExitCode.NOT_FOUND
        case UnreachableError():
            return ExitCode.UNREACHABLE
        case _:
            return ExitCode.FAILED


def explain(error: BackstayError) -> None:
    """Says on stderr what went wrong, why, and what to do: one line each, if known."""
    what, why, do = _in_three(error)
    said = [("backstay", what), ("     why", why), ("      do", do)]
    print("\n".join(f"{name}: {_indented(text)}" for name, text in said if text), file=sys.stderr)


def _in_three(error: BackstayError) -> tuple[str, str | None, str | None]:
    what = str(error)
    match error:
        case ConfigurationError(where=None):
            return error.what, None, error.mend
        case ConfigurationError():
            return f"{error.where} cannot be used", error.what, error.mend
        case InvalidInputError():
            why = "\n".join(map(str, error.problems))
            return "the run is refused: invalid input", why, "mend these and start it again"
        case UnreachableError():
            why = "it is not running, `TEMPORAL_ADDRESS` names another place, or the network is down"
            return f"no Temporal server answers at `{error.address}`", why, "start one with `backstay dev`, or set it"
        case RunNotFoundError():
            why = "the id is misspelt, the run is on another server, or it closed so long ago that Temporal forgot it"
            return what, why, "check the id, `TEMPORAL_ADDRESS` and `TEMPORAL_NAMESPACE`"
        case RunExistsError():
            why = "an id names one run, so that starting it twice does the work once"
            return what, why, f"`backstay show {error.run_id}` shows that run; another `--id` starts another"
        case RunClosedError():
            return what, "a closed run takes no more messages", f"`backstay result {error.run_id}` shows how it ended"
        case NoResultError():
            why = "something outside the run ended it"
            return what, why, f"`backstay show {error.run_id}` shows how far it came"
        case NoWorkerError():
            return what, "no worker serves its task queue, or the worker is stuck", "start one with `backstay worker`"
        case RefusedError():
            head = f"the run `{error.run_id}` refused"
            return head, what.removeprefix(f"{head}: "), f"`backstay show {error.run_id}` shows what it waits for"
        case CodecError():
            return "what the run holds cannot be decrypted", what, f"set `{KEYS}` as your workers have it"
        case _:
            return what, None, None


def _indented(text: str) -> str:
    """Puts further lines under the first one."""
    return f"\n{'':10}".join(" ".join(clean(line).split()) for line in text.splitlines())
