"""Builds the bundle of one agent: org rules, its own and the generated ones, checked and ready for evaluation."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from cedarpy import PolicySet, Schema

from backstay.contracts.admission import ToolSpec
from backstay.kernel.approval import quorum_of
from backstay.kernel.ledger_period import Period
from backstay.kernel.origins import PARTS
from backstay.kernel.sourcing import Sourcing

from ..cedar.engine import formatted, prepared
from ..cedar.schema import AgentSchema, Counted, agent_schema, schema_text, without_origins
from ..cedar.shape import Record
from .lint import Reading
from .problem import PolicyProblems, RuleProblem
from .rule import Origin, Rule, actions_named
from .source import RuleFile
from .typecheck import validated
from .words import misnamed

LISTED_TOOLS = "listed-tools"
NO_SOURCING = Sourcing()


@dataclass(frozen=True, slots=True)
class AgentPolicy:
    """The parts of an agent's folder that concern policy.

    Attributes:
        tools: the listed tools, patterns resolved.
        own: its policy.cedar, if it has one.
        permit: "listed" permits the listed tools by one generated rule; "explicit" leaves that to rules.
        require: tool name to approval spec; one generated rule each.
        mode: "observe" evaluates `own` without enforcing it.
        groups: all approver groups and their members, those of the organisation included.
        vacant: the groups that nobody is in yet; the gate denies what needs their approval.
        settings: the file that holds all this, as people are to read it in messages.
        counted: the meters that ledgers count, in which periods, and whether they do so for every tenant.
        sourcing: the registers of known values, and the sources that the agent accepts.
    """

    agent: str
    tools: Sequence[ToolSpec]
    own: RuleFile | None = None
    permit: Literal["listed", "explicit"] = "listed"
    require: Mapping[str, str] = field(default_factory=dict[str, str])
    mode: Literal["enforce", "observe"] = "enforce"
    groups: Mapping[str, Collection[str]] = field(default_factory=dict[str, Collection[str]])
    vacant: Collection[str] = ()
    settings: str = "agent.toml"
    counted: Counted = field(default_factory=dict[str, Mapping[Period, bool]])
    sourcing: Sourcing = NO_SOURCING


@dataclass(frozen=True, slots=True)
class Slice:
    """Rules that are evaluated together: by id, and as Cedar's policy set."""

    rules: Mapping[str, Rule]
    policies: PolicySet

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> "Slice":
        """Prepares rules for evaluation."""
        by_id = {rule.id: rule for rule in rules}
        return cls(by_id, prepared(rule.template for rule in by_id.values()))


@dataclass(frozen=True, slots=True)
class Bundle:
    """The rules of one agent, in force as a whole or not at all.

    Attributes:
        enforced: the rules that decide.
        observed: all rules, where the agent's own are only observed; else None.
        version: digest of `normalised()` and the schema.
        idle: org rules that can never apply to this agent.
        unknown: actions that org rules name and that are neither a tool nor a group of this agent.
        sourcing: the registers of known values, and the sources that the agent accepts.
    """

    agent: str
    tools: Mapping[str, ToolSpec]
    schema: AgentSchema
    enforced: Slice
    observed: Slice | None
    version: str
    idle: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    sourcing: Sourcing = NO_SOURCING

    @property
    def files(self) -> frozenset[str]:
        """The files that rules came from, enforced or observed; settings that rules stand for are none."""
        return frozenset(rule.file for rule in self.all_rules() if rule.origin is not Origin.GENERATED)

    def all_rules(self) -> Collection[Rule]:
        """Returns the rules, enforced or observed."""
        return (self.observed or self.enforced).rules.values()

    def facts_read(self) -> frozenset[str]:
        """Returns the names of the facts that some rule depends on, enforced or observed."""
        rules = self.all_rules()
        facts = [tool.context.attributes["facts"].shape for tool in self.schema.tools.values()]
        names = {name for shape in facts if isinstance(shape, Record) for name in shape.attributes}
        return frozenset(name for name in names if any(rule.reads.depends_on(("facts", name)) for rule in rules))

    @property
    def reads_origins(self) -> bool:
        """True where some rule, enforced or observed, depends on where the values of calls come from."""
        return _reads_origins(self.all_rules())

    def normalised(self) -> str:
        """Writes the rules in force as Cedar text, sorted by id, generated rules and added exceptions included."""
        return _normalised(self.enforced, self.observed)


def build(policy: AgentPolicy, org: Iterable[RuleFile] = ()) -> Bundle:
    """Builds an agent's bundle.

    Raises:
        PolicyProblems: lists everything that is wrong with the rules.
    """
    schema = agent_schema(policy.tools, policy.settings, policy.counted)
    reading = Reading(policy.groups, policy.vacant)
    for file in org:
        reading.read(file, Origin.ORG)
    for file in _generated(policy, reading.problems):
        reading.read(file, Origin.GENERATED)
    if policy.own is not None:
        reading.read(policy.own, Origin.AGENT)
    org_rules = [rule for rule in reading.rules if rule.origin is Origin.ORG]
    idle = [rule for rule in org_rules if not _concerns(rule, policy.agent, schema)]
    rules = [rule for rule in reading.rules if rule not in idle]
    unknown = _unknown(org_rules, schema)
    problems = [*reading.problems, *_misfits(rules, policy.agent, schema, unknown)]
    tools = {tool.name: tool for tool in policy.tools}
    problems += [problem for rule in rules for problem in misnamed(rule, tools, policy.sourcing)]
    observing = policy.mode == "observe"
    enforced = [rule for rule in rules if not observing or rule.origin is not Origin.AGENT]
    if not reading.unread:
        problems += _never_permitted(policy, enforced, schema)
    if problems:
        raise PolicyProblems(problems)
    enforced, observed = Slice.of(enforced), Slice.of(rules) if observing else None
    version = _digest(_normalised(enforced, observed), schema.text, *_known(policy.sourcing))
    if not _reads_origins(rules):
        schema = without_origins(schema)
    return Bundle(
        policy.agent,
        tools,
        schema,
        enforced,
        observed,
        version,
        tuple(sorted(rule.id for rule in idle)),
        unknown,
        policy.sourcing,
    )


def _generated(policy: AgentPolicy, problems: list[RuleProblem]) -> Iterable[RuleFile]:
    """Yields the rules that settings generate, each as a file named after its setting."""
    if policy.permit == "listed" and policy.tools:
        actions = ", ".join(f"Action::{_quoted(tool.name)}" for tool in policy.tools)
        text = f'@id("{LISTED_TOOLS}")\npermit(principal, action in [{actions}], resource);'
        yield RuleFile(f"{policy.settings} [policy] permit", text)
    names = {tool.name for tool in policy.tools}
    for tool, spec in sorted(policy.require.items()):
        place = f"{policy.settings} [approval] require.{tool}"
        if tool not in names:
            problems.append(RuleProblem(place, f"the agent lists no tool `{tool}`", "list it, or remove the line"))
        elif quorum_of(spec) is None:
            problems.append(RuleProblem(place, f"`{spec}` names no group", 'write "finance", or "finance:2"'))
        else:
            text = (
                f"@id({_quoted(f'approval-{tool}')}) @approval({_quoted(spec)})\n"
                f"forbid(principal, action == Action::{_quoted(tool)}, resource);"
            )
            yield RuleFile(place, text)


def _misfits(rules: Iterable[Rule], agent: str, schema: AgentSchema, unknown: Collection[str]) -> list[RuleProblem]:
    """Finds where rules do not fit the schema; org rules may name actions that only other agents have."""
    wide = Schema.from_json_str(schema_text(schema.tools, known=unknown)) if unknown else schema.strict
    return [
        problem
        for rule in rules
        for problem in validated(rule, agent, schema.tools, wide if rule.origin is Origin.ORG else schema.strict)
    ]


def _unknown(rules: Iterable[Rule], schema: AgentSchema) -> tuple[str, ...]:
    named = {action for rule in rules for action in actions_named(rule.template)}
    known = {*schema.tools, *json.loads(schema.text)[""]["actions"]}
    return tuple(sorted(named - known))


def _reads_origins(rules: Iterable[Rule]) -> bool:
    return any(rule.reads.depends_on((part,)) for rule in rules for part in PARTS)


def _concerns(rule: Rule, agent: str, schema: AgentSchema) -> bool:
    return any(rule.covers(agent, name, tool.groups) for name, tool in schema.tools.items())


def _never_permitted(policy: AgentPolicy, rules: Sequence[Rule], schema: AgentSchema) -> list[RuleProblem]:
    """Finds listed tools that no permit's scope covers."""
    permits = [rule for rule in rules if rule.permits]
    observing = "; permits that are only observed permit nothing" if policy.mode == "observe" else ""
    return [
        RuleProblem(
            policy.settings,
            f"no rule can ever permit the tool `{name}`{observing}",
            'set `permit = "listed"`' + ("" if observing else f", or add `{_permit(name)}`"),
        )
        for name, tool in schema.tools.items()
        if not any(rule.covers(policy.agent, name, tool.groups) for rule in permits)
    ]


def _permit(tool: str) -> str:
    return f"permit(principal, action == Action::{_quoted(tool)}, resource);"


def _normalised(enforced: Slice, observed: Slice | None) -> str:
    text = formatted(rule.template for rule in enforced.rules.values())
    if observed is None:
        return text
    only = [rule.template for rule in observed.rules.values() if rule.id not in enforced.rules]
    return f"{text}\n// observed, not enforced\n{formatted(only)}"


def _known(sourcing: Sourcing) -> list[str]:
    """Writes registers and doors as text, the same whatever their order was; nothing where there are none."""
    registers = [
        [one.name, one.org, sorted(one.domains), sorted([list(token) for token in value] for value in one.values)]
        for one in sorted(sourcing.registers, key=lambda register: register.name)
    ]
    doors = {tool: {name: sorted(words) for name, words in each.items()} for tool, each in sourcing.doors.items()}
    return [json.dumps([registers, doors], sort_keys=True)] if registers or doors else []


def _digest(*texts: str) -> str:
    return "sha256:" + hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _quoted(text: str) -> str:
    """Writes a Cedar string literal, with escapes for all but plain characters."""
    plain = (c if c.isascii() and c.isprintable() and c not in '"\\' else f"\\u{{{ord(c):x}}}" for c in text)
    return '"' + "".join(plain) + '"'
