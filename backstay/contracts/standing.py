"""Defines the messages between runs, workers, people and the standing grants of a tenant."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import AfterValidator, Field

from backstay.kernel.approval import Refusal
from backstay.kernel.grantable import RuleText
from backstay.kernel.meter import format_amount
from backstay.kernel.standing import GrantState, Revocation, Standing, StandingGrant, Use, Wanted

from .link import LinkInput
from .messages import Reason
from .person import Person
from .problems import Contract
from .run import Tenant

Id = Annotated[str, Field(min_length=1, max_length=1_000, strict=True)]
_MOST_RETURNED = 1_000


def _unused(grant: StandingGrant) -> StandingGrant:
    """Refuses a grant that would come with a past, or allow nothing."""
    if grant.used or grant.revoked or grant.uses < 1 or not grant.rules:
        raise ValueError("a new grant has rules and uses, and none of them is drawn")
    return grant


class GiveInput(Contract):
    """The input of `give_grant`, and of the update `give`: a grant as the run made it out."""

    grant: Annotated[StandingGrant, AfterValidator(_unused)]


class GiveResult(Contract):
    """The answer to it; `refusal` says why the grant does not stand."""

    refusal: Refusal | None = None


class UseInput(Contract):
    """The input of `use_grant`: a call that people are asked about, under a name that is its own in the run."""

    name: Id
    tool: str
    rules: list[RuleText]
    exposure: dict[str, int] = Field(default_factory=dict[str, int])


class WantedUse(Contract):
    """The input of the update `use`."""

    wanted: Wanted


class UseResult(Contract):
    """The answer to it: the use that was drawn; None where people have to be asked, with a reason where it failed."""

    use: Use | None = None
    trouble: str | None = None


class Returning(Contract):
    """Uses of calls that did not happen, by their ids."""

    uses: Annotated[list[Id], Field(max_length=_MOST_RETURNED)]


class Revoking(Contract):
    """Takes a standing grant back: the next call asks again.

    Attributes:
        grant_id: the grant.
        by: who takes it back: a claim.
        reason: why.
    """

    grant_id: Id
    by: Person
    reason: Reason


class StandingInput(LinkInput):
    """The input of `TenantGrants`: the tenant; the grants come from an earlier link of the same chain alone."""

    handed_on = ("standing",)

    tenant: Tenant
    standing: Standing | None = None


class GrantCap(Contract):
    """The most that one standing grant may allow.

    Attributes:
        uses: how many calls.
        hours: for how many hours.
    """

    uses: int
    hours: int


class RevokedBy(Contract):
    """Names the person who took a grant back.

    Attributes:
        by: who: a claim.
        reason: why.
        at: when, RFC 3339 in UTC.
    """

    by: str
    reason: str
    at: str

    @classmethod
    def of(cls, revocation: Revocation) -> Self:
        """Returns a revocation as people read it."""
        return cls(by=revocation.by, reason=revocation.reason, at=stamp(revocation.at_ms))


class GrantView(Contract):
    """A standing grant as people read it; times are RFC 3339 in UTC.

    Attributes:
        id: the grant's id.
        tenant: whose calls it lets through.
        agent: the agent that calls.
        tool: the tool that is called.
        rules: the ids of the rules that asked when it was given.
        by: who gave it.
        given: when.
        until: from when on it holds no more.
        uses: how many calls it lets through.
        uses_left: how many it still may.
        exposure: the most that these may add to a meter together.
        exposure_left: what further calls may add.
        state: `live`, `used_up`, `expired` or `revoked`.
        run_id: the run in which it was given.
        approval_id: the approval that it came with.
        task_queue: the task queue of the runs that may use it.
        revoked: who took it back.
    """

    id: str
    tenant: str
    agent: str
    tool: str
    rules: list[str]
    by: str
    given: str
    until: str
    uses: int
    uses_left: int
    exposure: dict[str, str] = Field(default_factory=dict[str, str])
    exposure_left: dict[str, str] = Field(default_factory=dict[str, str])
    state: GrantState
    run_id: str
    approval_id: str
    task_queue: str
    revoked: RevokedBy | None = None

    @classmethod
    def of(cls, grant: StandingGrant, tenant: str, now_ms: int) -> Self:
        """Returns a grant as it stands at a moment."""
        return cls(
            id=grant.id,
            tenant=tenant,
            agent=grant.agent,
            tool=grant.tool,
            rules=[rule.id for rule in grant.rules],
            by=grant.by,
            given=stamp(grant.given_ms),
            until=stamp(grant.until_ms),
            uses=grant.uses,
            uses_left=grant.uses_left,
            exposure=_amounts(grant.exposure),
            exposure_left=_amounts({name: grant.exposure_left(name) for name in grant.exposure}),
            state=grant.state(now_ms),
            run_id=grant.run_id,
            approval_id=grant.approval_id,
            task_queue=grant.queue,
            revoked=RevokedBy.of(grant.revoked) if grant.revoked else None,
        )


class StandingView(Contract):
    """All standing grants of a tenant, those that ended within a day included; the answer of the query `grants`."""

    tenant: str
    grants: list[GrantView]


def stamp(at_ms: int) -> str:
    """Writes milliseconds since the epoch as RFC 3339 in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _amounts(units: Mapping[str, int]) -> dict[str, str]:
    return {name: format_amount(amount) for name, amount in units.items()}
