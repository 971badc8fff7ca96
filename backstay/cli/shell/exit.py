"""Ends a command with its exit code, in a way that cannot hang. Loads nothing, because every command loads it."""

import logging
import os
import sys
from enum import IntEnum
from typing import NoReturn


class ExitCode(IntEnum):
    """Lists the exit codes that scripts rely on; a signal gives 128 plus its number."""

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
    """Returns the exit code for a run that ended with this status."""
    return _OF_STATUS.get(status, ExitCode.FAILED)


def leave(code: int) -> NoReturn:
    """Writes all output and ends the process at once.

    Not by `sys.exit`: the interpreter would wait for threads of tools that may never end, and threads of Temporal's
    client sometimes abort a process that is being torn down.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # the reader has gone
            code = code or ExitCode.FAILED
    os._exit(code)
