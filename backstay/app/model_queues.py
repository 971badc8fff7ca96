"""The queues of providers' accounts: which a worker serves, and with what."""

from collections.abc import Iterable

from temporalio.client import Client
from temporalio.worker import PollerBehaviorSimpleMaximum, WorkerConfig

from backstay import ports
from backstay.adapters.agent.account_models import AccountModels
from backstay.adapters.agent.folder import Agent
from backstay.adapters.engine.history import RunHistory
from backstay.adapters.engine.quotas import Quotas
from backstay.adapters.engine.turns import Turns
from backstay.app import folders
from backstay.app.application import Application
from backstay.contracts import names

_POLLERS = 5
"""A queue has four partitions, each with its part of the rate: with fewer pollers a part is left unused."""


def accounts_of(agents: Iterable[Agent]) -> list[str]:
    """Returns the accounts that agents name, each once."""
    return sorted({agent.config.model.account for agent in agents if agent.config.model.account})


def model_queues(
    app: Application, client: Client, asking: "folders.decide.Asking", alarms: ports.Alarms
) -> list[WorkerConfig]:
    """Returns what the worker of each account's queue serves: model calls alone, as the server lets them through."""
    quotas: ports.Quotas = Quotas(client)
    turns: ports.Turns = Turns(client)
    # Apart from those of this worker's own runs: what their tools ask for is answered to nobody else.
    elsewhere: ports.History = RunHistory(client, *app.settings.account_queues)
    others = folders.conversation.Conversations(elsewhere, app.settings.conversation_cache_mb * 1_000_000)
    found: list[WorkerConfig] = []
    for account in accounts_of(app.catalog.agents.values()):
        of_account: ports.Models = AccountModels(app.catalog, account)
        queued = folders.decide.Queued(
            account, quotas, turns, folders.decide.Asking(others, of_account, asking.control)
        )
        decide = folders.decide.Decide(asking, alarms, queued)
        found.append(
            {
                "task_queue": names.model_queue(account),
                "activities": [decide.decide, folders.compact.Compact(decide).compact],
                "activity_task_poller_behavior": PollerBehaviorSimpleMaximum(_POLLERS),
            }
        )
    return found
