"""Policy as the activities ask it: what is in force for an agent, and what people's consent is worth under it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from backstay.contracts import gate as port
from backstay.kernel.approval import filled

from .bundle import Bundle
from .call import GateRequest, Ruling, RunFacts
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

    def bundle(self, agent: str) -> Bundle | None:
        """The rules in force for an agent."""
        return self._cedar.bundle(agent)

    def members(self, agent: str, group: str) -> Sequence[str]:
        """Who is in an approval group now."""
        return self._groups.get(agent, {}).get(group, ())

    def rule(self, call: port.GateCall) -> port.Ruling:
        """Decides one call."""
        request = self._request(call)
        ruling = self._cedar.decide(request)
        observed = f"{ruling.observed.outcome.value}: {_words(ruling.observed)}" if ruling.observed else ""
        asks = (ruling.message,) if ruling.groups else ()
        return port.Ruling(
            ruling.outcome, ruling.code, ruling.rules, ruling.message, ruling.groups, reasons=asks, observed=observed
        )

    def _request(self, call: port.GateCall) -> GateRequest:
        bundle = self._cedar.bundle(call.agent)
        tools = bundle.tools if bundle else {}
        return GateRequest(
            run_id=call.run_id,
            agent=call.agent,
            tenant=call.tenant,
            step=call.step,
            tool=tools[call.tool.name],
            arguments=call.arguments,
            facts=call.facts,
            run=RunFacts(
                call.run.step,
                call.run.spent_usd,
                call.run.tool_calls,
                call.run.tool_calls_60s.get(call.tool.name, 0),
                frozenset(call.run.taint),
            ),
            incident=self._incidents(call.agent, call.tenant, call.tool.name),
            now=call.now,
            approvals=self._granted(call),
        )

    def _granted(self, call: port.GateCall) -> frozenset[str]:
        """What the consent amounts to under the groups as they are now: who asked, or edited, never counts."""
        people = [person for person in call.consent.approved_by if self._counts(person, call)]
        groups = self._groups.get(call.agent, {})
        specs = {group if count == 1 else f"{group}:{count}" for group in groups for count in range(1, len(people) + 1)}
        return frozenset(spec for spec in specs if filled([spec], groups, people))

    def _counts(self, person: str, call: port.GateCall) -> bool:
        return person != call.requested_by and person not in call.consent.editors


def _words(ruling: Ruling) -> str:
    return ", ".join(ruling.rules) or ruling.message
