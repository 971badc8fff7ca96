"""`backstay worker`: serves runs until it is told to stop."""

import asyncio

from backstay.app.application import Application, application
from backstay.app.worker import prepare, ready_line, serve
from backstay.client.connection import connect
from backstay.settings import load_settings
from backstay.telemetry.metrics import worker_runtime

from ..shell.exit import ExitCode
from ..shell.loop import Log, run_loop
from ..shell.terminal import say


def worker(agents: str | None, task_queue: str | None) -> int:
    """Runs `backstay worker` and returns its exit code."""
    settings = load_settings()
    if task_queue:
        settings = settings.model_copy(update={"task_queue": task_queue})
    only = [name.strip() for name in (agents or "").split(",") if name.strip()]
    app = application(settings, only)  # before anything is connected: a worker does not start half-configured
    stop = asyncio.Event()
    return run_loop(_connect_and_serve(app, stop), stop, log=Log(settings.log))


async def _connect_and_serve(app: Application, stop: asyncio.Event) -> int:
    client = await connect(runtime=worker_runtime(app.settings.prometheus))
    await prepare(app, client, say)
    await serve(app, client, stop, ready=lambda: say(ready_line(app, client)), say=say)
    return ExitCode.COMPLETED
