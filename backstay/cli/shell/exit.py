"""How a command ends: its exit code, and a way out that cannot hang. Loads nothing, for every command loads it."""

import logging
import os
import sys
from enum import IntEnum
from typing import NoReturn


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
