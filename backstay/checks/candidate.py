"""Reads a candidate bundle: rules, and agents where they are given, as a worker would put them in force."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backstay.adapters.agent.folder import Agent, tools_version, version_of
from backstay.adapters.agent.organisation import load_organisation
from backstay.app import folders
from backstay.app.application import agents_of, check_known, policy_folders
from backstay.app.rules import gate_of
from backstay.contracts.policy import AuthorizeInput
from backstay.errors import ConfigurationError
from backstay.ports import Tool
from backstay.settings import Settings

_RULES = ("*.cedar", "org.toml")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A bundle that is tried on the past.

    Attributes:
        gate: its rules.
        agents: its agents by name.
        versions: the versions of each agent that are known to have the same tools as the candidate's.
        engine: the host of the Temporal server, which no tool should reach.
    """

    gate: "folders.gate.Gate"
    agents: Mapping[str, Agent]
    versions: Mapping[str, frozenset[str]]
    engine: str = ""

    def serves(self, agent: str) -> bool:
        """Tells whether the candidate has an agent."""
        return agent in self.agents

    def tool(self, agent: str, name: str, version: str = "") -> Tool | None:
        """Returns a tool of an agent, whatever the version that a run was admitted with."""
        return self.agents[agent].tools.get(name) if agent in self.agents else None

    def digests(self, agent: str) -> dict[str, str]:
        """Returns the digest of each tool's schema of an agent, by name; none of one that the candidate lacks."""
        return (
            {name: tool.spec.digest for name, tool in self.agents[agent].tools.items()} if agent in self.agents else {}
        )

    def same_code(self, given: AuthorizeInput) -> bool:
        """Tells whether the tools of an agent are known to be those that a run was admitted with."""
        return given.version in self.versions.get(given.agent, ())


def candidate_of(
    settings: Settings, policies: Sequence[Path], agents: Sequence[Path], only: Sequence[str] = ()
) -> Candidate:
    """Reads a candidate.

    Args:
        settings: where agents and rules lie that the candidate does not bring.
        policies: folders of rules, in place of those of the settings; the shipped ones stay.
        agents: folders of agents, in place of those of the settings.
        only: names of agents that it must have.

    Raises:
        ConfigurationError: there is no such agent or folder, a folder of policies holds none, or the rules cannot be
            put in force.
    """
    _check(policies)
    brings = {**({"policies": [*policies]} if policies else {}), **({"agents": [*agents]} if agents else {})}
    wanted = settings.model_copy(update=brings)
    # All of them: the rules of an agent hold for the runs below its own too.
    found = agents_of(wanted)
    check_known(only, found)
    gate = gate_of(found.values(), load_organisation(policy_folders(wanted)))
    return Candidate(gate, found, {name: _versions(agent, settings) for name, agent in found.items()})


def _check(policies: Sequence[Path]) -> None:
    """Refuses a folder without rules, which would try the past without them.

    Raises:
        ConfigurationError: there is one.
    """
    for folder in policies:
        if not folder.is_dir():
            raise ConfigurationError("no such folder of policies", where=str(folder), mend="is it misspelt?")
        if not any(found for pattern in _RULES for found in folder.glob(pattern)):
            mend = "name the folder that has them, such as `policies/org`"
            raise ConfigurationError("holds neither `*.cedar` nor `org.toml`", where=str(folder), mend=mend)


def _versions(agent: Agent, settings: Settings) -> frozenset[str]:
    """Returns the versions with the agent's code: its own, and the one that is served, unless its code differs."""
    served = [root / agent.name for root in settings.agent_folders(folders.SHIPPED_AGENTS)]
    places = [folder for folder in served if (folder / "agent.toml").is_file()][:1]
    code = tools_version(agent.folder)
    return frozenset([agent.version, *(version_of(place) for place in places if tools_version(place) == code)])
