"""Judges a call that nobody makes by the rules in force: for tests of rules, and for people who want to know why."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from backstay.adapters.agent.folder import Agent
from backstay.adapters.tool.placed import PlacedTool
from backstay.app import folders
from backstay.contracts.conversation import Decided, Item, Observed
from backstay.contracts.decision import Decision, ProposedCall
from backstay.contracts.policy import AuthorizeInput, PolicyCall, RunFacts
from backstay.errors import ConfigurationError
from backstay.kernel.approval import filled, quorum_of
from backstay.kernel.ledger_period import Period
from backstay.kernel.ledger_sums import Counts
from backstay.kernel.person import same_person
from backstay.kernel.sourcing import Sourcing
from backstay.kernel.verdict import Code, Outcome, Verdict

RUN_ID = "what-if"


@dataclass(frozen=True, slots=True)
class ResultBefore:
    """A result that the run has read before: the tool, the arguments it was called with, and the result."""

    tool: str
    args: Mapping[str, Any]
    result: Any


@dataclass(frozen=True, slots=True)
class WhatIf:
    """A call, and what rules may know beside its arguments.

    Attributes:
        approvals: granted approvals: "finance", or "finance:2" for two people.
        requested_by: the person who asked for the run, who can grant no approval.
        spent_usd: in micro-dollars.
        exposure: what the run has counted of each meter before, in ten-thousandths.
        counted: the same over all runs of the tenant, by meter and period; default, where it is counted for every
            tenant: what the run has counted.
        now: seconds since the epoch; None for the present.
        results: what the run has read before, in order.
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
    exposure: Mapping[str, int] = field(default_factory=dict[str, int])
    counted: Counts = field(default_factory=dict[str, Mapping[Period, int]])
    incident: bool = False
    now: int | None = None
    results: Sequence[ResultBefore] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict with its explanation, and the tool's facts about the arguments."""

    verdict: Verdict
    explanation: "folders.explain.Explanation"
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class _SupposedGate:
    """The gate of a what-if: the rules in force, under a supposed incident and supposed approvals.

    A run weighs consent only where that releases the call. A supposed approval always lifts its rules, so that a person
    sees which rules are left.
    """

    gate: "folders.gate.Gate"
    incident: bool
    approvals: frozenset[str]

    def version(self, agent: str) -> str:
        """Returns the digest of the rules in force for an agent."""
        return self.gate.version(agent)

    def members(self, agent: str, group: str) -> Sequence[str]:
        """Returns the people who are in an approval group."""
        return self.gate.members(agent, group)

    def reads_fact(self, agent: str, fact: str, version: str = "") -> bool:
        """Wants every fact: a person who writes rules looks for one to read."""
        return True

    def sourcing(self, agent: str, version: str = "") -> Sourcing:
        """Returns what is known of the agent's values, whether a rule reads where they come from or not."""
        return self.gate.bundle(agent).sourcing

    def judge(self, call: PolicyCall) -> Verdict:
        """Judges a call under the suppositions."""
        return folders.judge.judge(self.gate.bundle(call.agent), self._supposed(call))

    def explained(self, call: PolicyCall) -> "folders.explain.Explanation":
        """Explains the verdict over a call under the suppositions."""
        return folders.explain.explained(self.gate.bundle(call.agent), self._supposed(call))

    def _supposed(self, call: PolicyCall) -> PolicyCall:
        return replace(call, incident=self.incident, approvals=self.approvals)


@dataclass(frozen=True, slots=True)
class _Tools:
    """The tools of one agent."""

    agent: Agent

    def serves(self, agent: str) -> bool:
        """Tells whether that is the agent."""
        return agent == self.agent.name

    def tool(self, agent: str, name: str, version: str = "") -> PlacedTool | None:
        """Returns a tool of the agent."""
        return self.agent.tools.get(name) if agent == self.agent.name else None


def judged(gate: "folders.gate.Gate", agent: Agent, what_if: WhatIf) -> Judged:
    """Judges a call with the check that every run's calls pass, by the rules in force for an agent.

    Raises:
        ConfigurationError: the agent lists no such tool, or an approval could not be given.
    """
    tool = agent.tools.get(what_if.tool)
    if tool is None:
        known = ", ".join(f"`{name}`" for name in agent.tools) or "none"
        what = f"the agent `{agent.name}` lists no tool `{what_if.tool}`"
        raise ConfigurationError(what, mend=f"its tools are: {known}")
    try:
        arguments = json.dumps(what_if.args, ensure_ascii=False)
    except TypeError:
        message = "the arguments hold a date or a time, which JSON has not; write it as text"
        verdict = Verdict(Outcome.DENY, Code.INVALID_ARGS, "", gate.version(agent.name), message=message)
        return Judged(verdict, folders.explain.unasked(verdict))
    supposed = _SupposedGate(gate, what_if.incident, _granted(gate, agent, what_if))
    call = ProposedCall(call_id=RUN_ID, tool=what_if.tool, arguments=arguments)
    given = _authorize_input(agent, tool, what_if, call, gate.bundle(agent.name).schema.counted)
    reviewed = folders.review.Reviewer(_Tools(agent), supposed).review(given, call, _before(agent, what_if, call))
    if reviewed.call is None:
        fault = reviewed.fault
        if isinstance(fault, KeyboardInterrupt | SystemExit):
            raise fault  # a worker goes on whatever a fact raises; a person at a terminal meant to stop
        errors = () if fault is None else (f"{type(fault).__name__}: {fault}",)
        return Judged(reviewed.verdict, folders.explain.unasked(reviewed.verdict, errors))
    return Judged(reviewed.verdict, supposed.explained(reviewed.call), reviewed.call.facts)


def _authorize_input(
    agent: Agent, tool: PlacedTool, what_if: WhatIf, call: ProposedCall, counted: Mapping[str, Mapping[Period, bool]]
) -> AuthorizeInput:
    before = {
        name: {
            **{period: what_if.exposure.get(name, 0) for period, always in periods.items() if always},
            **what_if.counted.get(name, {}),
        }
        for name, periods in counted.items()
    }
    return AuthorizeInput(
        run_id=RUN_ID,
        run_key=RUN_ID,
        agent=agent.name,
        tenant=what_if.tenant,
        requested_by=what_if.requested_by,
        goal=what_if.goal,
        facts=RunFacts(
            step=what_if.step,
            spent_usd=what_if.spent_usd,
            tool_calls=what_if.tool_calls,
            tool_calls_60s={what_if.tool: what_if.tool_calls_60s},
            taint=list(what_if.taint),
            exposure=dict(what_if.exposure),
        ),
        now=int(time.time()) if what_if.now is None else what_if.now,
        calls=[call],
        tools={what_if.tool: tool.spec.digest},
        counted={RUN_ID: before},
    )


def _before(agent: Agent, what_if: WhatIf, call: ProposedCall) -> "folders.past.Before":
    """Returns the run up to the call, as if its decision followed the results.

    Raises:
        ConfigurationError: a result is of a tool that the agent does not list.
    """
    items: list[Item] = []
    for at, one in enumerate(what_if.results):
        if one.tool not in agent.tools:
            raise ConfigurationError(
                f"`results` names `{one.tool}`, which the agent does not list", mend="is it misspelt?"
            )
        made = ProposedCall(call_id=f"{RUN_ID}-{at}", tool=one.tool, arguments=json.dumps(one.args, default=str))
        text = one.result if isinstance(one.result, str) else json.dumps(one.result, ensure_ascii=False, default=str)
        items += [Decided(Decision(calls=[made])), Observed(made.call_id, text)]
    tools = [tool.spec for tool in agent.tools.values()]
    return folders.past.Before([*items, Decided(Decision(calls=[call]))], folders.past.RunPast(what_if.goal, tools))


def _granted(gate: "folders.gate.Gate", agent: Agent, what_if: WhatIf) -> frozenset[str]:
    """Returns the approvals, once the people of their groups could really give each of them."""
    for spec in what_if.approvals:
        quorum = quorum_of(spec)
        if quorum is None:
            raise ConfigurationError(f"`{spec}` names no approval", mend='write "finance", or "finance:2"')
        group = quorum.group
        asker = what_if.requested_by or ""
        people = [person for person in gate.members(agent.name, group) if not same_person(person, asker)]
        if not filled([spec], {group: people}, people):
            what = f"the approval `{spec}` takes {quorum.count} of `{group}`, and {len(people)} may give it"
            raise ConfigurationError(what, mend="who asked for the run never counts")
    return frozenset(what_if.approvals)
