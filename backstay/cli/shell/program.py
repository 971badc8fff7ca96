"""Names this program as the person typed it, so that a command which is shown can be typed as it stands."""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

NAME = "backstay"
_COMMAND = re.compile(rf"(?<![^\s`(]){NAME} (?=[a-z-])")
_UV_RUN = "UV_RUN_RECURSION_DEPTH"
"""The variable that `uv run` sets for what it starts."""


def program() -> str:
    """Returns what this person types before a command."""
    return spelled(sys.orig_argv, sys.argv[0], os.environ)


def spelled(line: Sequence[str], argv0: str, environment: Mapping[str, str]) -> str:
    """Returns how a program was called: `backstay`, `.venv/bin/backstay`, `python -m backstay`, or so under `uv run`.

    Args:
        line: the whole command line of the process, the interpreter first.
        argv0: the program, as Python gives it.
        environment: the variables of the process.
    """
    called = Path(argv0)
    if called.name == "__main__.py" and called.parent.name == NAME and "-m" in line:
        typed = shlex.join(line[: line.index("-m") + 2])
    elif called.name != NAME:
        return NAME  # a test or an application, where nobody typed a command
    else:
        typed = NAME if _is_found(called, environment) else shlex.quote(argv0)
    return f"uv run {typed}" if _UV_RUN in environment else typed


def as_typed(text: str) -> str:
    """Writes the commands in a text as this person types them."""
    typed = program()
    return text if typed == NAME else _COMMAND.sub(lambda _: f"{typed} ", text)


def _is_found(called: Path, environment: Mapping[str, str]) -> bool:
    """Tells whether a shell finds the program by its name; a path that is relative was typed."""
    found = shutil.which(NAME, path=environment.get("PATH", ""))
    return called.is_absolute() and found is not None and Path(found) == called
