"""Reads files of rules, and finds what Cedar accepts although the author means something else."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from cedarpy import pst

from backstay.kernel.approval import Quorum, quorum_of
from backstay.kernel.grantable import MOST_HOURS, MOST_USES, Cap, cap_of
from backstay.kernel.person import people_keys

from ..cedar.engine import formatted, parsed
from .problem import RuleProblem
from .rule import Origin, Rule, bare_tests, exception_for, lifted_by, reads_of
from .source import Piece, RuleFile, pieces
from .unsure import UnsureError, closed

ANNOTATIONS = ("id", "approval", "grantable", "reason", "description")
_MAX_ID = 200


@dataclass(slots=True)
class Reading:
    """The rules that were read so far, and their problems.

    Attributes:
        groups: the approver groups and their members.
        vacant: the groups that rules may name although nobody is in them yet.
        rules: all that could be read; in force only where `problems` stays empty.
        unread: whether there are further rules, which could not be read.
    """

    groups: Mapping[str, Collection[str]]
    vacant: Collection[str] = ()
    rules: list[Rule] = field(default_factory=list[Rule])
    problems: list[RuleProblem] = field(default_factory=list[RuleProblem])
    unread: bool = False
    _ids: dict[str, tuple[str, Origin]] = field(default_factory=dict[str, tuple[str, Origin]])

    def read(self, file: RuleFile, origin: Origin) -> None:
        """Adds the rules of a file and their problems."""
        for piece in pieces(file.text):
            where = file.name if origin is Origin.GENERATED else f"{file.name}:{piece.line}"
            template = self._template(piece, where)
            if template is not None:
                self._add(template, where, origin)

    def _template(self, piece: Piece, where: str) -> pst.Template | None:
        try:
            found = parsed(piece.text)
        except (ValueError, RecursionError) as error:
            mend = "end each rule with `;`" if "end of input" in str(error) else ""
            self._report(where, f"not a Cedar rule: {str(error).removeprefix('cedarpy: ')}", mend)
            self.unread = True
            return None
        if found.templates:
            mend = 'name them: `principal == Agent::"support"`, or leave the place open: `principal`'
            self._report(where, "a template, with `?principal` or `?resource`, never applies", mend)
            return None
        return next(iter(found.static_policies.values()), None)

    def _add(self, template: pst.Template, where: str, origin: Origin) -> None:
        rule_id = template.annotations.get("id", "")
        self._check_id(rule_id, where, origin)
        for key in sorted(template.annotations.keys() - set(ANNOTATIONS)):
            known = ", ".join(f"`@{name}`" for name in ANNOTATIONS)
            self._report(where, f"unknown annotation `@{key}`", f"known are {known}")
        approval = self._approval(template, where)
        cap = self._cap(template, where)
        template = _without_own_exception(template, approval)
        template = self._closed(template, where)
        reads = reads_of(template)
        self._check_reads(reads.values | reads.tests, approval, where)
        for test in sorted(bare_tests(template)):
            self._report(where, f"`{test}` is never true: only `context` has attributes", "test a part of `context`")
        # A rule with problems is kept so that its other problems are found too: nothing is put in force then.
        reason = template.annotations.get("reason", "")
        lifted = replace(lifted_by(template, approval) if approval else template, id=rule_id or template.id)
        digest = f"sha256:{hashlib.sha256(formatted([lifted]).encode()).hexdigest()}" if cap else ""
        self.rules.append(Rule(rule_id, origin, where, lifted, reads, approval, reason, cap, digest))

    def _closed(self, template: pst.Template, where: str) -> pst.Template:
        try:
            return closed(template)
        except UnsureError as error:
            self._report(where, str(error), "ask with `contains` or `containsAny`, and join by `&&`, `||` and `!`")
            return template

    def _check_id(self, rule_id: str, where: str, origin: Origin) -> None:
        if not rule_id:
            self._report(where, "the rule has no `@id`", 'put `@id("a-short-name")` above it')
        elif len(rule_id) > _MAX_ID or not rule_id.isprintable():
            self._report(where, "the `@id` cannot be shown in one line", f"use at most {_MAX_ID} printable characters")
        elif rule_id in self._ids:
            place, owner = self._ids[rule_id]
            how = "redefines the org rule at" if owner is Origin.ORG is not origin else "repeats the id of"
            self._report(where, f'`@id("{rule_id}")` {how} {place}', "give the rule an id of its own")
        else:
            self._ids[rule_id] = (where, origin)

    def _approval(self, template: pst.Template, where: str) -> Quorum | None:
        spec = template.annotations.get("approval")
        if spec is None:
            return None
        if template.effect == "permit":
            mend = "write a forbid with `@approval` beside a permit without"
            self._report(where, "`@approval` stands on a permit: only a forbid can be lifted", mend)
            return None
        approval = quorum_of(spec)
        if approval is None:
            self._report(
                where, f'`@approval("{spec}")` names no group', 'write `@approval("finance")` or `("finance:2")`'
            )
        elif approval.group not in self.vacant:
            self.problems.extend(group_problems(approval, self.groups, where))
        return approval

    def _cap(self, template: pst.Template, where: str) -> Cap | None:
        spec = template.annotations.get("grantable")
        if spec is None:
            return None
        if template.effect == "permit" or "approval" not in template.annotations:
            mend = "put it beside the `@approval` of a forbid"
            self._report(where, "`@grantable` stands on a rule without `@approval`: nobody is asked", mend)
            return None
        cap = cap_of(spec)
        if cap is None:
            mend = f'write `@grantable("uses:20,hours:8")`, with at most {MOST_USES} uses and {MOST_HOURS} hours'
            self._report(where, f'`@grantable("{spec}")` does not say how many uses for how many hours', mend)
        return cap

    def _check_reads(self, paths: Iterable[tuple[str, ...]], approval: Quorum | None, where: str) -> None:
        heads = {path[:1] for path in paths}
        if ("approvals",) in heads:
            mend = "leave the `unless` to the loader" if approval else 'put `@approval("group")` on a forbid instead'
            self._report(where, "`context.approvals` is read: only `@approval` may lift a rule", mend)
        if () in heads:
            self._report(where, "`context` is used as a whole", "name its parts, such as `context.input.amount`")

    def _report(self, where: str, what: str, mend: str = "") -> None:
        self.problems.append(RuleProblem(where, what, mend))


def group_problems(approval: Quorum, groups: Mapping[str, Collection[str]], where: str) -> list[RuleProblem]:
    """Finds why an approval could never be given."""
    members = len(people_keys(groups.get(approval.group, ())))
    if members >= approval.count:
        return []
    if not members:
        what = f"the approval group `{approval.group}` has no members"
    else:
        what = f"{approval.count} people of the approval group `{approval.group}` must approve, it has {members}"
    return [RuleProblem(where, what, f"name them under `[approval] groups`: `{approval.group} = [...]`")]


def _without_own_exception(template: pst.Template, approval: Quorum | None) -> pst.Template:
    """Removes the `unless` that the loader adds, if its author wrote exactly that."""
    if approval is None:
        return template
    own = [exception_for(spec) for spec in (approval.spec, template.annotations["approval"])]
    return replace(template, clauses=tuple(clause for clause in template.clauses if clause not in own))
