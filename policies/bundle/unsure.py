"""Makes rules that ask for fields of results hold as well where such fields are left out: unsure means closed.

Of a value that stands in many fields a verdict tells a few, and `tool:*` in place of the others. Wherever one more word
denies more, a rule that asks for a field asks for `tool:*` too; elsewhere a word that is left out denies more anyway.
"""

import functools
from dataclasses import replace
from typing import Any, Final

from cedarpy import pst

from backstay.kernel.origins import MORE, PARTS, TOOL

from .rule import Path, context_path, parts_of

_CARRIERS: Final = frozenset(PARTS) - {"carries", "accepted"}
"""The parts of the context with words for fields of results."""


class UnsureError(ValueError):
    """A rule asks for fields of results in a way that cannot be decided where some are left out."""


def closed(template: pst.Template) -> pst.Template:
    """Returns a rule that holds against `tool:*` wherever it holds against a field of a result.

    Raises:
        UnsureError: the rule compares in another way than with `contains`, `containsAny` and `containsAll`, joined by
            `&&`, `||` and `!`, or names `tool:*` itself; the message says where.
    """
    permits = template.effect == "permit"
    clauses = (
        replace(clause, expr=_closed(clause.expr, isinstance(clause, pst.When) is not permits))
        for clause in template.clauses
    )
    return replace(template, clauses=tuple(clauses))


def _closed(node: Any, denies: bool | None) -> Any:
    """Returns an expression with `tool:*` where it is needed.

    Args:
        node: the expression.
        denies: the rule denies more where it is true; None where nobody can tell.
    """
    match node:
        case pst.UnaryOp("not", arg):
            return replace(node, arg=_closed(arg, _not(denies)))
        case pst.BinaryOp("and" | "or", left, right):
            return replace(node, left=_closed(left, denies), right=_closed(right, denies))
        case pst.IfThenElse(cond, then, otherwise):
            _closed(cond, None)
            return replace(node, then_expr=_closed(then, denies), else_expr=_closed(otherwise, denies))
        case pst.BinaryOp(op, left, right) if path := _carrier(left) or _carrier(right):
            return _asked(node, path, _not(denies) if op == "not_eq" else denies)
        case pst.HasAttr():
            return node
        case pst.UnaryOp("is_empty", arg) if _carrier(arg):
            return node
        case _:
            if path := _carrier(node):
                raise _unsure(path)
            for part in parts_of(node):
                _closed(part, None)
            return node


def _asked(node: pst.BinaryOp, path: Path, denies: bool | None) -> Any:
    """Returns a comparison with `tool:*` beside each field of a result; without such fields it is sure as it is."""
    on_left = bool(_carrier(node.left))
    origins, other = (node.left, node.right) if on_left else (node.right, node.left)
    words = _literals(other)
    if words is None:
        raise _unsure(path)
    if MORE in words:
        raise UnsureError(f"`{MORE}` stands for fields that are not told, and no rule can ask for it")
    if denies is False or not any(word.startswith(TOOL) for word in words):
        return node
    if denies and (node.op == "contains_any" or (on_left and node.op == "contains")):
        return _has_any(origins, words)
    if denies and on_left and node.op == "contains_all":
        return functools.reduce(_both, [_has_any(origins, [word]) for word in words])
    raise _unsure(path)


def _unsure(path: Path) -> UnsureError:
    return UnsureError(f"`context.{'.'.join(path)}` is not asked for single words")


def _has_any(origins: Any, words: list[str]) -> Any:
    if any(word.startswith(TOOL) for word in words):
        words = [*words, MORE]
    return pst.BinaryOp("contains_any", origins, pst.Set(tuple(pst.StringLit(word) for word in words)))


def _both(one: Any, other: Any) -> Any:
    return pst.BinaryOp("and", one, other)


def _not(denies: bool | None) -> bool | None:
    return None if denies is None else not denies


def _carrier(node: Any) -> Path | None:
    """Returns the path of a part of the context that may have fields of results; None for any other expression."""
    path = context_path(node)
    return path if path and path[0] in _CARRIERS else None


def _literals(node: Any) -> list[str] | None:
    """Returns the words of a literal, or of a set of them; None for any other expression."""
    if isinstance(node, pst.StringLit):
        return [node.value]
    if not isinstance(node, pst.Set):
        return None
    words = [one.value for one in node.elements if isinstance(one, pst.StringLit)]
    return words if len(words) == len(node.elements) else None
