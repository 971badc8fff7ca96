"""Starts the whole runtime on this machine for tests: a real Temporal server, a real worker and a scripted model."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from backstay.adapters.engine.dev_server import dev_server
from backstay.adapters.payload.converter import data_converter
from backstay.app.application import application
from backstay.app.worker import serving
from backstay.contracts.names import AGENT_RUN
from backstay.contracts.run import RunResult
from backstay.settings import Settings

from .model.script import Script
from .model.server import ScriptedModel

PATIENCE_SECONDS = 60.0


@dataclass(slots=True)
class LocalRuntime:
    """A runtime for one test, on a task queue of its own."""

    client: Client
    model: ScriptedModel
    settings: Settings

    def serving(self, **options: Any) -> contextlib.AbstractAsyncContextManager[Worker]:
        """Runs another worker until the context ends; `options` are those of Temporal's `Worker`."""
        return serving(application(self.settings), self.client, **options)

    async def start(self, request: Any, run_id: str | None = None) -> WorkflowHandle[Any, Any]:
        """Starts a run with any JSON value as its input, valid or not."""
        return await self.client.start_workflow(
            AGENT_RUN, request, id=run_id or f"run-{uuid.uuid4()}", task_queue=self.settings.task_queue
        )

    async def run_to_end(self, request: Mapping[str, Any], run_id: str | None = None) -> RunResult:
        """Starts a run, waits for its end and returns its result.

        Raises:
            WorkflowFailureError: the run failed.
            TimeoutError: the run did not end within a minute.
        """
        handle = await self.start(request, run_id)
        return RunResult.model_validate(await asyncio.wait_for(handle.result(), PATIENCE_SECONDS))


@contextlib.asynccontextmanager
async def local_runtime(
    scripts: Mapping[str, Script] | Script | None = None,
    *,
    agents: Path | None = None,
    client: Client | None = None,
    worker: bool = True,
    window: int | None = None,
    **settings: Any,
) -> AsyncGenerator[LocalRuntime]:
    """Starts a runtime and stops it when the context ends.

    Args:
        scripts: the model's script, or scripts by a text that occurs in the goal; without one the model improvises.
        agents: the folder of agents; the shipped ones unless given.
        client: connects to a server that is shared with other tests; a new server starts unless given.
        worker: False leaves it to the test to start workers.
        window: the tokens that the model takes; it refuses longer requests.
        settings: fields of `Settings`.
    """
    async with contextlib.AsyncExitStack() as stack:
        if client is None:
            client = (await stack.enter_async_context(dev_server())).client
        model = await stack.enter_async_context(ScriptedModel(scripts, window=window))
        given: dict[str, Any] = {
            "openai_base_url": model.base_url,
            "task_queue": f"agents-{uuid.uuid4()}",
            "model_price": {"input": "0.25", "cached_input": "0.025", "output": "2.00"},
            **({"agents": [agents]} if agents else {}),
            **settings,
        }
        wanted = Settings(**given)
        if wanted.codec_keys or wanted.codec_keys_file or wanted.payload_store:
            config: dict[str, Any] = {**client.config(), "data_converter": data_converter(wanted)}
            client = Client(**config)
        runtime = LocalRuntime(client, model, wanted)
        if worker:
            await stack.enter_async_context(runtime.serving())
        yield runtime
