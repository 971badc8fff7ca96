"""Explains an error, to people on stderr and to programs as JSON on stdout, and chooses the exit code for it."""

import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from backstay.adapters.payload.keys import KEYS
from backstay.contracts.problems import REQUIRED, Problem
from backstay.errors import (
    BackstayError,
    CodecError,
    ConfigurationError,
    ControlUnansweredError,
    InvalidInputError,
    MissingExtraError,
    NoResultError,
    NoWorkerError,
    OrderRefusedError,
    PausedByEngineError,
    RefusedError,
    RunClosedError,
    RunConflictError,
    RunError,
    RunExistsError,
    RunNotFoundError,
    UnreachableError,
)
from backstay.extras import installed, missing_extra
from backstay.kernel.characters import escaped
from backstay.kernel.control import Refused

from .exit import ExitCode
from .program import as_typed
from .terminal import clean, write_json_line
from .usage import UsageError, in_three, is_help

START_WORKER = "start one with `backstay worker`, or `backstay dev`"
"""The mend where no worker serves a run."""
_OPTIONS = {
    **{field: f"--{field}" for field in ("agent", "tenant", "budget", "metadata", "by", "comment", "reason", "args")},
    "requested_by": "--requested-by",
}
"""The options of commands that fill the fields of an input."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure in words: what went wrong, why, and what to do; `code` is stable. What is not known is None."""

    code: str
    what: str
    why: str | None = None
    do: str | None = None


def report(error: Exception, *, as_json: bool = False) -> ExitCode:
    """Says what is wrong and returns the exit code; only a bug of ours gets a traceback."""
    if isinstance(error, ModuleNotFoundError):
        error = missing_extra(error) or error
    if isinstance(error, BackstayError):
        explain(error, as_json=as_json)
        return code_of_error(error)
    if isinstance(error, UsageError):
        if is_help(error):
            print(error, file=sys.stderr)
        else:
            say_failure(Failure("Usage", *in_three(error)), as_json=as_json)
        return ExitCode.USAGE
    traceback.print_exception(error)
    if as_json:
        do = "report it with the traceback on stderr"
        say_failure(
            Failure("Internal", f"{type(error).__name__}: {error}", "this is a bug of Backstay", do), as_json=True
        )
    return ExitCode.FAILED


def say_failure(failure: Failure, *, as_json: bool) -> None:
    """Says a failure: on stderr one line for each part that is known, or on stdout as one line of JSON."""
    if as_json:
        why, do = failure.why or failure.what, failure.do or "`backstay COMMAND --help` shows what the command takes"
        write_json_line({"error": {"code": failure.code, "what": failure.what, "why": why, "do": as_typed(do)}})
        return
    said = [("backstay", failure.what), ("     why", failure.why), ("      do", as_typed(failure.do or ""))]
    print("\n".join(f"{name}: {_indented(text)}" for name, text in said if text), file=sys.stderr)


def interrupted(*, as_json: bool) -> None:
    """Says to a program that a signal ended the command; a person knows."""
    if as_json:
        do = "start the command again; a run that it followed goes on"
        say_failure(Failure("Interrupted", "the command was interrupted", "a signal ended it", do), as_json=True)


def code_of_error(error: BackstayError) -> ExitCode:
    """Returns the exit code for a command that ended with this error."""
    match error:
        case ConfigurationError() | InvalidInputError() | RunExistsError() | RunConflictError():
            return ExitCode.USAGE
        case RunNotFoundError() | OrderRefusedError(reason=Refused.UNKNOWN):
            return ExitCode.NOT_FOUND
        case UnreachableError():
            return ExitCode.UNREACHABLE
        case _:
            return ExitCode.FAILED


def explain(error: BackstayError, *, as_json: bool = False) -> None:
    """Says what went wrong, why, and what to do: one line each, if known."""
    what, why, do = _in_three(error)
    if isinstance(error, MissingExtraError) and not as_json:
        what, do = str(error), None
    if isinstance(error, RunError):
        # An id may hold a line break, which would read as a line of ours.
        what, why, do = (text and text.replace(error.run_id, escaped(error.run_id)) for text in (what, why, do))
    say_failure(Failure(error.code, what or str(error), why, do), as_json=as_json)


def _in_three(error: BackstayError) -> tuple[str, str | None, str | None]:
    what = str(error)
    match error:
        case ConfigurationError(where=None):
            return error.what, None, error.mend
        case ConfigurationError():
            return f"{error.where} cannot be used", error.what, error.mend
        case InvalidInputError():
            why = "\n".join(map(str, error.problems))
            return "refused: invalid input", why, _mended(error.problems)
        case UnreachableError():
            why = "it is not running, `TEMPORAL_ADDRESS` names another place, or the network is down"
            dev = "start one with `backstay dev`" + ("" if installed("dev") else " (pip install 'backstay[dev]')")
            return f"no Temporal server answers at `{error.address}`", why, f"{dev}, or set it"
        case RunNotFoundError():
            why = "the id is misspelt, the run is on another server, or it closed so long ago that Temporal forgot it"
            return what, why, "check the id, `TEMPORAL_ADDRESS` and `TEMPORAL_NAMESPACE`"
        case RunExistsError():
            why = "an id names one run, so that starting it twice does the work once"
            return what, why, f"`backstay show {error.run_id}` shows that run; another `--id` starts another"
        case RunConflictError():
            why = "an id names one run, and this one may be somebody else's"
            return what, why, f"`backstay show {error.run_id}` shows that run; take another `--id`"
        case RunClosedError():
            return what, "a closed run takes no more messages", f"`backstay result {error.run_id}` shows how it ended"
        case NoResultError():
            why = "something outside the run ended it"
            return what, why, f"`backstay show {error.run_id}` shows how far it came"
        case PausedByEngineError():
            why = "somebody paused it in Temporal; what is sent to it waits there"
            return what, why, f"let it go on: temporal workflow unpause --workflow-id {error.run_id}"
        case NoWorkerError():
            return what, "no worker serves its task queue, or the worker is stuck", START_WORKER
        case RefusedError():
            head = f"the run `{error.run_id}` refused"
            do = error.mend or f"`backstay show {error.run_id}` shows what it waits for"
            return head, what.removeprefix(f"{head}: "), do
        case ControlUnansweredError():
            why = "no worker serves it, or the worker is stuck; the next one may still take the order in"
            return what, why, f"{START_WORKER}, and give the order again; `backstay control status` shows what holds"
        case OrderRefusedError():
            return "the control plane refused", error.message, "`backstay control status` shows what is in force"
        case CodecError():
            return "what the run holds cannot be decrypted", what, f"set `{KEYS}` as your workers have it"
        case _:
            return what, None, None


def _mended(problems: Sequence[Problem]) -> str:
    """Says which options mend an input; a field that is required has an option which was not typed."""
    missing = [one.field for one in problems if one.problem.startswith(REQUIRED) and one.field in _OPTIONS]
    changed = [one.field.partition(".")[0] for one in problems if one.field not in missing]
    options = dict.fromkeys(f"`{_OPTIONS[field]}`" for field in changed if field in _OPTIONS)
    parts = [f"add {' '.join(f'{_OPTIONS[field]} NAME' for field in missing)}"] if missing else []
    if changed:
        parts.append("mend these" + (f" ({', '.join(options)})" if options else ""))
    return f"{' and '.join(parts)}, then try again"


def _indented(text: str) -> str:
    """Puts further lines under the first one."""
    return f"\n{'':10}".join(" ".join(clean(line).split()) for line in text.splitlines())
