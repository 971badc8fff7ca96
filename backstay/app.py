"""Puts the application together: finds its folders, and builds a worker from settings, adapters and activities."""

import contextlib
import importlib
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from backstay.adapters.agent_folder import load_agents
from backstay.adapters.catalog import Catalog
from backstay.adapters.run_history import RunHistory
from backstay.errors import ConfigurationError
from backstay.settings import Settings

PACKAGE = Path(__file__).parent
FLAT = not (PACKAGE / "workflows").is_dir()
ROOT = PACKAGE.parent if FLAT else PACKAGE
SHIPPED_AGENTS = ROOT / "agents"


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

    @contextlib.asynccontextmanager
    async def serving(self, client: Client, **options: Any) -> AsyncGenerator[Worker]:
        """Serves runs until the context ends; running activities are then given time to finish."""
        try:
            async with self._worker(client, **options) as worker:
                yield worker
        finally:
            await self.catalog.close()

    def _worker(self, client: Client, **options: Any) -> Worker:
        given: dict[str, Any] = {
            "task_queue": self.settings.task_queue,
            "workflows": [folder("workflows.agent_run").AgentRun],
            "activities": self._activities(client),
            "workflow_runner": sandbox(),
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
        gate = folder("policies.gate").Gate({name: agent.tools for name, agent in self.catalog.agents.items()})
        reviewer = folder("activities.review").Reviewer(self.catalog, gate)
        history = RunHistory(client)
        memory = folder("activities.run_memory").RunMemory(history, self.settings.conversation_cache_mb * 1_000_000)
        return [
            folder("activities.admit").Admit(self.catalog, gate, self.settings.search_attributes).admit,
            folder("activities.decide").Decide(memory, self.catalog).decide,
            folder("activities.authorize").Authorize(reviewer).authorize,
            folder("activities.act").Act(memory, reviewer).act,
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
    return Application(settings, Catalog({n: a for n, a in agents.items() if not only or n in only}, settings))


def sandbox() -> SandboxedWorkflowRunner:
    """The workflow sandbox; the kernel and the contracts are pure, and are not loaded again for every run."""
    restrictions = SandboxRestrictions.default.with_passthrough_modules(
        "backstay.kernel", "backstay.contracts", "pydantic", "pydantic_core", "annotated_types", "typing_extensions"
    )
    return SandboxedWorkflowRunner(restrictions=restrictions)
