"""A worker, or the start of a run, in a process of its own: OpenTelemetry has one provider per process.

python traced_process.py serve              serves until SIGTERM
python traced_process.py start REQUEST ID   starts a run
python traced_process.py provider           connects, and says which provider the process has
"""

import asyncio
import json
import os
import signal
import sys

from backstay.client.client import BackstayClient
from backstay.client.connection import connect
from backstay.contracts.run import RunRequest
from backstay.settings import load_settings
from backstay.telemetry.metrics import worker_runtime
from backstay.telemetry.setup import flush


async def serve() -> None:
    from backstay.app.application import application
    from backstay.app.worker import serving

    settings = load_settings()
    if settings.log == "json":
        from backstay.telemetry.logs import log_as_json

        log_as_json()
    client = await connect(runtime=worker_runtime(settings.prometheus))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with serving(application(settings), client):
        print("ready", flush=True)
        await stop.wait()


async def start(request: str, run_id: str) -> None:
    client = await BackstayClient.connect()
    await client.start(RunRequest.model_validate(json.loads(request)), run_id)


async def provider() -> None:
    client = await connect()
    loaded = sorted(name for name in sys.modules if name.startswith("opentelemetry"))
    from opentelemetry import trace

    kind = type(trace.get_tracer_provider()).__name__
    print(json.dumps({"provider": kind, "plugins": len(client.config()["plugins"]), "loaded": loaded}))


if __name__ == "__main__":
    asyncio.run({"serve": serve, "start": start, "provider": provider}[sys.argv[1]](*sys.argv[2:]))
    flush()
    sys.stdout.flush()
    os._exit(0)
