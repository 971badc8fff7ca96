"""What a command says of an error, and the exit code that goes with it."""

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
    """Says on stderr what went wrong, why, and what to do: a line each, as far as they are known."""
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
            return "the run is refused: invalid input", why, "start it with these mended"
        case UnreachableError():
            why = "it is not running, `TEMPORAL_ADDRESS` means another place, or the network is cut"
            return f"no Temporal server answers at `{error.address}`", why, "start one with `backstay dev`, or set it"
        case RunNotFoundError():
            why = "the id is misspelt, the server is another one, or the run closed so long ago that it is forgotten"
            return what, why, "check the id, `TEMPORAL_ADDRESS` and `TEMPORAL_NAMESPACE`"
        case RunExistsError():
            why = "an id stands for one run, so that starting it twice does its work once"
            return what, why, f"`backstay show {error.run_id}` shows that run; another `--id` starts another"
        case RunClosedError():
            return what, "a closed run takes no more messages", f"`backstay result {error.run_id}` shows how it ended"
        case NoResultError():
            why = "it was not its own stop conditions that ended it"
            return what, why, f"`backstay show {error.run_id}` shows how far it came"
        case NoWorkerError():
            return what, "no worker serves its task queue, or it is busy or stuck", "start one with `backstay worker`"
        case RefusedError():
            head = f"the run `{error.run_id}` refused"
            return head, what.removeprefix(f"{head}: "), f"`backstay show {error.run_id}` shows what it waits for"
        case CodecError():
            return "what the run holds cannot be decrypted", what, f"set `{KEYS}` as your workers have it"
        case _:
            return what, None, None


def _indented(text: str) -> str:
    """Several lines under the first, each a line of its own."""
    return f"\n{'':10}".join(" ".join(clean(line).split()) for line in text.splitlines())
