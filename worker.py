"""The worker of a checkout: `python worker.py` serves runs until it is told to stop.

To write your own, install `backstay[worker]` and take these four steps: read the settings, compose the application,
connect, serve. In a program that has an event loop already, `async with backstay.app.worker.serving(app, client)` is
the whole of the last step.
"""

import asyncio

from backstay.app.application import Application, application
from backstay.app.worker import prepare, ready_line, serve
from backstay.cli.shell.exit import ExitCode, leave
from backstay.cli.shell.failure import report
from backstay.cli.shell.loop import Log, run_loop
from backstay.cli.shell.terminal import say
from backstay.client.connection import connect
from backstay.settings import load_settings
from backstay.telemetry.metrics import worker_runtime


def main() -> int:
    """Reads the settings, composes the application and serves it; returns the exit code."""
    settings = load_settings()
    # Before anything is connected, because a worker does not start half-configured.
    app = application(settings)
    # The first SIGTERM or Ctrl-C sets it; the second ends the process at once.
    stop = asyncio.Event()
    return run_loop(connect_and_serve(app, stop), stop, log=Log(settings.log))


async def connect_and_serve(app: Application, stop: asyncio.Event) -> int:
    """Connects to Temporal as `TEMPORAL_ADDRESS` and its kin say, and serves runs until `stop` is set."""
    client = await connect(runtime=worker_runtime(app.settings.prometheus))
    await prepare(app, client, say)
    await serve(app, client, stop, ready=lambda: say(ready_line(app, client)), say=say)
    return ExitCode.COMPLETED


if __name__ == "__main__":
    try:
        code = main()
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except Exception as error:
        code = report(error)
    leave(code)
