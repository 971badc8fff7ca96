"""Serves an application: builds its workers, and keeps its rules current and its output clean while they work."""

import asyncio
import contextlib
import importlib
import pkgutil
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import timedelta
from typing import Any, Unpack

from temporalio.client import Client
from temporalio.worker import Worker, WorkerConfig
from temporalio.worker.workflow_sandbox import SandboxRestrictions

from backstay import ports
from backstay.adapters.engine.effects import Effects
from backstay.adapters.engine.history import RunHistory
from backstay.adapters.engine.sandbox import LeanSandbox
from backstay.adapters.engine.search_attributes import Registration, register
from backstay.adapters.payload.converter import for_worker
from backstay.adapters.secret.scrubber import scrubbed_logs, scrubbed_output
from backstay.app import folders
from backstay.app.application import Application, policy_folders
from backstay.app.rules import keep_current
from backstay.contracts import names
from backstay.telemetry.setup import flush, worker_plugins

_LEFT_SECONDS = 5.0
_SETUP = "run `backstay setup` as somebody who may add them"

Say = Callable[[str], None]
"""Tells a person one line."""


async def prepare(app: Application, client: Client, say: Say) -> None:
    """Adds the search attributes that the namespace lacks, unless the settings run without them.

    Raises:
        ConfigurationError: an attribute has another type, or the server does not let us add it.
        UnreachableError: the server does not answer.
    """
    if app.settings.search_attributes:
        done = await register(client, mend=_SETUP)
        if added := [name for name, outcome in done.items() if outcome is Registration.ADDED]:
            say(f"added search attributes: {', '.join(added)}")


def ready_line(app: Application, client: Client) -> str:
    """Returns what a worker says once it serves."""
    agents = ", ".join(sorted(app.catalog.agents))
    address = client.service_client.config.target_host
    return f"worker ready: agents {agents} on task queue {app.settings.task_queue} at {address}"


async def serve(app: Application, client: Client, stop: asyncio.Event, ready: Callable[[], None], say: Say) -> None:
    """Serves until `stop` is set, then lets running activities finish, and leaves behind those that do not end.

    Args:
        app: what is served.
        client: the connection to Temporal.
        stop: set it to end.
        ready: called once the worker takes work.
        say: tells a person how it ends.

    Raises:
        RuntimeError: the worker cannot go on.
    """
    work = asyncio.create_task(_serve(app, client, stop, ready, say))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait((work, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    done, _ = await asyncio.wait((work,), timeout=app.settings.shutdown_seconds + _LEFT_SECONDS)
    if not done:
        say("an activity does not end: it is left behind, and its run goes on with another worker")
        return
    await work


async def _serve(app: Application, client: Client, stop: asyncio.Event, ready: Callable[[], None], say: Say) -> None:
    async with serving(app, client):
        ready()
        await stop.wait()
        say("stopping: no new work; running activities are given time to finish")


@contextlib.asynccontextmanager
async def serving(app: Application, client: Client, /, **options: Unpack[WorkerConfig]) -> AsyncGenerator[Worker]:
    """Serves runs until the context ends; running activities then get time to finish.

    While it serves, whatever the process logs or prints is freed of the secrets of tools.

    Args:
        app: what is served.
        client: the connection to Temporal.
        options: of the worker of runs, in place of our own.

    Yields:
        the worker of runs.
    """
    scrubber = app.secrets.scrubber
    with scrubbed_logs(scrubber), scrubbed_output(scrubber):
        try:
            async with serving_together(workers(app, client, options)) as worker, _watching(app):
                yield worker
        finally:
            await app.catalog.close()
            await asyncio.to_thread(flush)


@contextlib.asynccontextmanager
async def serving_together(together: Sequence[Worker]) -> AsyncGenerator[Worker]:
    """Lets workers serve until the context ends, and stops them side by side; yields the first."""
    async with contextlib.AsyncExitStack() as stack:
        for worker in together:
            await stack.enter_async_context(worker)
        try:
            yield together[0]
        finally:
            await asyncio.gather(*(worker.shutdown() for worker in together))


@contextlib.asynccontextmanager
async def _watching(app: Application) -> AsyncGenerator[None]:
    """Puts changed rules in force until the context ends."""
    agents = list(app.catalog.agents.values())
    watch = asyncio.create_task(keep_current(app.gate, agents, policy_folders(app.settings)))
    try:
        yield
    finally:
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch


def workers(app: Application, client: Client, options: WorkerConfig) -> list[Worker]:
    """Builds the worker of runs, and that of shared effects if a tool has any.

    A call that waits for a shared effect takes up a slot of its worker. The effect runs in a slot of another worker,
    because otherwise calls that wait could fill all slots and no effect would ever run.

    Args:
        app: what is served.
        client: the connection to Temporal.
        options: of the worker of runs, in place of our own.
    """
    activities, perform = _activities(app, client)
    runs: WorkerConfig = {
        "workflows": [folders.agent_run.AgentRun, folders.effect.Effect],
        "activities": activities,
        "workflow_runner": sandbox(),
        # When a worker dies, its runs wait this long for it before another worker takes them over.
        "sticky_queue_schedule_to_start_timeout": timedelta(seconds=2),
        "max_cached_workflows": app.settings.cached_runs,
        **options,
    }
    queue = app.settings.task_queue
    built = [_worker(app, client, {"task_queue": queue, **runs})]
    if any(tool.spec.dedupe for agent in app.catalog.agents.values() for tool in agent.tools.values()):
        built.append(_worker(app, client, {"task_queue": names.effects_queue(queue), "activities": [perform]}))
    return built


def _worker(app: Application, client: Client, options: WorkerConfig) -> Worker:
    config = client.config()
    config["data_converter"] = for_worker(client.data_converter)
    client = Client(**config)
    given: WorkerConfig = {
        "client": client,
        "plugins": worker_plugins(client),
        # A running activity learns of a kill with the answer to a heartbeat: send them often.
        "max_heartbeat_throttle_interval": timedelta(milliseconds=250),
        "default_heartbeat_throttle_interval": timedelta(milliseconds=250),
        "graceful_shutdown_timeout": timedelta(seconds=app.settings.shutdown_seconds),
        **options,
    }
    return Worker(**given)


Activity = Callable[..., Any]


def _activities(app: Application, client: Client) -> tuple[list[Activity], Activity]:
    """Binds each adapter to its port, and returns the activities of runs and the one of shared effects."""
    catalog: ports.Catalog = app.catalog
    models: ports.Models = app.catalog
    gate: ports.Gate = app.gate
    secrets: ports.Secrets = app.secrets
    notifier: ports.Notifier = app.webhooks
    history: ports.History = RunHistory(client)
    effects: ports.Effects = Effects(client)

    reviewer = folders.review.Reviewer(catalog, gate)
    conversations = folders.conversation.Conversations(history, app.settings.conversation_cache_mb * 1_000_000)
    preparer = folders.prepare.Preparer(conversations, reviewer, secrets)
    runs: list[Activity] = [
        folders.admit.Admit(catalog, gate, app.settings.search_attributes).admit,
        folders.decide.Decide(conversations, models).decide,
        folders.authorize.Authorize(reviewer).authorize,
        folders.notify.Notify(notifier).notify,
        folders.act.Act(preparer, effects, history).act,
        folders.reconcile.Reconcile(preparer).reconcile,
    ]
    return runs, folders.perform.Perform(preparer, history).perform


def sandbox(*, checked: bool = False) -> LeanSandbox:
    """Returns the sandbox of workflows.

    It does not load again what is pure, the kernel and the contracts, nor the modules that define no workflow.

    Args:
        checked: loads those modules inside too and holds them to the sandbox's restrictions, as every replay does.
    """
    through = ["backstay.kernel", "backstay.contracts", "pydantic", "pydantic_core", "annotated_types"]
    through += ["typing_extensions", *([] if checked else _workflow_parts())]
    return LeanSandbox(restrictions=SandboxRestrictions.default.with_passthrough_modules(*through))


def _workflow_parts() -> list[str]:
    """Lists the modules of `workflows` that define no workflow."""
    package = folders.module_name("workflows")
    defining = {folders.agent_run.AgentRun.__module__, folders.effect.Effect.__module__}
    found = pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")
    return [module.name for module in found if module.name not in defining]
