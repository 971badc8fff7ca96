"""Gives the verdict over a call under the bundle in force, and weighs people's consent."""

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from backstay.contracts.policy import PolicyCall
from backstay.errors import ConfigurationError
from backstay.kernel.approval import filled, same_person
from backstay.kernel.verdict import Code, Outcome, Verdict

from .bundle.build import Bundle
from .judge import judge

NO_RULES = "no rules are in force for this agent"


class Incidents(Protocol):
    """Tells whether an incident stop is in force."""

    def __call__(self, agent: str, tenant: str, tool: str) -> bool:
        """Tells whether one covers calls like this."""
        ...


def no_incident(agent: str, tenant: str, tool: str) -> bool:
    """Denies that there is an incident: nothing can declare one yet."""
    return False


@dataclass(frozen=True, slots=True)
class _InForce:
    """An agent's bundle, and the members of every group that its rules may ask."""

    bundle: Bundle
    groups: Mapping[str, Sequence[str]]


class Gate:
    """Judges calls. A bundle may be replaced at any time, from any thread: each call is judged by one bundle."""

    def __init__(self, incidents: Incidents = no_incident) -> None:
        self._incidents = incidents
        self._swap = threading.Lock()
        # INVARIANT: the mapping is never changed, only exchanged, so that readers need no lock.
        self._in_force: Mapping[str, _InForce] = {}

    def put(self, bundle: Bundle, groups: Mapping[str, Collection[str]]) -> None:
        """Puts a bundle in force for its agent. Building it has checked it: broken rules never get here."""
        new = _InForce(bundle, {name: tuple(people) for name, people in groups.items()})
        with self._swap:
            self._in_force = {**self._in_force, bundle.agent: new}

    def bundle(self, agent: str) -> Bundle:
        """Returns the bundle in force for an agent.

        Raises:
            ConfigurationError: no rules were put in force for it.
        """
        rules = self._in_force.get(agent)
        if rules is None:
            raise ConfigurationError(NO_RULES, where=agent)
        return rules.bundle

    def version(self, agent: str) -> str:
        """Returns the digest of the rules in force for an agent; empty where there are none."""
        rules = self._in_force.get(agent)
        return rules.bundle.version if rules else ""

    def members(self, agent: str, group: str) -> Sequence[str]:
        """Returns the people who are in an approval group now."""
        rules = self._in_force.get(agent)
        return rules.groups.get(group, ()) if rules else ()

    def judge(self, call: PolicyCall) -> Verdict:
        """Judges a call; where it needs approval, weighs the consent of people: one person fills one seat."""
        rules = self._in_force.get(call.agent)
        if rules is None:
            return Verdict(Outcome.DENY, Code.NOT_PERMITTED, call.digest, "", message=NO_RULES)
        incident = self._incidents(call.agent, call.tenant, call.tool.name)
        call = replace(call, incident=incident, approvals=frozenset())
        verdict = judge(rules.bundle, call)
        people = [person for person in call.consent.approved_by if _counts(person, call)]
        if verdict.groups and filled(verdict.groups, rules.groups, people):
            return judge(rules.bundle, replace(call, approvals=frozenset(verdict.groups)))
        return verdict


def _counts(person: str, call: PolicyCall) -> bool:
    """Tells whether a person's yes counts: that of the requester or of an editor never does."""
    barred = [*call.consent.editors, *([call.requested_by] if call.requested_by else [])]
    return not any(same_person(person, one) for one in barred)
