"""The workplace of `backstay dev`: a Temporal server, started or joined, and a worker that serves agents as edited."""

import asyncio
import contextlib
import fcntl
import socket
from collections.abc import AsyncGenerator, Collection, Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from temporalio.client import Client

from backstay.adapters.engine.dev_server import HOST, dev_server, free_port
from backstay.app.agents import keep_agents_current
from backstay.app.application import Application, application
from backstay.app.worker import prepare, ready_line, serve
from backstay.client.connection import connect
from backstay.errors import ConfigurationError, UnreachableError
from backstay.settings import load_settings

from .exit import ExitCode
from .links import find_ui
from .model import SCRIPTED, model_in_use, model_line
from .program import program
from .terminal import say, write

_NO_MODEL = "NO REAL MODEL: replies are made up. Set OPENAI_API_KEY, or OPENAI_BASE_URL, for a real one."
_KNOCK_SECONDS = 0.5
_IDLE_SECONDS = 1.0
_SERVER_SECONDS = 1.0
_UI_ABOVE = 1_000
_DEFAULT = f"{HOST}:7233"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The order of a person.

    Attributes:
        address: the server of the environment, which is joined; None where there is none, or a port was asked for.
        port: of the server to join or start; 0 takes a free one.
        ui_port: of its UI; 0 takes a free one, None the one 1000 above.
        database: the file that keeps runs; None keeps none.
    """

    address: str | None
    port: int
    ui_port: int | None
    database: Path | None


@dataclass(frozen=True, slots=True)
class _Server:
    client: Client
    address: str
    ui: str | None


async def work(wanted: Wanted, stop: asyncio.Event) -> int:
    """Serves until `stop` is set."""
    settings = load_settings()
    async with model_in_use(settings) as settings:
        app = application(settings)
        say(f"agents    {', '.join(sorted(app.catalog.agents))}", "dim")
        async with _server(wanted) as server:
            write(f"Temporal  {server.address}", f"UI        {server.ui or '-'}", f"model     {model_line(settings)}")
            if settings.model == SCRIPTED:
                say(_NO_MODEL, "bold red")
            await prepare(app, server.client, say)
            async with _edited(app):
                await serve(app, server.client, stop, partial(_say_ready, app, server), say, idle_seconds=_IDLE_SECONDS)
    return ExitCode.COMPLETED


@contextlib.asynccontextmanager
async def _edited(app: Application) -> AsyncGenerator[None]:
    watch = asyncio.create_task(keep_agents_current(app, say))
    try:
        yield
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


@contextlib.asynccontextmanager
async def _server(wanted: Wanted) -> AsyncGenerator[_Server]:
    """Joins the server that answers, else starts one."""
    joined = await _answering(wanted)
    if joined is not None:
        address = joined.service_client.config.target_host
        say(f"joined the server that already runs at {address}; it stays when this ends", "yellow")
        yield _Server(joined, address, await asyncio.to_thread(find_ui, None, address))
        return
    port = (int(wanted.address.rpartition(":")[2]) if wanted.address else wanted.port) or free_port()
    above = port + _UI_ABOVE if port + _UI_ABOVE <= 65_535 else free_port()
    ui_port = above if wanted.ui_port is None else wanted.ui_port or free_port()
    where = f"keeps its runs in {wanted.database}" if wanted.database else "forgets its runs at the end"
    say(f"starting Temporal at {HOST}:{port}, which {where}", "dim")
    with _kept(wanted.database):
        async with dev_server(
            port=port, ui_port=ui_port, database=wanted.database, end_seconds=_SERVER_SECONDS
        ) as started:
            yield _Server(started.client, started.address, started.ui)


async def _answering(wanted: Wanted) -> Client | None:
    """Returns a client of the server that already runs; None where one is to be started."""
    if wanted.address is not None:
        host = wanted.address.rpartition(":")[0]
        if host in ("localhost", HOST) and not await _listens(wanted.address):
            return None
        return await connect()
    if not wanted.port or not await _listens(f"{HOST}:{wanted.port}"):
        return None
    with contextlib.suppress(UnreachableError):  # something else has the port
        return await connect(target_host=f"{HOST}:{wanted.port}")
    return None


async def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")

    def knock() -> bool:
        try:
            socket.create_connection((host, int(port)), _KNOCK_SECONDS).close()
        except (OSError, ValueError, OverflowError):
            return False
        return True

    return await asyncio.to_thread(knock)


@contextlib.contextmanager
def _kept(database: Path | None) -> Generator[None]:
    """Holds the file of runs for this process alone; its folder is made, and kept out of version control.

    Raises:
        ConfigurationError: another `dev` has it, or the folder cannot be made.
    """
    if database is None:
        yield
        return
    try:
        if not database.parent.is_dir() and database.parent == Path(".backstay"):
            database.parent.mkdir(mode=0o700)
            (database.parent / ".gitignore").write_text("*\n")
        lock = database.with_name(f"{database.name}.lock").open("w")
    except OSError as error:
        reason = (error.strerror or "it cannot be opened").lower()
        raise ConfigurationError(f"cannot keep data in {database}: {reason}", mend="take another `--db`") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            mend = "join it by its `--port`, or take `--memory` or another `--db`"
            raise ConfigurationError(f"another `backstay dev` keeps its runs in {database}", mend=mend) from None
        yield


def _say_ready(app: Application, server: _Server) -> None:
    elsewhere = "" if server.address in (_DEFAULT, "localhost:7233") else f"TEMPORAL_ADDRESS={server.address} "
    goal, agent = _first_run(app.catalog.agents)
    line = f'{ready_line(app, server.client)}\ntry it: {elsewhere}{program()} run "{goal}" --agent {agent}'
    say(f"{line}     Ctrl-C stops all", "green")


def _first_run(agents: Collection[str]) -> tuple[str, str]:
    """Returns a goal to try, and an agent that is served here."""
    if "support" in agents:
        return "Where is order A18?", "support"
    own = sorted(name for name in agents if name != "default")
    return "What can you do?", own[0] if own else "default"
