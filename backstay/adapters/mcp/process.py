"""Starts the program of an MCP server with little of ours around it, and ends it with all its children."""

import asyncio
import contextlib
import functools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path

from backstay.errors import UnreachedError

CHUNK = 256 * 1024
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LEAVES_SECONDS = 1.0
_ENDS_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Running:
    """A running program; its three pipes are open."""

    process: asyncio.subprocess.Process
    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader


@contextlib.asynccontextmanager
async def running(name: str, command: tuple[str, ...], env: Mapping[str, str]) -> AsyncGenerator[Running]:
    """Runs a program until the context ends, in a session and two empty folders of its own.

    It inherits the search path and nothing else, so that no secret of the worker reaches it; its clock is UTC, so that
    it describes its tools alike on every worker.

    Args:
        name: of the server, for errors.
        command: the program and its arguments.
        env: its variables beside those that every program gets.

    Raises:
        UnreachedError: it cannot be started.
    """
    with tempfile.TemporaryDirectory(prefix="backstay-mcp-", ignore_cleanup_errors=True) as place:
        home, work = _folder(place, "home"), _folder(place, "work")
        given = {**_base(home), **env}
        if shutil.which(command[0], path=given["PATH"]) is None:
            raise UnreachedError(f"the program of `{name}` is not there: `{command[0]}`")
        process = await _started(name, command, given, work)
        assert process.stdin
        assert process.stdout
        assert process.stderr
        try:
            yield Running(process, process.stdin, process.stdout, process.stderr)
        finally:
            await _ended(process, process.stdin)


async def _started(
    name: str, command: tuple[str, ...], env: Mapping[str, str], work: Path
) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    try:
        return await asyncio.create_subprocess_exec(
            *_dies_with_us(),
            *command,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=env,
            cwd=work,
            limit=CHUNK,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise UnreachedError(f"the program of `{name}` cannot be started: {type(error).__name__}") from None


def _folder(place: str, name: str) -> Path:
    made = Path(place, name)
    made.mkdir()
    return made


def _base(home: Path) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH") or _PATH, "HOME": str(home), "LANG": "C.UTF-8", "TZ": "UTC"}


@functools.cache
def _dies_with_us() -> tuple[str, ...]:
    """Returns what has the kernel kill a program when this process dies; nothing where the machine lacks it."""
    wrap = ("setpriv", "--pdeathsig", "KILL", "--")
    try:
        tried = subprocess.run([*wrap, "true"], capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return ()
    return wrap if tried.returncode == 0 else ()


async def _ended(process: asyncio.subprocess.Process, stdin: asyncio.StreamWriter) -> None:
    """Ends a program: by the end of its input, then by a request, then by force, which its children get too."""
    with contextlib.suppress(OSError, RuntimeError):
        stdin.close()
    if not await _left(process, _LEAVES_SECONDS):
        _tell(process, signal.SIGTERM)
        await _left(process, _ENDS_SECONDS)
    # Also where it has left by itself: a shell may have left its children behind.
    _tell(process, signal.SIGKILL)
    await _left(process, _ENDS_SECONDS)


async def _left(process: asyncio.subprocess.Process, limit: float) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), limit)
    return process.returncode is not None


def _tell(process: asyncio.subprocess.Process, what: signal.Signals) -> None:
    """Sends a signal to all processes of the session that the program began."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, what)
