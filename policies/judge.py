"""Judges one call by one bundle: three outcomes out of Cedar's two."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from cedarpy import Schema

from backstay.kernel.verdict import Code, Outcome

from .bundle.approval import granted, needed
from .bundle.build import Bundle, Slice
from .bundle.rule import Rule
from .call import GateRequest, Ruling
from .cedar.context import Mapped, MismatchError, Path, mapped
from .cedar.engine import Answer, Question, evaluate


@dataclass(frozen=True, slots=True)
class Case:
    """A call that fits its tool, ready to be put to Cedar."""

    bundle: Bundle
    question: Question
    schema: Schema
    left_out: tuple[Path, ...]

    def put(self, rules: Slice, approvals: Collection[str] = ()) -> Answer:
        """Asks Cedar, with these approvals beside those that were granted."""
        question = replace(self.question, approvals=granted((*self.question.approvals, *approvals)))
        # The check against the schema is half the cost; a context that passed it is not checked for further approvals.
        return evaluate(rules.policies, question, self.bundle.schema.entities, None if approvals else self.schema)

    def covering(self, rules: Slice) -> list[Rule]:
        """The rules whose scope fits the call."""
        asked, groups = self.question, self.bundle.schema.tools[self.question.tool].groups
        return [rule for rule in rules.rules.values() if rule.covers(asked.agent, asked.tool, groups, asked.tenant)]

    def blinded(self, rules: Slice) -> dict[str, Path]:
        """The rules that depend on a value which Cedar cannot hold, and on which."""
        if not self.left_out:
            return {}
        covering = self.covering(rules)
        return {rule.id: path for path in self.left_out for rule in covering if rule.reads.depends_on(path)}


def judge(bundle: Bundle, request: GateRequest) -> Ruling:
    """Decides a call; whatever does not lead to a clear yes is a no, or a question to people."""
    case = case_of(bundle, request)
    if isinstance(case, Ruling):
        return case
    ruling = ruled(case, bundle.enforced)
    return replace(ruling, observed=ruled(case, bundle.observed)) if bundle.observed else ruling


def case_of(bundle: Bundle, request: GateRequest) -> Case | Ruling:
    """The call as Cedar will see it, or why it is refused before Cedar is asked."""
    known = bundle.tools.get(request.tool.name)
    if known is None:
        return _refused(bundle, Code.UNKNOWN_TOOL, "there is no such tool")
    if known != request.tool:
        return _refused(bundle, Code.SCHEMA_DRIFT, "the tool is not the one that its rules were checked against")
    try:
        held: Mapped = mapped(bundle.schema.tools[known.name], request)
    except MismatchError as mismatch:
        return _refused(bundle, Code.INVALID_ARGS, str(mismatch))
    schema = bundle.schema.loose if held.left_out else bundle.schema.strict
    question = Question(request.agent, known.name, request.tenant, held.context, request.approvals)
    return Case(bundle, question, schema, held.left_out)


def ruled(case: Case, rules: Slice) -> Ruling:
    """What these rules say of a call."""
    version = case.bundle.version
    blinded = case.blinded(rules)
    if blinded:
        paths = _listed({f"`{'.'.join(path)}`" for path in blinded.values()})
        message = f"{paths} has a value that rules cannot weigh: {_listed(f'`{rule}`' for rule in blinded)}"
        return Ruling(Outcome.DENY, Code.POLICY_ERROR, tuple(sorted(blinded)), message, policy_version=version)
    answer = case.put(rules)
    if answer.errors:
        return failed(answer, rules, version)
    if answer.allowed:
        return Ruling(Outcome.ALLOW, Code.PERMITTED, answer.rules, policy_version=version)
    forbids = [rules.rules[rule] for rule in answer.rules]
    if not forbids:
        return _refused(case.bundle, Code.NOT_PERMITTED, "no rule permits it")
    approvals = [rule.approval for rule in forbids if rule.approval is not None]
    if len(approvals) < len(forbids):
        message = f"denied by {_reasons(forbids)}"
        return Ruling(Outcome.DENY, Code.FORBIDDEN, answer.rules, message, policy_version=version)
    return _lifted(case, rules, forbids, needed(approvals))


def failed(answer: Answer, rules: Slice, version: str) -> Ruling:
    """The refusal of a call that rules could not be evaluated for; Cedar's words may repeat values and stay out."""
    ids = tuple(sorted(rule for rule in rules.rules if any(f"policy `{rule}`" in error for error in answer.errors)))
    which = (
        f"rules failed on this call: {_listed(f'`{rule}`' for rule in ids)}" if ids else "rules cannot judge this call"
    )
    return Ruling(Outcome.DENY, Code.POLICY_ERROR, ids, which, policy_version=version)


def _lifted(case: Case, rules: Slice, forbids: Sequence[Rule], groups: tuple[str, ...]) -> Ruling:
    """People are asked only where their yes lets the call through."""
    version = case.bundle.version
    answer = case.put(rules, groups)
    if answer.errors:
        return failed(answer, rules, version)
    if not answer.allowed:
        return _refused(case.bundle, Code.NOT_PERMITTED, "no rule permits it, with any approval")
    ids = tuple(rule.id for rule in forbids)
    message = f"needs approval by {_listed(f'`{group}`' for group in groups)}: {_reasons(forbids)}"
    return Ruling(Outcome.REQUIRE_APPROVAL, Code.NEEDS_APPROVAL, ids, message, groups, version)


def _refused(bundle: Bundle, code: Code, message: str) -> Ruling:
    return Ruling(Outcome.DENY, code, (), message, policy_version=bundle.version)


def _reasons(rules: Iterable[Rule]) -> str:
    return "; ".join(f"`{rule.id}`" + (f" ({rule.reason})" if rule.reason else "") for rule in rules)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
