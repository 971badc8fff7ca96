"""`backstay worker`: serves runs until it is told to stop."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated, NoReturn

import typer
from temporalio.client import Client

from backstay.adapters.engine.search_attributes import register
from backstay.adapters.secret.scrubber import scrubbed_output
from backstay.app.application import Application, application
from backstay.client.connection import connect
from backstay.settings import Settings, load_settings
from backstay.telemetry.metrics import worker_runtime

from ..shell.exit import ExitCode, leave
from ..shell.failure import report
from ..shell.loop import Log, run_loop
from ..shell.terminal import say

_LEFT_SECONDS = 5.0
_SETUP = "run `backstay setup` as somebody who may add them"


def worker(
    agents: Annotated[str | None, typer.Option(help="Serve only these: A,B.")] = None,
    task_queue: Annotated[str | None, typer.Option("--task-queue", "-q", help="Default: BACKSTAY_TASK_QUEUE.")] = None,
) -> int:
    """Serve runs until told to stop.

    SIGTERM or Ctrl-C ends it in order: it takes no more work and lets running calls finish; a second one ends it at
    once. Exit code: 0 ended in order, 2 configuration, 5 Temporal unreachable.
    """
    return _serve(load_settings(), [name.strip() for name in (agents or "").split(",") if name.strip()], task_queue)


def serve_forever() -> NoReturn:
    """Serves all agents as the environment says, then ends the process with the exit code."""
    try:
        code = _serve(load_settings(), (), None)
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except Exception as error:
        code = report(error)
    leave(code)


def _serve(settings: Settings, only: Sequence[str], task_queue: str | None) -> int:
    if task_queue:
        settings = settings.model_copy(update={"task_queue": task_queue})
    app = application(settings, only)  # before anything is connected: a worker does not start half-configured
    stop = asyncio.Event()
    return run_loop(_connect_and_serve(app, stop), stop, log=Log(settings.log))


async def _connect_and_serve(app: Application, stop: asyncio.Event) -> int:
    client = await connect(runtime=worker_runtime(app.settings.prometheus))
    if app.settings.search_attributes:
        done = await register(client, mend=_SETUP)
        if added := [name for name, outcome in done.items() if outcome == "added"]:
            say(f"added search attributes: {', '.join(added)}")
    address = client.service_client.config.target_host
    await serve(app, client, stop, lambda: say(ready_line(app, address)))
    return ExitCode.COMPLETED


def ready_line(app: Application, address: str) -> str:
    """What a worker says once it serves."""
    names = ", ".join(sorted(app.catalog.agents))
    return f"worker ready: agents {names} on task queue {app.settings.task_queue} at {address}"


async def serve(app: Application, client: Client, stop: asyncio.Event, ready: Callable[[], None]) -> None:
    """Serves until `stop` is set, then lets running activities finish; those that will not end are left behind.

    Raises:
        RuntimeError: the worker cannot go on.
    """
    serving = asyncio.create_task(_serving(app, client, stop, ready))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait((serving, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    done, _ = await asyncio.wait((serving,), timeout=app.settings.shutdown_seconds + _LEFT_SECONDS)
    if not done:
        say("an activity does not end: it is left behind, and its run goes on with another worker")
        return
    await serving


async def _serving(app: Application, client: Client, stop: asyncio.Event, ready: Callable[[], None]) -> None:
    with scrubbed_output(app.secrets.scrubber):
        async with app.serving(client):
            ready()
            await stop.wait()
            say("stopping: no new work; running activities are given time to finish")
