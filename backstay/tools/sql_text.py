"""Parses SQL within bounds: a model writes the text, and a short one can keep a parser busy for minutes."""

from collections.abc import Sequence

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError
from sqlglot.parser import Parser

MOST_CHARACTERS = 10_000
MOST_MOVES = 20_000
"""The most moves of the parser from token to token. It moves once over each token, and again for each second guess."""


class _TooManyMoves(Exception):
    """Ends a parser that guesses too often."""


def parsed(statement: str, dialect: str | None) -> Sequence[exp.Expr | None]:
    """Returns the statements of an SQL text; nothing where it cannot be parsed within the bounds.

    Args:
        statement: the SQL text.
        dialect: the dialect by sqlglot's name; None is its own.
    """
    if len(statement) > MOST_CHARACTERS:
        return []
    found = Dialect.get_or_raise(dialect)
    try:
        return _bounded(found.parser_class)(dialect=found).parse(found.tokenize(statement), statement)
    except (SqlglotError, RecursionError, _TooManyMoves):
        return []


def _bounded(parser: type[Parser]) -> type[Parser]:
    """Returns a parser that gives up after so many moves."""
    move = parser._advance  # pyright: ignore[reportPrivateUsage]  there is no public way to bound it
    moves = 0

    def bounded_move(self: Parser, times: int = 1) -> None:
        nonlocal moves
        moves += 1
        if moves > MOST_MOVES:
            raise _TooManyMoves
        move(self, times)

    return type("BoundedParser", (parser,), {"_advance": bounded_move})
