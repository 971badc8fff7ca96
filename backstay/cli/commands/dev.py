"""`backstay dev`: a development server and a worker in one process, with agents that are served as they are edited."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

PORT = 7233
KEPT = Path(".backstay")


def dev(
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port of Temporal, 7233; 0 takes a free one.", show_default=False),
    ] = None,
    ui_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of its UI; default: 1000 above.", show_default=False)
    ] = None,
    memory: Annotated[bool, typer.Option("--memory", help="Forget all runs at the end.")] = False,
    db: Annotated[
        Path | None, typer.Option(help="Keep runs in this file; default: .backstay/dev.db.", show_default=False)
    ] = None,
) -> int:
    """Run a Temporal development server and a worker until Ctrl-C.

    Runs are kept in .backstay/dev.db and go on at the next start. An agent is served anew when its files change: new
    runs take the new version, open ones keep theirs, and a broken edit changes nothing. A server that answers already,
    at the port or, without --port, at TEMPORAL_ADDRESS, is joined. Without OPENAI_API_KEY and OPENAI_BASE_URL a
    scripted model answers, and says so. Exit code: 0 ended by Ctrl-C or SIGTERM, 2 configuration or a port that is
    taken, 5 the server of TEMPORAL_ADDRESS unreachable.
    """
    address = os.environ.get("TEMPORAL_ADDRESS") if port is None else None
    wanted = f"at {address}" if address else f"at 127.0.0.1:{PORT if port is None else port or 'a free port'}"
    from ..shell.terminal import say

    say(f"starting: looking for Temporal {wanted}", "dim")
    from ..shell.loop import run_loop  # loading takes seconds, and these words stand there meanwhile
    from ..shell.workplace import Wanted, work

    stop = asyncio.Event()
    database = None if memory else db or KEPT / "dev.db"
    return run_loop(work(Wanted(address, PORT if port is None else port, ui_port, database), stop), stop)
