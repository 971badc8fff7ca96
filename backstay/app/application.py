"""Puts the application together: finds its folders, and builds a worker from settings, adapters and activities."""

import asyncio
import contextlib
import importlib
import pkgutil
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxRestrictions

from backstay.adapters.agent.catalog import Catalog
from backstay.adapters.agent.folder import Agent, load_agent, load_agents
from backstay.adapters.agent.organisation import load_organisation
from backstay.adapters.engine.effects import Effects
from backstay.adapters.engine.history import RunHistory
from backstay.adapters.engine.sandbox import LeanSandbox
from backstay.adapters.notice.webhook import Webhooks
from backstay.adapters.payload.converter import for_worker
from backstay.adapters.secret.scrubber import scrubbed_logs
from backstay.adapters.secret.store import Secrets, worker_secrets
from backstay.app import folders
from backstay.app.rules import gate_of, keep_current
from backstay.contracts import names
from backstay.errors import ConfigurationError
from backstay.settings import Settings
from backstay.telemetry.setup import flush, worker_plugins


@dataclass(frozen=True, slots=True)
class Application:
    """The agents of a worker, checked, with all that runs them."""

    settings: Settings
    catalog: Catalog
    secrets: Secrets
    gate: "folders.gate.Gate"
    webhooks: Webhooks

    @contextlib.asynccontextmanager
    async def serving(self, client: Client, **options: Any) -> AsyncGenerator[Worker]:
        """Serves runs until the context ends; running activities are then given time to finish."""
        try:
            with scrubbed_logs(self.secrets.scrubber):
                async with serving_together(self.workers(client, options)) as worker, self._watching():
                    yield worker
        finally:
            await self.catalog.close()
            await asyncio.to_thread(flush)

    @contextlib.asynccontextmanager
    async def _watching(self) -> AsyncGenerator[None]:
        """Puts changed rules in force while the worker serves."""
        agents = list(self.catalog.agents.values())
        watch = asyncio.create_task(keep_current(self.gate, agents, policy_folders(self.settings)))
        try:
            yield
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch

    def workers(self, client: Client, options: dict[str, Any]) -> list[Worker]:
        """The worker of runs; and that of effects, where a tool shares them.

        A call that waits for an effect takes up a slot of its worker. The effect is performed in a slot of another one:
        with as many calls waiting as there are slots, none would come to be performed otherwise.
        """
        activities, perform = self._activities(client)
        runs: dict[str, Any] = {
            "workflows": [folders.agent_run.AgentRun, folders.effect.Effect],
            "activities": activities,
            "workflow_runner": sandbox(),
            # After a worker dies its runs wait this long for its memory of them, and no longer.
            "sticky_queue_schedule_to_start_timeout": timedelta(seconds=2),
            "max_cached_workflows": self.settings.cached_runs,
            **options,
        }
        workers = [self._worker(client, self.settings.task_queue, runs)]
        if any(tool.spec.dedupe for agent in self.catalog.agents.values() for tool in agent.tools.values()):
            queue = names.effects_queue(self.settings.task_queue)
            workers.append(self._worker(client, queue, {"activities": [perform]}))
        return workers

    def _worker(self, client: Client, task_queue: str, options: dict[str, Any]) -> Worker:
        config: dict[str, Any] = {**client.config(), "data_converter": for_worker(client.data_converter)}
        client = Client(**config)
        given: dict[str, Any] = {
            "task_queue": task_queue,
            "plugins": worker_plugins(client),
            # A kill reaches a running activity with the answer to a heartbeat: send them often.
            "max_heartbeat_throttle_interval": timedelta(milliseconds=250),
            "default_heartbeat_throttle_interval": timedelta(milliseconds=250),
            "graceful_shutdown_timeout": timedelta(seconds=self.settings.shutdown_seconds),
            **options,
        }
        return Worker(client, **given)

    def _activities(self, client: Client) -> tuple[list[Callable[..., Any]], Callable[..., Any]]:
        """The activities of runs, and the one of effects."""
        reviewer = folders.review.Reviewer(self.catalog, self.gate)
        history = RunHistory(client)
        conversations = folders.conversation.Conversations(history, self.settings.conversation_cache_mb * 1_000_000)
        preparer = folders.prepare.Preparer(conversations, reviewer, self.secrets)
        runs: list[Callable[..., Any]] = [
            folders.admit.Admit(self.catalog, self.gate, self.settings.search_attributes).admit,
            folders.decide.Decide(conversations, self.catalog).decide,
            folders.authorize.Authorize(reviewer).authorize,
            folders.notify.Notify(self.webhooks).notify,
            folders.act.Act(preparer, Effects(client), history).act,
            folders.reconcile.Reconcile(preparer).reconcile,
        ]
        return runs, folders.perform.Perform(preparer, history).perform


@contextlib.asynccontextmanager
async def serving_together(workers: Sequence[Worker]) -> AsyncGenerator[Worker]:
    """Lets workers serve until the context ends, and stops them side by side; gives the first."""
    async with contextlib.AsyncExitStack() as stack:
        for worker in workers:
            await stack.enter_async_context(worker)
        try:
            yield workers[0]
        finally:
            await asyncio.gather(*(worker.shutdown() for worker in workers))


def application(settings: Settings, only: Sequence[str] = ()) -> Application:
    """Reads and checks the agents, `only` some of them if named.

    Raises:
        ConfigurationError: an agent, a setting or a key is missing or cannot be used.
    """
    served = agents_of(settings, only)
    org = load_organisation(policy_folders(settings))
    catalog = Catalog(served, settings, org)
    addresses = {agent.name: agent.config.approval.notify for agent in served.values() if agent.config.approval.notify}
    return Application(
        settings,
        catalog,
        worker_secrets(settings, served.values()),
        gate_of(served.values(), org),
        Webhooks(addresses, settings.webhook_secret),
    )


def agents_of(settings: Settings, only: Sequence[str] = ()) -> dict[str, Agent]:
    """Reads the agents that a worker would serve, `only` some of them if named; needs no model's key.

    Raises:
        ConfigurationError: an agent cannot be used, or there is none of a name.
    """
    agents = load_agents(settings.agent_folders(folders.SHIPPED_AGENTS))
    if "default" not in agents:
        agents["default"] = load_agent(folders.SHIPPED_AGENTS / "default")
    check_known(only, agents)
    return {name: agent for name, agent in agents.items() if not only or name in only}


def check_known(only: Iterable[str], agents: Iterable[str]) -> None:
    """Checks that there are agents of these names.

    Raises:
        ConfigurationError: there is none of a name.
    """
    known = sorted(agents)
    for name in only:
        if name not in known:
            mend = f"known are {', '.join(f'`{agent}`' for agent in known)}"
            raise ConfigurationError(f"there is no agent `{name}`", mend=mend)


def policy_folders(settings: Settings) -> list[Path]:
    """The folders of the organisation's rules and limits: the shipped one, then the settings' own."""
    return [folders.SHIPPED_POLICIES, *settings.policies]


def sandbox(*, checked: bool = False) -> LeanSandbox:
    """The workflow sandbox; what it lets through is not loaded again for every run.

    That is the kernel and the contracts, which are pure, and the modules a workflow is made of. These are loaded
    inside and held to the sandbox's restrictions where `checked`: in every replay, and so in the tests.
    """
    through = ["backstay.kernel", "backstay.contracts", "pydantic", "pydantic_core", "annotated_types"]
    through += ["typing_extensions", *([] if checked else _workflow_parts())]
    return LeanSandbox(restrictions=SandboxRestrictions.default.with_passthrough_modules(*through))


def _workflow_parts() -> list[str]:
    """The modules of `workflows` that define no workflow themselves."""
    package = folders.module_name("workflows")
    defining = {folders.agent_run.AgentRun.__module__, folders.effect.Effect.__module__}
    found = pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")
    return [module.name for module in found if module.name not in defining]
