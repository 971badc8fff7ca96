"""Puts rules in force at the start and whenever they change: an agent's own, the organisation's, the generated ones."""

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from watchfiles import Change, awatch  # pyright: ignore[reportUnknownVariableType]

from backstay.adapters.agent.config import read_config
from backstay.adapters.agent.folder import Agent
from backstay.adapters.agent.organisation import Organisation, load_organisation
from backstay.adapters.agent.toml_file import read_text
from backstay.app import folders
from backstay.errors import ConfigurationError

logger = logging.getLogger("backstay.policy")


def gate_of(agents: Iterable[Agent], org: Organisation) -> "folders.gate.Gate":
    """Builds the gate, with the rules of every agent in force.

    Raises:
        ConfigurationError: lists everything that is wrong with the rules of all agents.
    """
    gate = folders.gate.Gate()
    problems: list[ConfigurationError] = []
    for agent in agents:
        try:
            put_in_force(gate, agent, org)
        except ConfigurationError as error:
            problems.append(error)
    if problems:
        raise ConfigurationError("\n".join(dict.fromkeys(str(problem) for problem in problems)))
    return gate


def put_in_force(gate: "folders.gate.Gate", agent: Agent, org: Organisation) -> None:
    """Builds the rules of an agent and puts them in force.

    Raises:
        ConfigurationError: something is wrong with the rules; the former ones stay in force.
    """
    settings = agent.folder / "agent.toml"
    own = agent.folder / "policy.cedar"
    taken = sorted(set(agent.config.approval.groups) & set(org.groups))
    if taken:
        mend = "name another group, or leave the line out: rules may use the organisation's"
        where = f"{settings} [approval] groups.{taken[0]}"
        raise ConfigurationError(f"the group `{taken[0]}` is the organisation's", where=where, mend=mend)
    groups = {**agent.config.approval.groups, **org.groups}
    policy = folders.build.AgentPolicy(
        agent=agent.name,
        tools=[tool.spec for tool in agent.tools.values()],
        own=folders.source.RuleFile(str(own), read_text(own)) if os.path.lexists(own) else None,
        permit=agent.config.policy.permit,
        require=agent.config.approval.require,
        mode=agent.config.policy.mode,
        groups=groups,
        settings=str(settings),
    )
    gate.put(folders.build.build(policy, [folders.source.RuleFile(name, text) for name, text in org.rules]), groups)


async def keep_current(gate: "folders.gate.Gate", agents: Sequence[Agent], org_folders: Sequence[Path]) -> None:
    """Watches the files with rules and puts changes in force; broken rules change nothing."""
    places = {*(agent.folder for agent in agents), *org_folders}
    async for _ in awatch(*places, watch_filter=_holds_rules, recursive=False):
        reload(gate, agents, org_folders)


def reload(gate: "folders.gate.Gate", agents: Iterable[Agent], org_folders: Sequence[Path]) -> None:
    """Reads the rules again and exchanges those of each agent, unless they are broken."""
    for agent in agents:
        before = gate.version(agent.name)
        try:
            _check_still_there(gate, agent)
            config = read_config(agent.folder / "agent.toml")
            put_in_force(gate, replace(agent, config=config), load_organisation(org_folders))
        except ConfigurationError as error:
            logger.error("the rules of %s stay as they were, the new ones are broken: %s", agent.name, error)
            continue
        if gate.version(agent.name) != before:
            logger.warning("new rules are in force for %s: %s", agent.name, gate.version(agent.name))


def _check_still_there(gate: "folders.gate.Gate", agent: Agent) -> None:
    """Refuses rules without their file.

    An editor that rewrites a file removes it for a moment, and that must not permit anything.
    """
    own = agent.folder / "policy.cedar"
    if gate.bundle(agent.name).has_own_rules and not os.path.lexists(own):
        raise ConfigurationError("the file is gone", where=str(own), mend="put it back, or start the worker again")


def _holds_rules(change: Change, path: str) -> bool:
    return path.endswith((".cedar", "agent.toml", "org.toml"))
