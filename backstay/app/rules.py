"""Puts rules in force at the start and whenever they change: an agent's own, the organisation's, the generated ones."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from backstay.adapters.agent.config import read_config
from backstay.adapters.agent.exposure import counted_of
from backstay.adapters.agent.folder import Agent
from backstay.adapters.agent.organisation import Organisation, load_organisation
from backstay.adapters.agent.sourcing import sourcing_of
from backstay.adapters.agent.toml_file import read_text, with_line
from backstay.app import folders
from backstay.errors import ConfigurationError

logger = logging.getLogger("backstay.policy")

LOOK_SECONDS = 0.5
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
        where = with_line(f"{settings} [approval] groups.{taken[0]}")
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
        vacant=org.vacant,
        settings=str(settings),
        counted=counted_of(agent, org),
        sourcing=sourcing_of(agent, org),
    )
    try:
        return folders.build.build(policy, [folders.source.RuleFile(name, text) for name, text in org.rules]), groups
    except folders.problem.PolicyProblems as error:
        found = [replace(one, where=with_line(one.where)) for one in error.problems]
        raise folders.problem.PolicyProblems(found) from None


def schema_of(agent: Agent, org: Organisation) -> str:
    """Returns the Cedar schema of an agent's tools as JSON; it needs no rules that work.

    Raises:
        ConfigurationError: no schema can be made of the tools.
    """
    tools = [tool.spec for tool in agent.tools.values()]
    return folders.schema.agent_schema(tools, str(agent.folder / "agent.toml"), counted_of(agent, org)).text


Stamps = dict[str, tuple[tuple[int, int, int] | None, ...]]
Kept = Callable[[], Iterable[tuple[Agent, str]]]
"""Lists agents, each with the version under which open runs know it; empty for the one that is served."""


async def keep_current(gate: "folders.gate.Gate", kept: Kept, org_folders: Sequence[Path]) -> None:
    """Watches the files with rules and puts changes in force; broken and vanished rules change nothing.

    A file that was cut looks like one that was shortened on purpose: only a new start of the worker takes a rule away.
    """

    def stamps() -> Stamps:
        # Asked for each time: agents may come while others are served.
        return _stamps({*(agent.folder for agent, _ in kept()), *org_folders})

    seen = stamps()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if stamps() == seen:
            continue
        seen = await _still(stamps)
        refused = reload(gate, kept(), org_folders)
        # An edit of several files is under way for a while: only what stays refused is worth an alarm.
        if refused and await _still(stamps) == seen:
            served = [(agent, version) for agent, version in kept() if agent.name in refused and not version]
            for agent, error in reload(gate, served, org_folders).items():
                logger.error(
                    "the rules of %s stay as they were, the new ones are broken or take something away: %s",
                    agent,
                    error,
                )


def reload(
    gate: "folders.gate.Gate", kept: Iterable[tuple[Agent, str]], org_folders: Sequence[Path]
) -> dict[str, ConfigurationError]:
    """Reads the rules again and exchanges those of each agent, unless they are broken or would take something away.

    Returns:
        Why rules stay as they were, by the agent that is served with them.
    """
    refused: dict[str, ConfigurationError] = {}
    earlier: dict[tuple[str, str], list[str]] = {}
    for agent, version in kept:
        before = gate.bundle(agent.name, version)
        try:
            config = read_config(agent.folder / "agent.toml")
            bundle, groups = built(replace(agent, config=config), load_organisation(org_folders))
            check_none_vanished(before, bundle)
        except ConfigurationError as error:
            if version:
                earlier.setdefault((agent.name, str(error)), []).append(version)
            else:
                refused[agent.name] = error
            continue
        gate.put(bundle, groups, version)
        if bundle.version != before.version and not version:
            logger.warning("new rules are in force for %s: %s", agent.name, bundle.version)
    _tell_of_earlier(earlier, refused)
    return refused


def _tell_of_earlier(earlier: Mapping[tuple[str, str], Sequence[str]], refused: Container[str]) -> None:
    """Says which runs keep their rules, and why, unless nobody has the new rules yet."""
    for (agent, why), versions in earlier.items():
        if agent not in refused:
            known = ", ".join(version.removeprefix("sha256:")[:8] for version in versions)
            logger.warning(
                "open runs with an earlier version of %s (%s) keep the rules that they have: new ones do not fit, %s",
                agent,
                known,
                why.splitlines()[0],
            )


def check_none_vanished(before: "folders.build.Bundle", after: "folders.build.Bundle") -> None:
    """Refuses a change that takes a rule away or loosens a setting: no slip of an editor may permit anything.

    Raises:
        ConfigurationError: names what would be lost.
    """
    if lost := folders.loss.losses(before, after):
        mend = "put it back, or start the worker again to go without"
        raise ConfigurationError("; ".join(lost), mend=mend)


async def _still(stamps: Callable[[], Stamps]) -> Stamps:
    """Waits until no file with rules has changed for a second: a save may first empty a file, then write it."""
    before = None
    while (now := stamps()) != before:
        before = now
        await asyncio.sleep(STILL_SECONDS)
    return now


def _stamps(places: Iterable[Path]) -> Stamps:
    """Returns inode, size and time of change of every file that may hold rules, and of what a link leads to."""
    found: Stamps = {}
    for place in places:
        with contextlib.suppress(OSError):  # a folder or a file may go away between two looks
            for file in place.iterdir():
                if file.name.endswith((".cedar", ".csv", ".txt", "agent.toml", "org.toml")):
                    found[str(file)] = (_stamp(file.lstat), _stamp(file.stat))
    return found


def _stamp(look: Callable[[], os.stat_result]) -> tuple[int, int, int] | None:
    try:
        seen = look()
    except OSError:  # a link that leads nowhere
        return None
    return seen.st_ino, seen.st_size, seen.st_mtime_ns
