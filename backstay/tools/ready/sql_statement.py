"""Reads an SQL text: one query that only reads, the tables and columns that it names, and the functions it calls."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from sqlglot import exp

from ..sql_text import MOST_CHARACTERS, parsed
from .refusal import Reason, refusal
from .sql_functions import FUNCTIONS

_ROOTS: Final = (exp.Select, exp.SetOperation, exp.Values, exp.Subquery)
_WRITES: Final = (
    *(exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create, exp.Drop, exp.Alter, exp.TruncateTable, exp.Command),
    *(exp.Into, exp.Lock, exp.Pragma, exp.Set, exp.Attach, exp.Detach, exp.Copy, exp.Transaction, exp.Commit),
    *(exp.Rollback, exp.Use, exp.Kill, exp.Describe, exp.LoadData, exp.Grant, exp.Analyze),
)

_SMALL: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}

# What cannot be parsed is refused here; a warning about it for each call is no news.
logging.getLogger("sqlglot").addFilter(lambda record: "Falling back to parsing" not in record.getMessage())


@dataclass(frozen=True, slots=True)
class Statement:
    """A query as it is written: tables without the names it gives itself, columns, and functions that are not usual.

    `tables` and `columns` hold "" for a text that is no single query, so that no rule over known ones holds for it.
    """

    tables: frozenset[str]
    columns: frozenset[str]
    functions: frozenset[str] = frozenset()
    has_limit: bool = False


UNCLEAR: Final = Statement(frozenset({""}), frozenset({""}))


def statement_of(sql: str, dialect: str) -> Statement | None:
    """Reads a text; None where it is no single query that only reads.

    Args:
        sql: the text.
        dialect: `sqlite` or `postgres`.
    """
    if "\0" in sql:
        return None
    found = [one for one in parsed(sql, dialect) if one is not None]
    if len(found) != 1 or not isinstance(found[0], _ROOTS):
        return None
    nodes = list(found[0].walk())
    if any(isinstance(node, _WRITES) for node in nodes):
        return None
    named = [node for node in nodes if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier)]
    tables = {_table(node, dialect) for node in named if not _is_own(node, dialect)}
    columns = {node.name.lower() for node in nodes if isinstance(node, exp.Column)}
    if any(isinstance(node, exp.Star) for node in nodes):
        columns.add("*")
    unusual = {_function(node) for node in nodes if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc)}
    return Statement(frozenset(tables), frozenset(columns), frozenset(unusual), found[0].args.get("limit") is not None)


def checked(sql: str, dialect: str, tables: Collection[str] | None, functions: Collection[str]) -> Statement:
    """Returns a query that may be run.

    Args:
        sql: the text.
        dialect: `sqlite` or `postgres`.
        tables: those that may be read; None for all.
        functions: those that may be called beside the usual ones.

    Raises:
        ToolError: the text is no single query that only reads, or it names what it may not.
    """
    found = statement_of(sql, dialect)
    if found is None:
        what = f"expected one query that only reads, of at most {MOST_CHARACTERS} characters"
        raise refusal(Reason.STATEMENT_REFUSED, what)
    unknown = sorted(found.functions - FUNCTIONS[dialect] - set(functions))
    if unknown:
        raise refusal(Reason.FUNCTION_REFUSED, f"the function `{unknown[0][:80]}` may not be called")
    closed = sorted(one for one in found.tables if tables is not None and one not in tables)
    if closed:
        listed = ", ".join(f"`{name}`" for name in sorted(tables or ()))
        raise refusal(Reason.TABLE_REFUSED, f"the table `{closed[0][:80]}` may not be read; those that may: {listed}")
    return found


def _table(node: exp.Table, dialect: str) -> str:
    return ".".join(_name(part, dialect) for part in node.parts)


def _name(part: exp.Expr, dialect: str) -> str:
    """Returns a name as the database compares it: in quotes PostgreSQL tells `"A"` and `"a"` apart."""
    exact = dialect == "postgres" and isinstance(part, exp.Identifier) and bool(part.args.get("quoted"))
    return part.name if exact else part.name.translate(_SMALL)


def _is_own(node: exp.Table, dialect: str) -> bool:
    """Tells whether a name is one that the query gives itself by `with`, where it stands.

    A name within its own definition means the table of that name: `with a as (select * from a) ...`.
    """
    name = _name(node.this, dialect)
    if len(node.parts) > 1:
        return False
    inner: exp.Expr = node
    while (outer := inner.parent) is not None:
        if isinstance(outer, exp.With):
            given = outer.expressions
            seen = given if outer.recursive else given[: _place(given, inner)]
        else:
            around = outer.args.get("with_")
            seen = around.expressions if isinstance(around, exp.With) and around is not inner else []
        if any(_name(one.args["alias"].this, dialect) == name for one in seen):
            return True
        inner = outer
    return False


def _place(given: Sequence[exp.Expr], one: exp.Expr) -> int:
    return next(place for place, other in enumerate(given) if other is one)


def _function(node: exp.Anonymous | exp.AnonymousAggFunc) -> str:
    return str(node.name or node.this).lower()
