"""What a command says of an error, and the exit code that goes with it."""

import sys
import traceback

from backstay.errors import (
    BackstayError,
    ConfigurationError,
    InvalidInputError,
    NoWorkerError,
    RunExistsError,
    RunNotFoundError,
    UnreachableError,
)

from .exit import ExitCode


def report(error: Exception) -> ExitCode:
    """Says on stderr what is wrong, and returns the exit code; a traceback is for our own bugs."""
    if isinstance(error, BackstayError):
        explain(error)
        return code_of_error(error)
    traceback.print_exception(error)
    return ExitCode.FAILED


def code_of_error(error: BackstayError) -> ExitCode:
    """The code for a command that ended with this error."""
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
    """Says on stderr what is wrong; where that does not show the way on, why it may be and what to do as well."""
    why, do = _advice(error)
    lines = [f"backstay: {' '.join(str(error).split())}"]
    lines += [f"     why: {why}"] * bool(why) + [f"      do: {do}"] * bool(do)
    print("\n".join(lines), file=sys.stderr)


def _advice(error: BackstayError) -> tuple[str | None, str | None]:
    match error:
        case RunNotFoundError():
            why = "the id is misspelt, the server is another one, or the run closed so long ago that it is forgotten"
            return why, "check the id, `TEMPORAL_ADDRESS` and `TEMPORAL_NAMESPACE`"
        case RunExistsError():
            why = "an id stands for one run, so that starting it twice does its work once"
            return why, f"`backstay show {error.run_id}` shows that run; another `--id` starts another"
        case NoWorkerError():
            return "no worker serves its task queue, or it is busy or stuck", "start one with `backstay worker`"
        case _:
            return None, None
