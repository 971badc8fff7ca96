"""Standing grants as one value: a person's yes to further calls, with an end, a number of uses and caps of meters.

INVARIANT: a grant is used at most as often as it says, never from its end on, never above a cap, and not at all once it
is revoked. Whoever asks again for the same use draws once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from .approval import Refusal
from .grantable import RuleText
from .person import same_person

REMEMBERED_MS = 86_400_000
"""The time for which a grant is shown after its end: one day."""
MOST_GRANTS = 500
MOST_USES = 10_000
"""The most uses that the grants of a tenant allow together, because each use is remembered until its grant ends."""

Amounts = Mapping[str, int]
"""Amounts of meters in ten-thousandths, by name."""


class GrantState(StrEnum):
    """The states of a standing grant; only a live one lets calls through."""

    LIVE = "live"
    USED_UP = "used_up"
    EXPIRED = "expired"
    REVOKED = "revoked"

    @property
    def over(self) -> bool:
        """True where nothing brings the grant back, such as a use that is given back."""
        return self in (GrantState.EXPIRED, GrantState.REVOKED)


@dataclass(frozen=True, slots=True)
class Revocation:
    """Records that a person took a grant back, with the reason and the time."""

    by: str
    reason: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """A use that a call asks for; its id makes it safe to ask again.

    Attributes:
        id: the use's id.
        tool: the call's tool.
        agent: the agent that calls.
        rules: every rule that asks people about the call.
        requester: who asked for the run.
        exposure: what the call adds to each meter.
        queue: the task queue of the run.
    """

    id: str
    tool: str
    agent: str
    rules: tuple[RuleText, ...]
    requester: str | None = None
    exposure: Amounts = field(default_factory=dict[str, int])
    queue: str = ""


@dataclass(frozen=True, slots=True)
class StandingGrant:
    """One grant: calls of this tool and agent that these rules ask about are let through.

    Attributes:
        id: the grant's id.
        tool: the tool.
        agent: the agent.
        rules: the rules that asked when it was given, each with its text.
        by: who gave it.
        run_id: the run in which it was given.
        approval_id: the approval that it came with.
        given_ms: when it was given.
        until_ms: the first moment at which it holds no more.
        uses: how many calls it lets through.
        exposure: the most that these may add to a meter together.
        used: what each use added to meters, by the id of the use.
        revoked: who took it back.
        queue: the task queue of the run in which it was given: fleets of other queues share no grant.
    """

    id: str
    tool: str
    agent: str
    rules: tuple[RuleText, ...]
    by: str
    run_id: str
    approval_id: str
    given_ms: int
    until_ms: int
    uses: int
    exposure: Amounts = field(default_factory=dict[str, int])
    used: Mapping[str, Amounts] = field(default_factory=dict[str, Amounts])
    revoked: Revocation | None = None
    queue: str = ""

    def state(self, now_ms: int) -> GrantState:
        """Returns where the grant stands at a moment."""
        if self.revoked is not None:
            return GrantState.REVOKED
        if now_ms >= self.until_ms:
            return GrantState.EXPIRED
        return GrantState.LIVE if self.uses_left else GrantState.USED_UP

    @property
    def uses_left(self) -> int:
        """The number of calls that it may still let through."""
        return self.uses - len(self.used)

    def exposure_left(self, meter: str) -> int:
        """Returns what further calls may add to a meter that the grant caps."""
        return self.exposure[meter] - sum(amounts.get(meter, 0) for amounts in self.used.values())

    def covers(self, wanted: Wanted) -> bool:
        """Tells whether it is for such a call, whatever is left of it; never for a run of the person who gave it."""
        same = (wanted.tool, wanted.agent, wanted.queue) == (self.tool, self.agent, self.queue)
        known = bool(wanted.rules) and set(wanted.rules) <= set(self.rules)
        return same and known and (wanted.requester is None or not same_person(wanted.requester, self.by))

    def has_room(self, wanted: Wanted, now_ms: int) -> bool:
        """Tells whether one more call fits."""
        live = self.state(now_ms) is GrantState.LIVE
        return live and all(wanted.exposure.get(meter, 0) <= self.exposure_left(meter) for meter in self.exposure)


@dataclass(frozen=True, slots=True)
class Use:
    """A use that was drawn: of which grant, by whom it was given, until when, and the how-manieth it is."""

    grant_id: str
    by: str
    until_ms: int
    rules: tuple[RuleText, ...]
    number: int
    uses: int


@dataclass(frozen=True, slots=True)
class Standing:
    """The standing grants of one tenant, by id."""

    grants: Mapping[str, StandingGrant] = field(default_factory=dict[str, StandingGrant])

    def give(self, grant: StandingGrant, now_ms: int) -> "Standing | Refusal":
        """Adds a grant, in place of those that are over where there is no room; one of the same id stays as it is."""
        if grant.id in self.grants:
            return self
        kept = self if self._has_room(grant) else self._without_over(now_ms)
        if not kept._has_room(grant):
            text = f"the tenant has {len(kept.grants)} grants, and all together may let {MOST_USES} calls through"
            return Refusal("TooManyGrants", f"{text}: grant fewer uses, or revoke some")
        return kept._with(grant)

    def use(self, wanted: Wanted, now_ms: int) -> "tuple[Standing, Use | None]":
        """Draws a use of the grant that ends first among those that fit; None where none does.

        Who asks again gets the same use, as long as its grant is neither over nor revoked.
        """
        before = next((one for one in self.grants.values() if wanted.id in one.used), None)
        if before is not None:
            return self, None if before.state(now_ms).over else _use(before)
        fitting = [one for one in self.grants.values() if one.covers(wanted) and one.has_room(wanted, now_ms)]
        if not fitting:
            return self, None
        chosen = min(fitting, key=lambda one: (one.until_ms, one.id))
        amounts = {meter: wanted.exposure.get(meter, 0) for meter in chosen.exposure}
        drawn = replace(chosen, used={**chosen.used, wanted.id: amounts})
        return self._with(drawn), _use(drawn)

    def give_back(self, use_id: str) -> "Standing":
        """Gives a use back of a call that did not happen; an unknown one changes nothing."""
        for grant in self.grants.values():
            if use_id in grant.used:
                used = {key: amounts for key, amounts in grant.used.items() if key != use_id}
                return self._with(replace(grant, used=used))
        return self

    def revoke(self, grant_id: str, revocation: Revocation) -> "Standing":
        """Takes a grant back; the first revocation stays, and an unknown id changes nothing."""
        grant = self.grants.get(grant_id)
        if grant is None or grant.revoked is not None:
            return self
        return self._with(replace(grant, revoked=revocation))

    def forgetting(self, now_ms: int) -> "Standing":
        """Returns the grants without those that ended a day before."""
        kept = {key: one for key, one in self.grants.items() if one.until_ms + REMEMBERED_MS > now_ms}
        return self if len(kept) == len(self.grants) else Standing(kept)

    def _has_room(self, grant: StandingGrant) -> bool:
        uses = sum(one.uses for one in self.grants.values())
        return len(self.grants) < MOST_GRANTS and uses + grant.uses <= MOST_USES

    def _without_over(self, now_ms: int) -> "Standing":
        return Standing({key: one for key, one in self.grants.items() if not one.state(now_ms).over})

    def _with(self, grant: StandingGrant) -> "Standing":
        return Standing({**self.grants, grant.id: grant})


def _use(grant: StandingGrant) -> Use:
    return Use(grant.id, grant.by, grant.until_ms, grant.rules, len(grant.used), grant.uses)
