"""Judges one call by one bundle: three outcomes out of Cedar's two."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from cedarpy import Schema

from backstay.contracts.policy import PolicyCall
from backstay.kernel.approval import Quorum, quorum_of, seats, strictest
from backstay.kernel.grantable import grantable
from backstay.kernel.verdict import Code, Outcome, Verdict

from .bundle.build import Bundle, Slice
from .bundle.rule import Rule
from .cedar.context import MismatchError, Path, mapped
from .cedar.engine import Request, Response, evaluate


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A call that fits its tool, ready to be put to Cedar under one bundle.

    Attributes:
        request: the call in Cedar's JSON.
        schema: what the request is checked against.
        left_out: the values that Cedar cannot hold.
    """

    bundle: Bundle
    call: PolicyCall
    request: Request
    schema: Schema
    left_out: tuple[Path, ...]

    def response(self, rules: Slice, approvals: Collection[str] = ()) -> Response:
        """Asks Cedar, with these approvals beside those that were granted."""
        request = replace(self.request, approvals=_granted((*self.request.approvals, *approvals)))
        # The check against the schema is half the cost; a context that passed it is not checked for further approvals.
        return evaluate(rules.policies, request, self.bundle.schema.entities, None if approvals else self.schema)

    def covering(self, rules: Slice) -> list[Rule]:
        """Returns the rules with a scope that fits the call."""
        call, groups = self.call, self.bundle.schema.tools[self.call.tool.name].groups
        return [rule for rule in rules.rules.values() if rule.covers(call.agent, call.tool.name, groups, call.tenant)]

    def blinded(self, rules: Slice) -> dict[str, Path]:
        """Returns the rules that depend on a value which Cedar cannot hold, each with the path of the value."""
        if not self.left_out:
            return {}
        covering = self.covering(rules)
        return {rule.id: path for path in self.left_out for rule in covering if rule.reads.depends_on(path)}


def judge(bundle: Bundle, call: PolicyCall) -> Verdict:
    """Judges a call; whatever leads to no clear yes is a no, or a question to people."""
    evaluation = evaluation_of(bundle, call)
    if isinstance(evaluation, Verdict):
        return evaluation
    verdict = verdict_of(evaluation, bundle.enforced)
    if bundle.observed is None:
        return verdict
    observed = verdict_of(evaluation, bundle.observed)
    return replace(verdict, observed=f"{observed.outcome.value}: {', '.join(observed.rules) or observed.message}")


def evaluation_of(bundle: Bundle, call: PolicyCall) -> Evaluation | Verdict:
    """Maps a call to Cedar, or refuses it before any rule is asked."""
    known = bundle.tools.get(call.tool.name)
    if known is None:
        return _denied(bundle, call, Code.UNKNOWN_TOOL, "there is no such tool")
    if known != call.tool:
        return _denied(bundle, call, Code.SCHEMA_DRIFT, "the tool is not the one that its rules were checked against")
    try:
        held = mapped(bundle.schema.tools[known.name], call)
    except MismatchError as mismatch:
        return _denied(bundle, call, Code.INVALID_ARGS, str(mismatch))
    schema = bundle.schema.loose if held.left_out else bundle.schema.strict
    request = Request(call.agent, known.name, call.tenant, held.context, call.approvals)
    return Evaluation(bundle, call, request, schema, held.left_out)


def verdict_of(evaluation: Evaluation, rules: Slice) -> Verdict:
    """Judges a call by some rules of its bundle."""
    bundle, call = evaluation.bundle, evaluation.call
    blinded = evaluation.blinded(rules)
    if blinded:
        paths = _listed({f"`{'.'.join(path)}`" for path in blinded.values()})
        message = f"{paths} has a value that rules cannot weigh: {_listed(f'`{rule}`' for rule in blinded)}"
        return _denied(bundle, call, Code.POLICY_ERROR, message, sorted(blinded))
    response = evaluation.response(rules)
    if response.errors:
        return _failed(evaluation, rules, response)
    if response.allowed:
        return Verdict(Outcome.ALLOW, Code.PERMITTED, call.digest, bundle.version, response.rules)
    forbids = [rules.rules[rule] for rule in response.rules]
    if not forbids:
        return _denied(bundle, call, Code.NOT_PERMITTED, "no rule permits it")
    if any(rule.approval is None for rule in forbids):
        return _denied(bundle, call, Code.FORBIDDEN, f"denied by {_reasons(forbids)}", response.rules)
    return _lifted(evaluation, rules, forbids)


def _lifted(evaluation: Evaluation, rules: Slice, forbids: Collection[Rule]) -> Verdict:
    """Asks people only where their yes lets the call through."""
    bundle, call = evaluation.bundle, evaluation.call
    quorums = strictest(rule.approval for rule in forbids if rule.approval is not None)
    groups = tuple(sorted(quorum.spec for quorum in quorums))
    response = evaluation.response(rules, groups)
    if response.errors:
        return _failed(evaluation, rules, response)
    if not response.allowed:
        return _denied(bundle, call, Code.NOT_PERMITTED, "no rule permits it, with any approval")
    message = f"needs approval by {_listed(f'`{group}`' for group in groups)}: {_reasons(forbids)}"
    ids = tuple(rule.id for rule in forbids)
    return Verdict(
        Outcome.REQUIRE_APPROVAL,
        Code.NEEDS_APPROVAL,
        call.digest,
        bundle.version,
        ids,
        message,
        groups,
        reasons=(message,),
        grantable=grantable((rule.text, rule.cap) for rule in forbids) if len(seats(groups)) == 1 else None,
    )


def _failed(evaluation: Evaluation, rules: Slice, response: Response) -> Verdict:
    """Denies a call that rules failed on; Cedar's words may repeat values of the call and stay out."""
    ids = sorted(rule for rule in rules.rules if any(f"policy `{rule}`" in error for error in response.errors))
    named = _listed(f"`{rule}`" for rule in ids)
    message = f"rules failed on this call: {named}" if ids else "rules cannot judge this call"
    return _denied(evaluation.bundle, evaluation.call, Code.POLICY_ERROR, message, ids)


def _denied(bundle: Bundle, call: PolicyCall, code: Code, message: str, rules: Iterable[str] = ()) -> Verdict:
    return Verdict(Outcome.DENY, code, call.digest, bundle.version, tuple(rules), message)


def _granted(specs: Iterable[str]) -> frozenset[str]:
    """Returns every spec that these fulfil: two yeses of a group are also one. Unreadable ones fulfil nothing."""
    quorums = [quorum for quorum in map(quorum_of, specs) if quorum is not None]
    return frozenset(Quorum(one.group, count).spec for one in quorums for count in range(1, one.count + 1))


def _reasons(rules: Iterable[Rule]) -> str:
    return "; ".join(f"`{rule.id}`" + (f" ({rule.reason})" if rule.reason else "") for rule in rules)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
