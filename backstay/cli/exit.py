"""How a command ends: its exit code, what it says of an error, and a way out that cannot hang."""

import logging
import os
import sys
from enum import IntEnum
from typing import NoReturn

from backstay.errors import (
    BackstayError,
    ConfigurationError,
    InvalidInputError,
    NoWorkerError,
    RunExistsError,
    RunNotFoundError,
    UnreachableError,
)


class ExitCode(IntEnum):
    """The codes that scripts rely on; a signal adds its number to 128."""

    COMPLETED = 0
    FAILED = 1
    USAGE = 2
    STOPPED = 3
    NOT_FOUND = 4
    UNREACHABLE = 5
    TIMED_OUT = 124
    INTERRUPTED = 130


_OF_STATUS = {"completed": ExitCode.COMPLETED, "stopped": ExitCode.STOPPED}


def code_of_status(status: str) -> ExitCode:
    """The code for a run that ended with this status."""
    return _OF_STATUS.get(status, ExitCode.FAILED)


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


def leave(code: int) -> NoReturn:
    """Ends the process at once, with everything written.

    Not by `sys.exit`: the interpreter would wait for tools' threads that may never end, and the engine's own threads
    abort a process now and then while it is torn down.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # whoever read it has gone
            code = code or ExitCode.FAILED
    os._exit(code)
