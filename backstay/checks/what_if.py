"""Asks the rules about a call that nobody makes: for tests of rules and for people who want to know why."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backstay.adapters.agent.folder import Agent
from backstay.adapters.tool.function import Tool
from backstay.app import folders
from backstay.contracts.problems import summary
from backstay.errors import ConfigurationError
from backstay.kernel.approval import filled, quorum, same_person
from backstay.kernel.arguments import Unreadable, read_arguments
from backstay.kernel.verdict import Code, Outcome
from backstay.tools.facts import NAMED_BY_USER, named_arguments

RUN_ID = "nobody-runs-this"


@dataclass(frozen=True, slots=True)
class Question:
    """A call, and what rules may know beside its arguments.

    Attributes:
        approvals: what was granted, as specs: "finance", or "finance:2" for two people.
        requested_by: who asked for the run: of the people in a group, this one never counts.
    """

    tool: str
    args: Mapping[str, Any]
    goal: str = ""
    requested_by: str | None = None
    tenant: str = "default"
    approvals: Sequence[str] = ()
    taint: Sequence[str] = ()
    step: int = 1
    spent_usd: int = 0
    tool_calls: int = 0
    tool_calls_60s: int = 0
    incident: bool = False
    now: int | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """What the rules say, with their explanation, and what the tool says of the arguments."""

    explanation: "folders.explain.Explanation"
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def ruling(self) -> "folders.call.Ruling":
        """Outcome, code, deciding rules, groups and message."""
        return self.explanation.ruling


def judged(gate: "folders.gate.Gate", agent: Agent, question: Question) -> Judged:
    """Puts a call to the rules that are in force for an agent, after the same checks that a real call passes.

    Raises:
        ConfigurationError: the agent lists no such tool, or an approval could not be given.
    """
    tool = agent.tools.get(question.tool)
    if tool is None:
        known = ", ".join(f"`{name}`" for name in agent.tools) or "none"
        what = f"the agent `{agent.name}` lists no tool `{question.tool}`"
        raise ConfigurationError(what, mend=f"its tools are: {known}")
    arguments = _arguments(question.args)
    if isinstance(arguments, Unreadable):
        return _refused(gate, agent, Code.INVALID_ARGS, arguments.problem)
    values = tool.typed(arguments)
    if isinstance(values, list):
        return _refused(gate, agent, Code.INVALID_ARGS, summary(values))
    try:
        facts = {**tool.facts(values), NAMED_BY_USER: named_arguments(question.goal, arguments)}
    except Exception as error:
        return _refused(gate, agent, Code.POLICY_ERROR, f"a fact failed: {type(error).__name__}: {error}")
    request = _request(gate, agent, tool, question, tool.held(values), facts)
    return Judged(folders.explain.explained(gate.bundle(agent.name), request), facts)


def _arguments(given: Mapping[str, Any]) -> dict[str, Any] | Unreadable:
    try:
        return read_arguments(json.dumps(given, ensure_ascii=False))
    except TypeError:
        return Unreadable("the arguments hold a date or a time, which JSON has not; write it as text")


def _refused(gate: "folders.gate.Gate", agent: Agent, code: Code, message: str) -> Judged:
    ruling = folders.call.Ruling(Outcome.DENY, code, (), message, policy_version=gate.bundle(agent.name).version)
    return Judged(folders.explain.Explanation(ruling, changes=(f"{message}: no rule was asked",)))


def _request(
    gate: "folders.gate.Gate",
    agent: Agent,
    tool: Tool,
    question: Question,
    arguments: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> "folders.call.GateRequest":
    return folders.call.GateRequest(
        run_id=RUN_ID,
        agent=agent.name,
        tenant=question.tenant,
        step=question.step,
        tool=folders.gate.rules_of(tool.spec),
        arguments=arguments,
        facts=facts,
        run=folders.call.RunFacts(
            question.step,
            question.spent_usd,
            question.tool_calls,
            question.tool_calls_60s,
            frozenset(question.taint),
        ),
        incident=question.incident,
        now=int(time.time()) if question.now is None else question.now,
        approvals=_granted(gate, agent, question),
    )


def _granted(gate: "folders.gate.Gate", agent: Agent, question: Question) -> frozenset[str]:
    """The approvals, each of which the people of its group could really give."""
    for spec in question.approvals:
        if folders.approval.approval_of(spec) is None:
            raise ConfigurationError(f"`{spec}` names no approval", mend='write "finance", or "finance:2"')
        group, count = quorum(spec)
        asker = question.requested_by or ""
        people = [person for person in gate.members(agent.name, group) if not same_person(person, asker)]
        if not filled([spec], {group: people}, people):
            what = f"the approval `{spec}` takes {count} of `{group}`, and {len(people)} may give it"
            raise ConfigurationError(what, mend="who asked for the run never counts")
    return frozenset(question.approvals)
