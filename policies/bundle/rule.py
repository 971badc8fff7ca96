"""Describes a rule: the calls it covers, the parts of a call it depends on, the approval that lifts it."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import StrEnum
from typing import Any, cast

from cedarpy import pst

from backstay.kernel.approval import Quorum
from backstay.kernel.grantable import Cap, RuleText

Path = tuple[str, ...]


class Origin(StrEnum):
    """The author of a rule."""

    ORG = "org"
    AGENT = "agent"
    GENERATED = "generated"


@dataclass(frozen=True, slots=True)
class Reads:
    """The parts of the context that a rule depends on: `values` it reads, `tests` it only tests with `has`."""

    values: frozenset[Path]
    tests: frozenset[Path]

    def depends_on(self, path: Path) -> bool:
        """Tells whether a value at this path could change the rule's result."""
        within = any(_starts(path, value) or _starts(value, path) for value in self.values)
        return within or any(_starts(test, path) for test in self.tests)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule in force; `template` is what Cedar evaluates, the exception for its approval included.

    `cap` limits the standing grants that its approval may be answered with, and `digest` is of its text; both only
    where it allows such grants.
    """

    id: str
    origin: Origin
    where: str
    template: pst.Template
    reads: Reads
    approval: Quorum | None = None
    reason: str = ""
    cap: Cap | None = None
    digest: str = ""

    @property
    def text(self) -> RuleText:
        """The rule as a standing grant knows it again."""
        return RuleText(self.id, self.digest)

    @property
    def permits(self) -> bool:
        """Tells a permit from a forbid."""
        return self.template.effect == "permit"

    @property
    def file(self) -> str:
        """The file it stands in; for a generated rule, a part of the setting's place."""
        return self.where.rpartition(":")[0]

    def says_the_same(self, other: "Rule") -> bool:
        """Tells whether another rule has the same effect on the same calls, word for word; ids may differ."""
        one, two = (replace(rule.template, id="", annotations={}) for rule in (self, other))
        return one == two

    def covers(self, agent: str, tool: str, groups: Collection[str], tenant: str | None = None) -> bool:
        """Tells whether its scope fits a call of a tool in these action groups; without a tenant, whether it could."""
        return (
            _party_fits(self.template.principal, "Agent", agent)
            and _action_fits(self.template.action, tool, groups)
            and _party_fits(self.template.resource, "Tenant", tenant)
        )


def lifted_by(template: pst.Template, approval: Quorum) -> pst.Template:
    """Adds the exception that lifts a rule once the approval was granted.

    The exception comes last, so that an error in the conditions before it shows with the approval as without it.
    """
    return replace(template, clauses=(*template.clauses, exception_for(approval.spec)))


def exception_for(spec: str) -> pst.Clause:
    """Returns `unless { context.approvals.contains(spec) }`."""
    approvals = pst.GetAttr(pst.Var("context"), "approvals")
    return pst.Unless(pst.BinaryOp("contains", approvals, pst.StringLit(spec)))


def reads_of(template: pst.Template) -> Reads:
    """Finds the parts of the context that a rule names; `()` is the context as a whole."""
    found = list(_reads(template.clauses))
    values = frozenset(path for path, tested in found if not tested)
    return Reads(values, frozenset(path for path, tested in found if tested))


def bare_tests(template: pst.Template) -> frozenset[str]:
    """Finds tests for attributes of the agent, the action or the tenant, which have none at all."""
    return frozenset(_bare_tests(template.clauses))


def actions_named(template: pst.Template) -> frozenset[str]:
    """Finds the ids of all actions that a rule names, in its scope or elsewhere."""
    return frozenset(uid.id for uid in pst.entity_uids(template) if str(uid.type) == "Action")


def _bare_tests(node: Any) -> Iterator[str]:
    if isinstance(node, pst.HasAttr) and isinstance(node.base, pst.Var) and node.base.name != "context":
        yield f"{node.base.name} has {node.attrs[0]}"
    for part in parts_of(node):
        yield from _bare_tests(part)


def _reads(node: Any) -> Iterator[tuple[Path, bool]]:
    """Yields every path below the context, and whether the rule only tests its presence."""
    path = context_path(node)
    if path is not None:
        yield path, False
    elif isinstance(node, pst.HasAttr) and (base := context_path(node.base)) is not None:
        yield (*base, *node.attrs), True
    else:
        for part in parts_of(node):
            yield from _reads(part)


def parts_of(node: Any) -> Iterator[Any]:
    """Yields the parts of a node of any kind, so that kinds which are new to Cedar are walked as well."""
    if isinstance(node, dict):
        yield from cast("dict[str, Any]", node).values()
    elif isinstance(node, tuple):
        yield from cast("tuple[Any, ...]", node)
    elif is_dataclass(node):
        for field in fields(node):
            yield getattr(node, field.name)


def context_path(node: Any) -> Path | None:
    """Returns the path below the context that an expression names; None for any other expression."""
    names: list[str] = []
    while isinstance(node, pst.GetAttr):
        names.append(node.attr)
        node = node.base
    return tuple(reversed(names)) if node == pst.Var("context") else None


def _party_fits(scope: pst.PrincipalOrResourceConstraint, kind: str, name: str | None) -> bool:
    """Matches a principal or resource scope; agents and tenants have no parents, so `in` means the entity itself."""
    match scope:
        case pst.ScopeAny():
            return True
        case pst.ScopeIs(entity_type):
            return str(entity_type) == kind
        case pst.ScopeIsIn(entity_type, entity):
            return str(entity_type) == kind and _is_entity(entity, kind, name)
        case pst.ScopeEq(entity) | pst.ScopeIn(entity):
            return _is_entity(entity, kind, name)


def _is_entity(entity: pst.EntityOrSlot, kind: str, name: str | None) -> bool:
    return isinstance(entity, pst.EntityUid) and str(entity.type) == kind and (name is None or entity.id == name)


def _action_fits(scope: pst.ActionConstraint, tool: str, groups: Collection[str]) -> bool:
    match scope:
        case pst.ScopeAny():
            return True
        case pst.ActionEq(entity):
            return _is_entity(entity, "Action", tool)
        case pst.ActionIn(entities):
            return any(str(entity.type) == "Action" and entity.id in {tool, *groups} for entity in entities)


def _starts(path: Path, head: Path) -> bool:
    return path[: len(head)] == head
