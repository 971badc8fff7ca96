"""Tells over which task queues the model calls and tool calls of a fleet's agents go."""

from backstay.contracts.names import effects_queue, model_queue
from backstay.contracts.queue_hold import FleetQueues, QueueUse
from backstay.kernel.engine import CallKind

from .catalog import Catalog
from .folder import Agent

_Uses = dict[str, dict[str, list[str]]]


class ServedQueues:
    """The queues of the agents that a worker serves, as they are now: all workers of its task queue serve the same."""

    def __init__(self, catalog: Catalog, task_queue: str) -> None:
        self._catalog = catalog
        self._task_queue = task_queue

    def queues(self) -> FleetQueues:
        """Tells which calls go over which queue: that of an account, of shared effects, or of the runs themselves."""
        models: _Uses = {}
        tools: _Uses = {}
        for agent in self._catalog.agents.values():
            account = agent.config.model.account
            queue = model_queue(account) if account else self._task_queue
            models.setdefault(queue, {})[agent.name] = self._models(agent)
            for name, tool in agent.tools.items():
                queue = effects_queue(self._task_queue) if tool.spec.dedupe else self._task_queue
                tools.setdefault(queue, {}).setdefault(agent.name, []).append(name)
        return FleetQueues(queues=[*self._uses(models, CallKind.MODELS), *self._uses(tools, CallKind.TOOLS)])

    def _uses(self, found: _Uses, kind: CallKind) -> list[QueueUse]:
        return [
            QueueUse(queue=queue, kind=kind, alone=queue != self._task_queue, uses=uses)
            for queue, uses in sorted(found.items())
        ]

    def _models(self, agent: Agent) -> list[str]:
        """Lists all models that an agent may ask."""
        spec = self._catalog.model_spec(agent)
        summaries = spec.context.model if spec.context else None
        others = [*spec.fallback, *(other for other in (spec.near_limit, summaries) if other)]
        return list(dict.fromkeys((spec.name, *(other.name for other in others))))
