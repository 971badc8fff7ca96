"""Finds everything that is wrong with the rules of agents, and rules of the organisation that can never apply."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backstay.adapters.agent.exposure import check_asked, unfed
from backstay.adapters.agent.folder import Agent, load_agent
from backstay.adapters.agent.organisation import Organisation, load_organisation
from backstay.adapters.agent.toml_file import line_of, with_line
from backstay.adapters.secret.store import Secrets
from backstay.app import folders
from backstay.app.application import check_known, policy_folders
from backstay.app.rules import put_in_force
from backstay.checks.cases import check_cases, read_cases
from backstay.errors import ConfigurationError
from backstay.settings import Settings

NOBODY = "nobody is in yet: what needs its approval is denied"
STAFF = "name people under `[groups]` in the org.toml of a folder in `BACKSTAY_POLICIES`"
FEED = "is it misspelt? A tool adds to a meter by `@tool(exposure=...)`"
NO_AGENT = "no folder in `BACKSTAY_AGENTS` has that name: is it misspelt?"
_WELL_KNOWN = frozenset(f"group:{name}" for name in ("external", "destructive", "payments", "invites"))
"""Groups that the shipped rules name even if no tool is in them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Holds one thing that is wrong.

    Attributes:
        where: the place, as `file:line` if it has one.
        what: what is wrong.
        mend: what to do about it.
    """

    where: str
    what: str
    mend: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.what}" + (f"; {self.mend}" if self.mend else "")


@dataclass(slots=True)
class Findings:
    """Holds everything that was found.

    Attributes:
        agents: names of the agents that were checked.
        rules: how many rules are enforced.
        problems: keep a worker from starting.
        warnings: do not.
    """

    agents: list[str] = field(default_factory=list[str])
    rules: int = 0
    problems: list[Finding] = field(default_factory=list[Finding])
    warnings: list[Finding] = field(default_factory=list[Finding])


def linted(settings: Settings, only: Sequence[str] = ()) -> Findings:
    """Checks the rules of agents; a problem of one agent keeps no other from being checked.

    Args:
        settings: where agents and rules lie.
        only: names of the agents to check; default: all.

    Raises:
        ConfigurationError: no agent has one of the names, or a folder of agents is missing.
    """
    places = _places(settings)
    check_known(only, places)
    found = Findings(agents=sorted(only or places))
    org = _organisation(settings, found)
    gate = folders.gate.Gate()
    loaded: list[Agent] = []
    for name, place in places.items():
        concerned = not only or name in only
        try:
            agent = load_agent(place, Secrets(settings.secrets).read)
            loaded.append(agent)
            if org is not None and concerned:
                put_in_force(gate, agent, org)
                check_asked(agent, org)
                check_cases(gate, agent, read_cases(agent))
                found.rules += len(gate.bundle(name).enforced.rules)
                found.warnings += _anonymous(agent, gate)
                found.warnings += _unfed(agent)
                found.warnings += _unstaffed(org, gate.bundle(name))
                found.warnings += [
                    Finding(doubt.where, doubt.what, doubt.mend) for doubt in folders.advice.advised(gate.bundle(name))
                ]
        except ConfigurationError as error:
            found.problems += _findings(error) if concerned else []
    if org is not None and len(loaded) == len(places):
        found.warnings += _unheard(org, loaded)
        found.warnings += _uncounted(org, loaded)
        found.warnings += _unserved(org, places)
    found.problems = list(dict.fromkeys(found.problems))
    found.warnings = list(dict.fromkeys(found.warnings))
    return found


def _anonymous(agent: Agent, gate: "folders.gate.Gate") -> list[Finding]:
    """Warns of approvals that whoever asked for the run may answer, because a run need not say who that is."""
    table, bundle = agent.config.approval, gate.bundle(agent.name)
    rules = bundle.enforced.rules.values()
    asks = (
        table.unknown
        or table.budget
        or any(
            rule.approval and rule.covers(agent.name, name, tool.spec.groups)
            for rule in rules
            if not folders.words.sees_nothing(rule, agent.name, bundle.tools)
            for name, tool in agent.tools.items()
        )
    )
    if table.requester_required or not asks:
        return []
    file = agent.folder / "agent.toml"
    line = line_of(file.read_text("utf-8"), "approval.requester_required") or 1
    what = "people approve its calls, and a run need not say who asked for it: whoever did may approve their own"
    return [Finding(f"{file}:{line}", what, "set `requester_required = true` under `[approval]`")]


def _unstaffed(org: Organisation, bundle: "folders.build.Bundle") -> list[Finding]:
    """Finds rules that ask a group which nobody is in yet: what they are about is denied."""
    rules = (bundle.observed or bundle.enforced).rules.values()
    return [
        Finding(rule.where, f"`{rule.id}` asks `{rule.approval.group}`, which {NOBODY}", STAFF)
        for rule in rules
        if rule.approval is not None
        and rule.approval.group in org.vacant
        and not folders.words.sees_nothing(rule, bundle.agent, bundle.tools)
    ]


def _unfed(agent: Agent) -> list[Finding]:
    """Finds limits of meters that no tool of the agent adds to."""
    file = agent.folder / "agent.toml"
    text = file.read_text("utf-8")
    return [
        Finding(f"{file}:{line_of(text, f'exposure.{name}') or 1}", f"`exposure.{name}` limits nothing", FEED)
        for name in unfed(agent)
    ]


def _uncounted(org: Organisation, agents: Iterable[Agent]) -> list[Finding]:
    """Finds limits of the organisation for meters that no agent counts: a misspelt name limits nothing."""
    fed = {name for agent in agents for tool in agent.tools.values() for name in tool.spec.exposure}
    named = dict.fromkeys([*org.exposure, *org.limits.meters()])
    return [Finding("org.toml", f"`exposure.{name}` limits nothing", FEED) for name in named if name not in fed]


def _unserved(org: Organisation, known: Collection[str]) -> list[Finding]:
    """Finds limits of the organisation for agents that are not there: a misspelt name limits nothing."""
    missing = (name for name in dict.fromkeys(org.limits.agents()) if name not in known)
    return [Finding("org.toml", f"`limits.agents.{name}` limits nothing", NO_AGENT) for name in missing]


def _places(settings: Settings) -> Mapping[str, Path]:
    """Returns the folder of every agent by name, as a worker chooses it."""
    found: dict[str, Path] = {}
    for root in settings.agent_folders(folders.SHIPPED_AGENTS):
        if not root.is_dir():
            raise ConfigurationError("no such folder of agents", where=str(root), mend="see `BACKSTAY_AGENTS`")
        for file in sorted(root.glob("*/agent.toml")):
            found.setdefault(file.parent.name, file.parent)
    found.setdefault("default", folders.SHIPPED_AGENTS / "default")
    return found


def _organisation(settings: Settings, found: Findings) -> Organisation | None:
    try:
        return load_organisation(policy_folders(settings))
    except ConfigurationError as error:
        found.problems += _findings(error)
        return None


def _findings(error: ConfigurationError) -> list[Finding]:
    several: Iterable[Any] | None = getattr(error, "problems", None)
    if several is None:
        return [Finding(with_line(error.where or ""), error.what, error.mend or "")]
    return [Finding(with_line(one.where), one.what, one.mend) for one in several]


def _unheard(org: Organisation, agents: Iterable[Agent]) -> list[Finding]:
    """Finds rules of the organisation that name an action no agent has: a misspelt name guards nothing."""
    known = {"effect:read", "effect:write", "effect:once", *_WELL_KNOWN}
    for agent in agents:
        for name, tool in agent.tools.items():
            known |= {name, *(f"group:{group}" for group in tool.spec.groups)}
    return [
        Finding(where, f"no agent has the action `{action}`", "is it misspelt?")
        for file, text in org.rules
        for where, actions in _named(file, text)
        for action in sorted(actions - known)
    ]


def _named(file: str, text: str) -> Iterable[tuple[str, frozenset[str]]]:
    for piece in folders.source.pieces(text):
        try:
            parsed = folders.engine.parsed(piece.text)
        except (ValueError, RecursionError):
            continue  # reported among the problems already
        for template in parsed.static_policies.values():
            yield f"{file}:{piece.line}", folders.rule.actions_named(template)
