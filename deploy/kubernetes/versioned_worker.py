"""Serves runs as one version of a worker deployment: each run stays on the version that it began on.

The Temporal Worker Controller sets `TEMPORAL_DEPLOYMENT_NAME` and `TEMPORAL_WORKER_BUILD_ID`; so does any Deployment
that names its versions itself. It listens on the ports of its metrics and of its health, where they are set.
"""

import asyncio
import os
import signal

from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import WorkerDeploymentConfig

from backstay.app.application import application
from backstay.app.worker import prepare, ready_line, serving
from backstay.client.connection import connect
from backstay.settings import load_settings
from backstay.telemetry.metrics import worker_runtime


def deployment() -> WorkerDeploymentConfig:
    """Returns the version of this worker, as the environment has it."""
    version = WorkerDeploymentVersion(os.environ["TEMPORAL_DEPLOYMENT_NAME"], os.environ["TEMPORAL_WORKER_BUILD_ID"])
    return WorkerDeploymentConfig(
        version=version, use_worker_versioning=True, default_versioning_behavior=VersioningBehavior.PINNED
    )


async def main() -> None:
    """Serves until SIGTERM, then lets running calls finish."""
    app = application(load_settings())
    client = await connect(runtime=worker_runtime(app.settings.prometheus))
    await prepare(app, client, print)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(app, client, deployment_config=deployment()):
        print(ready_line(app, client), flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
