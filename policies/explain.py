"""Explains a verdict to people: what Cedar was shown, which rules matched, and what would change the outcome."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backstay.contracts.policy import PolicyCall
from backstay.kernel.verdict import Outcome, Verdict

from .bundle.build import Bundle, Slice
from .judge import Evaluation, evaluation_of, judge, verdict_of


@dataclass(frozen=True, slots=True)
class Explanation:
    """The reasons behind a verdict; unlike the verdict, they may repeat values of the call.

    Attributes:
        context: what rules saw, in Cedar's JSON; empty where the call was refused before any rule was asked.
        left_out: dotted paths of the values that Cedar cannot hold.
        permits: the permits that match.
        forbids: the forbids that match.
        liftable: the approval that lifts a matching forbid, by the forbid's id.
        permitted: whether the call would be allowed if no forbid matched.
        errors: what Cedar or a fact reported.
        changes: what would change the outcome, as sentences.
        observed: the verdict of all rules, where the agent's own are only observed.
    """

    verdict: Verdict
    context: Mapping[str, Any] = field(default_factory=dict[str, Any])
    left_out: tuple[str, ...] = ()
    permits: tuple[str, ...] = ()
    forbids: tuple[str, ...] = ()
    liftable: Mapping[str, str] = field(default_factory=dict[str, str])
    permitted: bool = False
    errors: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    observed: Verdict | None = None


def unasked(verdict: Verdict, errors: tuple[str, ...] = ()) -> Explanation:
    """Explains a refusal that came before any rule was asked."""
    return Explanation(verdict, errors=errors, changes=(f"{verdict.message}: no rule was asked",))


def explained(bundle: Bundle, call: PolicyCall) -> Explanation:
    """Judges a call and explains the verdict by the rules that are enforced."""
    verdict = judge(bundle, call)
    evaluation = evaluation_of(bundle, call)
    if isinstance(evaluation, Verdict):
        return unasked(verdict)
    rules = bundle.enforced.rules.values()
    permitting = evaluation.response(Slice.of(rule for rule in rules if rule.permits))
    # Apart from each other, because a forbid that matches keeps Cedar from naming the permits.
    forbidding = evaluation.response(Slice.of(rule for rule in rules if not rule.permits))
    forbids = forbidding.rules
    liftable = {rule: approval.spec for rule in forbids if (approval := bundle.enforced.rules[rule].approval)}
    return Explanation(
        verdict,
        context={**evaluation.request.context, "approvals": sorted(call.approvals)},
        left_out=tuple(sorted(".".join(path) for path in evaluation.left_out)),
        permits=permitting.rules,
        forbids=forbids,
        liftable=liftable,
        permitted=permitting.allowed,
        errors=(*permitting.errors, *forbidding.errors),
        changes=tuple(_changes(evaluation, verdict, permitting.allowed, forbids, liftable)),
        observed=verdict_of(evaluation, bundle.observed) if bundle.observed else None,
    )


def _changes(
    evaluation: Evaluation, verdict: Verdict, permitted: bool, forbids: tuple[str, ...], liftable: Mapping[str, str]
) -> list[str]:
    if verdict.outcome is Outcome.ALLOW:
        return []
    if verdict.groups:
        return [f"allowed once approved by {', '.join(f'`{group}`' for group in verdict.groups)}"]
    blinded = evaluation.blinded(evaluation.bundle.enforced)
    changes = [
        f"`{'.'.join(path)}` must be a value that rule `{rule}` can weigh" for rule, path in sorted(blinded.items())
    ]
    changes += [f"`{rule}` must not apply; no approval lifts it" for rule in forbids if rule not in liftable]
    if not permitted:
        changes.append("a rule must permit it")
    return changes
