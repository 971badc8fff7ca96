"""Finds rules that hold to the letter, and that a call gets around by spelling the same value in another way."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from cedarpy import pst

from backstay.contracts.admission import ToolSpec
from backstay.tools.local_addresses import name_words

from ..cedar.shape import is_free_text
from .build import Bundle
from .problem import RuleProblem
from .rule import Path, Rule, context_path
from .words import evaded_by_one, turned_round, without_roles

_LINKS: Final = re.compile("(?:url|uri|link|href|webhook|endpoint)s?")
_COMPARISONS: Final = frozenset({"eq", "not_eq", "contains", "contains_any", "contains_all"})
_PATH_MEND: Final = "let the tool declare a fact with `path_inside(root, path)`, and read that"
_LINK_MEND: Final = "let the tool declare a fact with `url_host(url)`, and compare that"
_TEXT_MEND: Final = (
    "say which values are allowed, as in `unless { ... == ... }`, or give the argument closed values (`Literal`, an "
    "enum, a pattern)"
)


def advised(bundle: Bundle) -> list[RuleProblem]:
    """Lists what is doubtful about the rules of an agent; none of it keeps them from being put in force."""
    rules = (bundle.observed or bundle.enforced).rules.values()
    doubts = [doubt for rule in rules for doubt in _of_one(rule, bundle)]
    silent = without_roles(bundle.agent, bundle.tools) if bundle.reads_origins else ()
    return list(dict.fromkeys([*doubts, *_open_links(bundle, list(rules)), *silent]))


def _of_one(rule: Rule, bundle: Bundle) -> Iterator[RuleProblem]:
    yield from _doubts(rule, bundle)
    yield from _never_granted(rule)
    yield from turned_round(rule)
    yield from evaded_by_one(rule, bundle.agent, bundle.tools)


def _never_granted(rule: Rule) -> Iterator[RuleProblem]:
    """Finds rules that allow standing grants and ask several people, who must say yes to each call."""
    if rule.cap is not None and rule.approval is not None and rule.approval.count > 1:
        what = f"`{rule.id}`: `@grantable` has no effect where {rule.approval.count} people must approve"
        yield RuleProblem(rule.where, what, "leave it out, or ask one person")


def _open_links(bundle: Bundle, rules: Sequence[Rule]) -> Iterator[RuleProblem]:
    """Finds tools that take a link to anywhere: no rule over them reads the link, or a fact that the tool declares."""
    for name, tool in bundle.tools.items():
        if tool.ready:
            continue
        groups = bundle.schema.tools[name].groups
        own = [rule for rule in rules if rule.covers(bundle.agent, name, groups)]
        told = [("facts", fact) for fact in tool.facts]
        for parameter in tool.parameters.get("properties", {}):
            paths = [("input", parameter), *told]
            takes_link = any(map(_LINKS.fullmatch, name_words(parameter)[-1:]))
            if takes_link and not any(rule.reads.depends_on(path) for rule in own for path in paths):
                what = f"`{name}` takes a link in `{parameter}`, and no rule says which hosts it may lead to"
                yield RuleProblem(bundle.agent, what, _LINK_MEND)


def _doubts(rule: Rule, bundle: Bundle) -> Iterator[RuleProblem]:
    groups = {name: tool.groups for name, tool in bundle.schema.tools.items()}
    tools = [tool for name, tool in bundle.tools.items() if rule.covers(bundle.agent, name, groups[name])]
    for clause in rule.template.clauses:
        # Another spelling evades a list of what is refused, and never one of what is allowed.
        refuses = isinstance(clause, pst.When) is not rule.permits
        for path, what, mend in _found(clause.expr, tools, refuses):
            yield RuleProblem(rule.where, f"`{rule.id}`: `context.{'.'.join(path)}` {what}", mend)


def _found(node: Any, tools: Sequence[ToolSpec], refuses: bool) -> Iterator[tuple[Path, str, str]]:
    match node:
        case pst.Like(base, pattern):
            yield from _likeness(_argument(base), "".join(getattr(part, "value", "*") for part in pattern))
        case pst.UnaryOp("not", arg):
            yield from _found(arg, tools, not refuses)
        case pst.BinaryOp("and" | "or", left, right):
            yield from _found(left, tools, refuses)
            yield from _found(right, tools, refuses)
        case pst.IfThenElse(cond, then, otherwise):
            for part in (cond, then, otherwise):
                yield from _found(part, tools, refuses)
        case pst.BinaryOp(op, left, right) if op in _COMPARISONS and refuses is (op != "not_eq"):
            for side, other in ((left, right), (right, left)):
                path = _argument(side)
                if _is_text(other) and any(is_free_text(tool.parameters, path[1:]) for tool in tools if path):
                    yield path, "is free text, and capitals, a blank or another word evade the comparison", _TEXT_MEND
        case _:
            pass


def _likeness(path: Path, pattern: str) -> Iterator[tuple[Path, str, str]]:
    if not path or "*" not in pattern:
        return
    if "://" in pattern:
        yield path, f'is compared with the link "{pattern}", which `user@host` and other spellings evade', _LINK_MEND
    elif "/" in pattern or "\\" in pattern:
        yield path, f'is compared with the path "{pattern}", which `..`, doubled slashes and links evade', _PATH_MEND


def _argument(node: Any) -> Path:
    """Returns the path of an argument in the context; `()` for anything else."""
    path = context_path(node) or ()
    return path if path[:1] == ("input",) else ()


def _is_text(node: Any) -> bool:
    several = isinstance(node, pst.Set) and all(_is_text(one) for one in node.elements)
    return several or isinstance(node, pst.StringLit)
