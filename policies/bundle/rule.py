"""A rule: what its scope covers, which parts of a call it depends on, which approval lifts it."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import StrEnum
from typing import Any, cast

from cedarpy import pst

from .approval import Approval

Path = tuple[str, ...]


class Origin(StrEnum):
    """Who wrote a rule."""

    ORG = "org"
    AGENT = "agent"
    GENERATED = "generated"


@dataclass(frozen=True, slots=True)
class Reads:
    """The parts of the context that a rule depends on: `values` it looks at, `tests` whose presence it asks for."""

    values: frozenset[Path]
    tests: frozenset[Path]

    def depends_on(self, path: Path) -> bool:
        """Whether the rule could come out differently for a value at this path."""
        within = any(_starts(path, value) or _starts(value, path) for value in self.values)
        return within or any(_starts(test, path) for test in self.tests)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule in force; `template` is what is evaluated, the lifting by approval included."""

    id: str
    origin: Origin
    where: str
    template: pst.Template
    reads: Reads
    approval: Approval | None = None
    reason: str = ""

    @property
    def permits(self) -> bool:
        """Whether it is a permit; otherwise it is a forbid."""
        return self.template.effect == "permit"

    def covers(self, agent: str, tool: str, groups: Collection[str], tenant: str | None = None) -> bool:
        """Whether its scope fits a call of a tool in these action groups; without a tenant, whether one could fit."""
        return (
            _party_fits(self.template.principal, "Agent", agent)
            and _action_fits(self.template.action, tool, groups)
            and _party_fits(self.template.resource, "Tenant", tenant)
        )


def lifted_by(template: pst.Template, approval: Approval) -> pst.Template:
    """The rule, not applying once the approval was granted.

    The exception comes last, so that an error in the conditions before it shows with the approval as without it.
    """
    return replace(template, clauses=(*template.clauses, exception_for(approval.spec)))


def exception_for(spec: str) -> pst.Clause:
    """`unless { context.approvals.contains(spec) }`."""
    approvals = pst.GetAttr(pst.Var("context"), "approvals")
    return pst.Unless(pst.BinaryOp("contains", approvals, pst.StringLit(spec)))


def reads_of(template: pst.Template) -> Reads:
    """The parts of the context that a rule names; `()` is the context as a whole."""
    found = list(_reads(template.clauses))
    values = frozenset(path for path, tested in found if not tested)
    return Reads(values, frozenset(path for path, tested in found if tested))


def bare_tests(template: pst.Template) -> frozenset[str]:
    """The names that a rule looks for on the agent, the action or the tenant, which have no attributes at all."""
    return frozenset(_bare_tests(template.clauses))


def actions_named(template: pst.Template) -> frozenset[str]:
    """The ids of all actions that a rule names, in its scope or elsewhere."""
    return frozenset(uid.id for uid in pst.entity_uids(template) if str(uid.type) == "Action")


def _bare_tests(node: Any) -> Iterator[str]:
    if isinstance(node, pst.HasAttr) and isinstance(node.base, pst.Var) and node.base.name != "context":
        yield f"{node.base.name} has {node.attrs[0]}"
    for part in _parts(node):
        yield from _bare_tests(part)


def _reads(node: Any) -> Iterator[tuple[Path, bool]]:
    """Every path below the context, and whether only its presence is tested."""
    path = _path(node)
    if path is not None:
        yield path, False
    elif isinstance(node, pst.HasAttr) and (base := _path(node.base)) is not None:
        yield (*base, *node.attrs), True
    else:
        for part in _parts(node):
            yield from _reads(part)


def _parts(node: Any) -> Iterator[Any]:
    """What a node is made of, whatever its kind: a kind of node that is new to Cedar is walked as well."""
    if isinstance(node, dict):
        yield from cast("dict[str, Any]", node).values()
    elif isinstance(node, tuple):
        yield from cast("tuple[Any, ...]", node)
    elif is_dataclass(node):
        for field in fields(node):
            yield getattr(node, field.name)


def _path(node: Any) -> Path | None:
    names: list[str] = []
    while isinstance(node, pst.GetAttr):
        names.append(node.attr)
        node = node.base
    return tuple(reversed(names)) if node == pst.Var("context") else None


def _party_fits(scope: pst.PrincipalOrResourceConstraint, kind: str, name: str | None) -> bool:
    """Agents and tenants have no parents, so `in` means the entity itself."""
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
