"""Puts rules in force at the start and whenever they change: an agent's own, the organisation's, the generated ones."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
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

STILL_SECONDS = 1.0


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
    """Builds the rules of an agent and puts them in force, unless they are broken.

    Raises:
        ConfigurationError: the rules are broken; those in force stay.
    """
    gate.put(*built(agent, org))


def built(agent: Agent, org: Organisation) -> "tuple[folders.build.Bundle, Mapping[str, Sequence[str]]]":
    """Builds the rules of an agent, and returns them with the members of all groups that they may ask.

    Raises:
        ConfigurationError: the rules are broken.
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
    return folders.build.build(policy, [folders.source.RuleFile(name, text) for name, text in org.rules]), groups


async def keep_current(gate: "folders.gate.Gate", agents: Sequence[Agent], org_folders: Sequence[Path]) -> None:
    """Watches the files with rules and puts changes in force; broken and vanished rules change nothing."""
    places = {*(agent.folder for agent in agents), *org_folders}
    async for _ in awatch(*places, watch_filter=_holds_rules, recursive=False):
        await _still(places)
        reload(gate, agents, org_folders)


def reload(gate: "folders.gate.Gate", agents: Iterable[Agent], org_folders: Sequence[Path]) -> None:
    """Reads the rules again and exchanges those of each agent, unless they are broken or have vanished."""
    for agent in agents:
        before = gate.bundle(agent.name)
        try:
            config = read_config(agent.folder / "agent.toml")
            bundle, groups = built(replace(agent, config=config), load_organisation(org_folders))
            _check_none_vanished(before, bundle)
        except ConfigurationError as error:
            logger.error("the rules of %s stay as they were, the new ones are broken: %s", agent.name, error)
            continue
        gate.put(bundle, groups)
        if bundle.version != before.version:
            logger.warning("new rules are in force for %s: %s", agent.name, bundle.version)


def _check_none_vanished(before: "folders.build.Bundle", after: "folders.build.Bundle") -> None:
    """Refuses a change that leaves a file with no rules which had some: no slip of an editor may permit anything."""
    for file in sorted(before.files - after.files):
        mend = "put them back, or start the worker again to go without them"
        raise ConfigurationError("had rules, and has none now", where=file, mend=mend)


async def _still(places: Iterable[Path]) -> None:
    """Waits until no file with rules has changed for a second: a save may first empty a file, then write it."""
    before = None
    while (now := _stamps(places)) != before:
        before = now
        await asyncio.sleep(STILL_SECONDS)


def _stamps(places: Iterable[Path]) -> dict[str, tuple[int, int]]:
    """Returns size and time of change of every file that may hold rules."""
    found: dict[str, tuple[int, int]] = {}
    for place in places:
        with contextlib.suppress(OSError):  # a folder or a file may go away between two looks
            for file in place.iterdir():
                if _holds_rules(Change.modified, file.name):
                    seen = file.lstat()
                    found[str(file)] = (seen.st_size, seen.st_mtime_ns)
    return found


def _holds_rules(change: Change, path: str) -> bool:
    return path.endswith((".cedar", "agent.toml", "org.toml"))
