"""Explains a decision to people: what Cedar was shown, which rules matched, and what would change the outcome."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backstay.kernel.verdict import Outcome

from .bundle.build import Bundle, Slice
from .call import GateRequest, Ruling
from .judge import Case, case_of, judge


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a call is decided as it is.

    Attributes:
        context: what rules saw, in Cedar's JSON; empty where the call was refused before any rule was asked.
        left_out: dotted paths of the values that Cedar cannot hold.
        permits: the permits that match.
        forbids: the forbids that match.
        liftable: the approval that lifts each of these, where one does.
        permitted: whether the call would be allowed if no forbid matched.
        errors: what Cedar reported; may repeat values of the call.
        changes: what would change the outcome, as sentences.
    """

    ruling: Ruling
    context: Mapping[str, Any] = field(default_factory=dict[str, Any])
    left_out: tuple[str, ...] = ()
    permits: tuple[str, ...] = ()
    forbids: tuple[str, ...] = ()
    liftable: Mapping[str, str] = field(default_factory=dict[str, str])
    permitted: bool = False
    errors: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()


def explained(bundle: Bundle, request: GateRequest) -> Explanation:
    """Decides a call and explains the decision by the rules that are enforced."""
    ruling = judge(bundle, request)
    case = case_of(bundle, request)
    if isinstance(case, Ruling):
        return Explanation(ruling, changes=(f"{ruling.message}: no rule was asked",))
    rules = bundle.enforced.rules.values()
    permitting = case.put(Slice.of(rule for rule in rules if rule.permits))
    # Apart from each other, because a forbid that matches keeps Cedar from naming the permits.
    forbidding = case.put(Slice.of(rule for rule in rules if not rule.permits))
    forbids = forbidding.rules
    liftable = {rule: approval.spec for rule in forbids if (approval := bundle.enforced.rules[rule].approval)}
    return Explanation(
        ruling=ruling,
        context={**case.question.context, "approvals": sorted(request.approvals)},
        left_out=tuple(sorted(".".join(path) for path in case.left_out)),
        permits=permitting.rules,
        forbids=forbids,
        liftable=liftable,
        permitted=permitting.allowed,
        errors=(*permitting.errors, *forbidding.errors),
        changes=tuple(_changes(case, ruling, permitting.allowed, forbids, liftable)),
    )


def _changes(
    case: Case, ruling: Ruling, permitted: bool, forbids: tuple[str, ...], liftable: Mapping[str, str]
) -> list[str]:
    if ruling.outcome is Outcome.ALLOW:
        return []
    if ruling.groups:
        return [f"allowed once approved by {', '.join(f'`{group}`' for group in ruling.groups)}"]
    blinded = case.blinded(case.bundle.enforced)
    changes = [
        f"`{'.'.join(path)}` must be a value that rule `{rule}` can weigh" for rule, path in sorted(blinded.items())
    ]
    changes += [f"`{rule}` must not apply; no approval lifts it" for rule in forbids if rule not in liftable]
    if not permitted:
        changes.append("a rule must permit it")
    return changes
