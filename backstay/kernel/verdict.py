"""The verdict over one call: the outcome, the deciding rules, and the digest of the exact call."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from .grantable import Grantable, GrantRef
from .origins import Origins


class Outcome(StrEnum):
    """The three outcomes of policy."""

    ALLOW = "allow"
    DENY = "deny"
    REQUIRE_APPROVAL = "require_approval"


class Code(StrEnum):
    """The reason of a verdict, as a stable code that programs can compare."""

    PERMITTED = "permitted"
    NOT_PERMITTED = "not_permitted"
    FORBIDDEN = "forbidden"
    NEEDS_APPROVAL = "needs_approval"
    UNKNOWN_TOOL = "unknown_tool"
    INVALID_ARGS = "invalid_args"
    SCHEMA_DRIFT = "schema_drift"
    TOOL_BLOCKED = "tool_blocked"
    POLICY_ERROR = "policy_error"
    OUTCOME_UNKNOWN = "outcome_unknown"
    BUDGET_EXHAUSTED = "budget_exhausted"
    INVALID_EXPOSURE = "invalid_exposure"
    EXPOSURE_EXCEEDED = "exposure_exceeded"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision of policy over one call.

    `rules` are the ids of the deciding rules, sorted. `digest` is of the exact call: run, step, call, tool, tool
    schema and canonical arguments. `message` is what the model may read of a refusal. `groups` are the approvals that
    would release the call, as specs such as `finance:2`; `reasons` is what the rules say of themselves, `observed` what
    rules that are only observed would have decided. `exposure` is what the call adds to each meter, in ten-thousandths.
    `grantable` is what a standing grant for such calls may allow, where people are asked; `grant` names the one that
    let this call through. `origins` says where the call's values come from, where a rule reads that.
    """

    outcome: Outcome
    code: Code
    digest: str
    policy_version: str
    rules: tuple[str, ...] = ()
    message: str = ""
    groups: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    observed: str = ""
    exposure: Mapping[str, int] = field(default_factory=dict[str, int])
    grantable: Grantable | None = None
    grant: GrantRef | None = None
    origins: Origins | None = None

    @property
    def allowed(self) -> bool:
        """True where the call may be executed now."""
        return self.outcome is Outcome.ALLOW

    @property
    def unusable(self) -> bool:
        """True where the call was refused because it does not fit its tool, and not by a rule."""
        return self.code is Code.INVALID_ARGS


def narrower(one: Verdict, other: Verdict) -> Verdict:
    """Returns what two sets of rules say together of one call: both have to let it through.

    Where both want people, those of both are asked, and no standing grant stands for them.
    """
    ranks = {Outcome.DENY: 0, Outcome.REQUIRE_APPROVAL: 1, Outcome.ALLOW: 2}
    if ranks[one.outcome] != ranks[other.outcome]:
        first = one if ranks[one.outcome] < ranks[other.outcome] else other
        return replace(first, policy_version=one.policy_version)
    if one.outcome is not Outcome.REQUIRE_APPROVAL:
        return one
    return replace(
        one,
        rules=tuple(sorted({*one.rules, *other.rules})),
        groups=tuple(dict.fromkeys([*one.groups, *other.groups])),
        reasons=tuple(dict.fromkeys([*one.reasons, *other.reasons])),
        grantable=None,
    )
