"""Policy as the activities ask it: what is in force for an agent, and what people's consent is worth under it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from backstay.contracts import policy as port
from backstay.contracts.admission import ToolSpec
from backstay.kernel.approval import filled, same_person
from backstay.tools.facts import NAMED_BY_USER

from .bundle.build import Bundle
from .call import GateRequest, Ruling, RunFacts, ToolRules
from .cedar_gate import Gate as CedarGate


class Incidents(Protocol):
    """Tells whether an incident stop is in force."""

    def __call__(self, agent: str, tenant: str, tool: str) -> bool:
        """Whether one is, for a call like this."""
        ...


def no_incident(agent: str, tenant: str, tool: str) -> bool:
    """The answer while nothing can declare one."""
    return False


class Gate:
    """The bundles in force with their approver groups; an agent's may be exchanged at any time."""

    def __init__(self, incidents: Incidents = no_incident) -> None:
        self._cedar = CedarGate()
        self._groups: dict[str, Mapping[str, Sequence[str]]] = {}
        self._incidents = incidents

    def put(self, bundle: Bundle, groups: Mapping[str, Collection[str]]) -> None:
        """Puts a checked bundle in force for its agent, with the members of all groups it may ask."""
        self._groups = {**self._groups, bundle.agent: {name: tuple(people) for name, people in groups.items()}}
        self._cedar.replace(bundle)

    def version(self, agent: str) -> str:
        """Digest of the rules in force for an agent; empty where there are none."""
        return self._cedar.version(agent)

    def bundle(self, agent: str) -> Bundle:
        """Returns the rules in force for an agent.

        Raises:
            ConfigurationError: there are none.
        """
        return self._cedar.bundle(agent)

    def members(self, agent: str, group: str) -> Sequence[str]:
        """Who is in an approval group now."""
        return self._groups.get(agent, {}).get(group, ())

    def rule(self, call: port.GateCall) -> port.Ruling:
        """Decides one call; where it needs approval, people's consent is weighed: one person fills one seat."""
        request = self._request(call)
        ruling = self._cedar.decide(request)
        people = [person for person in call.consent.approved_by if _counts(person, call)]
        if ruling.groups and filled(ruling.groups, self._groups.get(call.agent, {}), people):
            ruling = self._cedar.decide(replace(request, approvals=frozenset(ruling.groups)))
        observed = f"{ruling.observed.outcome.value}: {_words(ruling.observed)}" if ruling.observed else ""
        return port.Ruling(
            outcome=ruling.outcome,
            code=ruling.code,
            rules=ruling.rules,
            message=ruling.message,
            groups=ruling.groups,
            reasons=(ruling.message,) if ruling.groups else (),
            observed=observed,
            policy_version=ruling.policy_version,
        )

    def _request(self, call: port.GateCall) -> GateRequest:
        spec, run = call.tool, call.run
        return GateRequest(
            run_id=call.run_id,
            agent=call.agent,
            tenant=call.tenant,
            step=call.step,
            tool=rules_of(spec),
            arguments=call.arguments,
            facts=call.facts,
            run=RunFacts(
                run.step, run.spent_usd, run.tool_calls, run.tool_calls_60s.get(spec.name, 0), frozenset(run.taint)
            ),
            incident=self._incidents(call.agent, call.tenant, spec.name),
            now=call.now,
        )


def rules_of(spec: ToolSpec) -> ToolRules:
    """A tool as rules see it; beside its own facts, each has the one about what the goal names."""
    facts = {**spec.facts, NAMED_BY_USER: "Set<String>"}
    return ToolRules(spec.name, spec.effect, tuple(spec.groups), spec.parameters, facts)


def _counts(person: str, call: port.GateCall) -> bool:
    """Who asked for the run, or changed the call, never counts."""
    barred = [*call.consent.editors, *([call.requested_by] if call.requested_by else [])]
    return not any(same_person(person, one) for one in barred)


def _words(ruling: Ruling) -> str:
    return ", ".join(ruling.rules) or ruling.message
