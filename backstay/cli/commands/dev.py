"""`backstay dev`: runs a development server and a worker in one process."""

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer
from temporalio.client import Client

from backstay.adapters.engine.dev_server import dev_server, free_port
from backstay.app.application import Application, application
from backstay.app.worker import ready_line, serve
from backstay.settings import Settings, load_settings

from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.model import SCRIPTED, model_in_use, model_line
from ..shell.terminal import say, write

PORT = 7233
_NO_MODEL = "NO REAL MODEL: replies are made up. Set OPENAI_API_KEY, or OPENAI_BASE_URL, for a real one."


def dev(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of Temporal; 0 takes a free one.")] = PORT,
    ui_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of its UI; default: 1000 above.", show_default=False)
    ] = None,
    db: Annotated[Path | None, typer.Option(help="Keep Temporal's data in this file; default: in memory.")] = None,
) -> int:
    """Run a Temporal development server and a worker until Ctrl-C.

    Without OPENAI_API_KEY and OPENAI_BASE_URL a scripted model answers, and says so. Exit code: 0 ended by
    Ctrl-C or SIGTERM, 2 configuration or a port that is taken.
    """
    port = port or free_port()
    above = port + 1_000 if port + 1_000 <= 65_535 else free_port()
    chosen_ui = above if ui_port is None else ui_port or free_port()
    stop = asyncio.Event()
    return run_loop(_dev(load_settings(), port, chosen_ui, db, stop), stop)


async def _dev(settings: Settings, port: int, ui_port: int, db: Path | None, stop: asyncio.Event) -> int:
    async with model_in_use(settings) as settings:
        app = application(settings)
        async with dev_server(port=port, ui_port=ui_port, database=db) as server:
            write(f"Temporal  {server.address}", f"UI        {server.ui}", f"model     {model_line(settings)}")
            if settings.model == SCRIPTED:
                say(_NO_MODEL, "bold red")
            await serve(app, server.client, stop, lambda: say(_ready(app, server.client, port), "green"), say)
    return ExitCode.COMPLETED


def _ready(app: Application, client: Client, port: int) -> str:
    elsewhere = "" if port == PORT else f"TEMPORAL_ADDRESS={client.service_client.config.target_host} "
    goal, agent = _first_run(app.catalog.agents)
    line = f'{ready_line(app, client)}\ntry it: {elsewhere}backstay run "{goal}" --agent {agent}'
    return f"{line}     Ctrl-C stops all"


def _first_run(agents: Collection[str]) -> tuple[str, str]:
    """Returns a goal to try, and an agent that is served here."""
    if "support" in agents:
        return "Where is order A18?", "support"
    own = sorted(name for name in agents if name != "default")
    return "What can you do?", own[0] if own else "default"
