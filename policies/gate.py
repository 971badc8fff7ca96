"""Gives the verdict over a call under the bundle in force, and weighs people's consent."""

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from backstay.contracts.policy import PolicyCall
from backstay.errors import ConfigurationError
from backstay.kernel.approval import filled, names_of
from backstay.kernel.grantable import GrantRef
from backstay.kernel.person import same_person
from backstay.kernel.sourcing import Sourcing
from backstay.kernel.standing import Use
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
    """An agent's bundle, the members of every group that its rules may ask, and the facts that they read.

    `sourcing` is None where they do not read where values come from.
    """

    bundle: Bundle
    groups: Mapping[str, Sequence[str]]
    facts: frozenset[str]
    sourcing: Sourcing | None


class Gate:
    """Judges calls. A bundle may be replaced at any time, from any thread: each call is judged by one bundle."""

    def __init__(self, incidents: Incidents = no_incident) -> None:
        self._incidents = incidents
        self._swap = threading.Lock()
        # INVARIANT: the mapping is never changed, only exchanged, so that readers need no lock.
        self._in_force: Mapping[tuple[str, str], _InForce] = {}

    def put(self, bundle: Bundle, groups: Mapping[str, Collection[str]], version: str = "") -> None:
        """Puts a bundle in force for its agent. Building it has checked it: broken rules never get here.

        Args:
            bundle: the rules.
            groups: the members of every group that they may ask.
            version: of the agent, where open runs were admitted with an earlier one that has other tools.
        """
        people = {name: tuple(members) for name, members in groups.items()}
        sourcing = bundle.sourcing if bundle.reads_origins else None
        new = _InForce(bundle, people, bundle.facts_read(), sourcing)
        with self._swap:
            self._in_force = {**self._in_force, (bundle.agent, version): new}

    def _of(self, agent: str, version: str = "") -> _InForce | None:
        in_force = self._in_force
        return in_force.get((agent, version)) or in_force.get((agent, ""))

    def bundle(self, agent: str, version: str = "") -> Bundle:
        """Returns the bundle in force for an agent, or for an earlier version that is kept.

        Raises:
            ConfigurationError: no rules were put in force for it.
        """
        rules = self._of(agent, version)
        if rules is None:
            raise ConfigurationError(NO_RULES, where=agent)
        return rules.bundle

    def version(self, agent: str) -> str:
        """Returns the digest of the rules in force for an agent; empty where there are none."""
        rules = self._of(agent)
        return rules.bundle.version if rules else ""

    def members(self, agent: str, group: str) -> Sequence[str]:
        """Returns the people who are in an approval group now."""
        rules = self._of(agent)
        return rules.groups.get(group, ()) if rules else ()

    def reads_fact(self, agent: str, fact: str, version: str = "") -> bool:
        """Tells whether a rule in force for an agent depends on a fact; one that no rule reads need not be computed."""
        rules = self._of(agent, version)
        return rules is not None and fact in rules.facts

    def sourcing(self, agent: str, version: str = "") -> Sourcing | None:
        """Returns what is known of an agent's values; None where no rule in force reads where they come from."""
        rules = self._of(agent, version)
        return rules.sourcing if rules is not None else None

    def judge(self, call: PolicyCall) -> Verdict:
        """Judges a call; where it needs approval, weighs the consent of people: one person fills one seat."""
        rules = self._of(call.agent, call.version)
        if rules is None:
            return Verdict(Outcome.DENY, Code.NOT_PERMITTED, call.digest, "", message=NO_RULES)
        incident = self._incidents(call.agent, call.tenant, call.tool.name)
        call = replace(call, incident=incident, approvals=frozenset())
        verdict = judge(rules.bundle, call)
        people = [person for person in call.consent.approved_by if _counts(person, call)]
        if verdict.groups and filled(verdict.groups, rules.groups, people):
            return judge(rules.bundle, replace(call, approvals=frozenset(verdict.groups)))
        use = call.consent.use
        if use is not None and _lifts(use, verdict, call, rules.groups):
            released = judge(rules.bundle, replace(call, approvals=frozenset(verdict.groups)))
            return replace(released, grant=GrantRef(use.grant_id, use.by)) if released.allowed else released
        return _answerable(verdict, rules.groups)


def _answerable(verdict: Verdict, groups: Mapping[str, Sequence[str]]) -> Verdict:
    """Denies what would wait for people who are not there: a group that nobody is in yet."""
    empty = [name for name in names_of(verdict.groups) if not groups.get(name)]
    if verdict.outcome is not Outcome.REQUIRE_APPROVAL or not empty:
        return verdict
    message = (
        f"{verdict.message}; nobody is in the group `{empty[0]}` yet, so that nobody can approve: name people under "
        "`[groups]` in the org.toml of a folder in `BACKSTAY_POLICIES`"
    )
    denied = replace(verdict, outcome=Outcome.DENY, code=Code.FORBIDDEN, message=message)
    return replace(denied, groups=(), reasons=(), grantable=None)


def _lifts(use: Use, verdict: Verdict, call: PolicyCall, groups: Mapping[str, Sequence[str]]) -> bool:
    """Tells whether a use of a standing grant stands for the yes that is asked for.

    INVARIANT: the grant is for every rule that asks now, by its text, and who gave it could say yes to this very call.
    Time is told in seconds here: the second in which a grant ends is not its own.
    """
    asking = verdict.grantable
    same = asking is not None and set(asking.rules) <= set(use.rules)
    by = [use.by] if _counts(use.by, call) else []
    return same and (call.now + 1) * 1_000 <= use.until_ms and filled(verdict.groups, groups, by)


def _counts(person: str, call: PolicyCall) -> bool:
    """Tells whether a person's yes counts: that of the requester or of an editor never does."""
    barred = [*call.consent.editors, *([call.requested_by] if call.requested_by else [])]
    return not any(same_person(person, one) for one in barred)
