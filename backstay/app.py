"""Puts the application together: finds its folders, and builds a worker from settings, adapters and activities."""

import asyncio
import contextlib
import importlib
import sys
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from backstay.adapters.agent_folder import Agent, load_agents
from backstay.adapters.catalog import Catalog
from backstay.adapters.organisation import Organisation, load_organisation, read_text
from backstay.adapters.run_history import RunHistory
from backstay.adapters.scrubber import scrubbed_logs
from backstay.adapters.secrets import Secrets, worker_secrets
from backstay.adapters.webhook import Webhooks
from backstay.contracts.admission import ToolSpec
from backstay.errors import ConfigurationError
from backstay.facts import NAMED_BY_USER
from backstay.settings import Settings
from backstay.telemetry.setup import flush, worker_plugins

PACKAGE = Path(__file__).parent
FLAT = not (PACKAGE / "workflows").is_dir()
ROOT = PACKAGE.parent if FLAT else PACKAGE
SHIPPED_AGENTS = ROOT / "agents"
SHIPPED_POLICIES = ROOT / "policies" / "org"


def folder(name: str) -> Any:
    """A module of the application folders: `workflows.agent_run` in a checkout, below `backstay` in the wheel."""
    if FLAT and sys.path[0] != str(ROOT):
        sys.path.insert(0, str(ROOT))  # another package may own a top-level `workflows`
    return importlib.import_module(name if FLAT else f"backstay.{name}")


@dataclass(frozen=True, slots=True)
class Application:
    """The agents of a worker, checked, with all that runs them."""

    settings: Settings
    catalog: Catalog
    secrets: Secrets
    gate: Any
    webhooks: Webhooks

    @contextlib.asynccontextmanager
    async def serving(self, client: Client, **options: Any) -> AsyncGenerator[Worker]:
        """Serves runs until the context ends; running activities are then given time to finish."""
        try:
            with scrubbed_logs(self.secrets.scrubber):
                async with self._worker(client, **options) as worker:
                    yield worker
        finally:
            await self.catalog.close()
            await asyncio.to_thread(flush)

    def _worker(self, client: Client, **options: Any) -> Worker:
        given: dict[str, Any] = {
            "task_queue": self.settings.task_queue,
            "workflows": [folder("workflows.agent_run").AgentRun],
            "activities": self._activities(client),
            "workflow_runner": sandbox(),
            "plugins": worker_plugins(client),
            # A kill reaches a running activity with the answer to a heartbeat: send them often.
            "max_heartbeat_throttle_interval": timedelta(milliseconds=250),
            "default_heartbeat_throttle_interval": timedelta(milliseconds=250),
            # After a worker dies its runs wait this long for its memory of them, and no longer.
            "sticky_queue_schedule_to_start_timeout": timedelta(seconds=2),
            "graceful_shutdown_timeout": timedelta(seconds=self.settings.shutdown_seconds),
            "max_cached_workflows": self.settings.cached_runs,
            **options,
        }
        return Worker(client, **given)

    def _activities(self, client: Client) -> list[Callable[..., Any]]:
        reviewer = folder("activities.review").Reviewer(self.catalog, self.gate)
        history = RunHistory(client)
        memory = folder("activities.run_memory").RunMemory(history, self.settings.conversation_cache_mb * 1_000_000)
        desk = folder("activities.desk").Desk(memory, reviewer, self.secrets)
        return [
            folder("activities.admit").Admit(self.catalog, self.gate, self.settings.search_attributes).admit,
            folder("activities.decide").Decide(memory, self.catalog).decide,
            folder("activities.authorize").Authorize(reviewer).authorize,
            folder("activities.notify").Notify(self.webhooks).notify,
            folder("activities.act").Act(desk).act,
            folder("activities.reconcile").Reconcile(desk).reconcile,
        ]


def application(settings: Settings, only: Sequence[str] = ()) -> Application:
    """Reads and checks the agents, `only` some of them if named.

    Raises:
        ConfigurationError: an agent, a setting or a key is missing or cannot be used.
    """
    agents = load_agents(settings.agent_folders(SHIPPED_AGENTS))
    default = load_agents([SHIPPED_AGENTS])["default"] if "default" not in agents else agents["default"]
    agents.setdefault("default", default)
    for name in only:
        if name not in agents:
            known = ", ".join(f"`{agent}`" for agent in sorted(agents))
            raise ConfigurationError(f"there is no agent `{name}`", mend=f"known are {known}")
    served = {name: agent for name, agent in agents.items() if not only or name in only}
    org = load_organisation([SHIPPED_POLICIES, *settings.policies])
    catalog = Catalog(served, settings, org)
    addresses = {agent.name: agent.config.approval.notify for agent in served.values() if agent.config.approval.notify}
    return Application(
        settings,
        catalog,
        worker_secrets(settings, served.values()),
        gate_of(served.values(), org),
        Webhooks(addresses, settings.webhook_secret),
    )


def gate_of(agents: Iterable[Agent], org: Organisation) -> Any:
    """The gate with every agent's rules in force.

    Raises:
        ConfigurationError: lists everything that is wrong with the rules, of all agents.
    """
    gate = folder("policies.gate").Gate()
    problems: list[ConfigurationError] = []
    for agent in agents:
        try:
            put_in_force(gate, agent, org)
        except ConfigurationError as error:
            problems.append(error)
    if problems:
        raise ConfigurationError("\n".join(dict.fromkeys(str(problem) for problem in problems)))
    return gate


def put_in_force(gate: Any, agent: Agent, org: Organisation) -> None:
    """Builds an agent's rules and, only where all is well with them, puts them in force.

    Raises:
        ConfigurationError: the rules cannot be put in force; those that were stay.
    """
    bundles, source = folder("policies.bundle"), folder("policies.source")
    settings = agent.folder / "agent.toml"
    own = agent.folder / "policy.cedar"
    taken = sorted(set(agent.config.approval.groups) & set(org.groups))
    if taken:
        raise ConfigurationError(f"the group `{taken[0]}` is the organisation's", where=str(settings))
    groups = {**agent.config.approval.groups, **org.groups}
    policy = bundles.AgentPolicy(
        agent=agent.name,
        tools=[folder("policies.call").ToolRules(**tool_rules(tool.spec)) for tool in agent.tools.values()],
        own=source.RuleFile(str(own), read_text(own)) if own.is_file() else None,
        permit=agent.config.policy.permit,
        require=agent.config.approval.require,
        mode=agent.config.policy.mode,
        groups=groups,
        settings=str(settings),
    )
    gate.put(bundles.build(policy, [source.RuleFile(name, text) for name, text in org.rules]), groups)


def tool_rules(spec: ToolSpec) -> dict[str, Any]:
    """What rules may name of a tool."""
    return {
        "name": spec.name,
        "effect": spec.effect,
        "groups": tuple(spec.groups),
        "parameters": spec.parameters,
        "facts": {**spec.facts, NAMED_BY_USER: "Set<String>"},
    }


def sandbox() -> SandboxedWorkflowRunner:
    """The workflow sandbox; the kernel and the contracts are pure, and are not loaded again for every run."""
    restrictions = SandboxRestrictions.default.with_passthrough_modules(
        "backstay.kernel", "backstay.contracts", "pydantic", "pydantic_core", "annotated_types", "typing_extensions"
    )
    return SandboxedWorkflowRunner(restrictions=restrictions)
