"""Composes the application from settings: agents, rules, secrets and notices, all checked before anything runs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from backstay.adapters.agent.catalog import Catalog
from backstay.adapters.agent.folder import Agent, load_agent, load_agents
from backstay.adapters.agent.limits import OrgLimits
from backstay.adapters.agent.organisation import load_organisation
from backstay.adapters.notice.webhook import Webhooks
from backstay.adapters.proof.verifier import NoProofs, Verifier, proofs_of
from backstay.adapters.secret.store import Secrets, worker_secrets
from backstay.app import folders
from backstay.app.rules import gate_of
from backstay.errors import ConfigurationError
from backstay.kernel.breaker import Breaker
from backstay.kernel.nearest import did_you_mean
from backstay.settings import Settings


@dataclass(frozen=True, slots=True)
class Application:
    """Holds the agents of a worker and everything that runs them; `backstay.app.worker` serves it."""

    settings: Settings
    catalog: Catalog
    secrets: Secrets
    gate: "folders.gate.Gate"
    webhooks: Webhooks
    proofs: Verifier | NoProofs
    limits: OrgLimits
    breakers: tuple[Breaker, ...] = ()

    def shares_effects(self) -> bool:
        """Tells whether a tool of an agent shares its effect between identical calls."""
        return any(tool.spec.dedupe for agent in self.catalog.agents.values() for tool in agent.tools.values())


def application(settings: Settings, only: Sequence[str] = ()) -> Application:
    """Reads and checks the agents.

    Args:
        settings: where the agents and rules lie, and which model they use.
        only: names of the agents to serve; default: all.

    Raises:
        ConfigurationError: an agent, a setting or a key is missing or cannot be used.
    """
    served = agents_of(settings, only)
    org = load_organisation(policy_folders(settings))
    catalog = Catalog(served, settings, org)
    addresses = {agent.name: agent.config.approval.notify for agent in served.values() if agent.config.approval.notify}
    secrets = worker_secrets(settings, served.values())
    webhooks = Webhooks(addresses, settings.webhook_secret, secrets)
    return Application(
        settings,
        catalog,
        secrets,
        gate_of(served.values(), org),
        webhooks,
        proofs_of(settings),
        org.limits,
        org.breakers,
    )


def agents_of(settings: Settings, only: Sequence[str] = ()) -> dict[str, Agent]:
    """Reads the agents that a worker would serve; needs no key of a model.

    Args:
        settings: where the agents lie.
        only: names of the agents to read; default: all.

    Raises:
        ConfigurationError: an agent cannot be used, or no agent has one of the names.
    """
    agents = load_agents(settings.agent_folders(folders.SHIPPED_AGENTS), Secrets(settings.secrets).read)
    if "default" not in agents:
        agents["default"] = load_agent(folders.SHIPPED_AGENTS / "default")
    check_known(only, agents)
    return {name: agent for name, agent in agents.items() if not only or name in only}


def check_known(only: Iterable[str], agents: Iterable[str]) -> None:
    """Checks that every name is the name of an agent.

    Raises:
        ConfigurationError: no agent has one of the names.
    """
    known = sorted(agents)
    for name in only:
        if name not in known:
            listed = f"known are {', '.join(f'`{agent}`' for agent in known)}"
            meant = did_you_mean(name, known)
            raise ConfigurationError(f"there is no agent `{name}`", mend=f"{meant} {listed}" if meant else listed)


def policy_folders(settings: Settings) -> list[Path]:
    """Returns the folders of the organisation's rules and limits: the shipped one, then those of the settings."""
    return [folders.SHIPPED_POLICIES, *settings.policies]
