"""Runs a query on an SQLite file that is opened for reading, under an authorizer that lets reading through alone."""

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from .refusal import Reason, refusal
from .sql_functions import FUNCTIONS
from .sql_rows import RowLimits, Rows, columns_of

Parameter = str | int | float | bool | None
_LIMITS: Final = {
    sqlite3.SQLITE_LIMIT_LENGTH: 10_000_000,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 20_000,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 100,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1_000,
}
_MOVES: Final = 1_000
_OF_FUNCTIONS: Final = ("json_each", "json_tree")
"""Virtual tables, made when they are read first: a step that the authorizer would refuse."""
_OPERATORS: Final = frozenset({"->", "->>", "match", "regexp"})


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """A file of SQLite, and what may be read of it.

    Attributes:
        path: the file.
        tables: the tables and views that may be read, in small letters; None for all.
        functions: those that may be called beside the usual ones.
        seconds: the time of a query.
    """

    path: Path
    tables: Collection[str] | None
    functions: Collection[str]
    seconds: float

    async def query(self, sql: str, parameters: Sequence[Parameter], limits: RowLimits) -> Rows:
        """Runs a query in a thread, and breaks it off where the call is cancelled.

        Raises:
            ToolError: the query is refused, takes too long, or fails.
        """
        given_up = threading.Event()
        try:
            return await asyncio.to_thread(self._rows, sql, parameters, limits, given_up)
        finally:
            given_up.set()

    def _opened(self) -> sqlite3.Connection:
        """Opens the file for reading; a sign such as `?` in its path changes nothing about that."""
        if not self.path.is_file():
            raise refusal(Reason.NO_DATABASE, "the database is not there")
        place = f"file:{quote(str(self.path.absolute()))}?mode=ro"
        connection = sqlite3.connect(place, uri=True, check_same_thread=False, isolation_level=None, timeout=5.0)
        for limit, most in _LIMITS.items():
            connection.setlimit(limit, most)
        connection.execute("pragma query_only = on")
        connection.execute("pragma trusted_schema = off")
        for name in _OF_FUNCTIONS:
            connection.execute(f"select 1 from {name}('[]')")
        connection.set_authorizer(self._authorizer())
        return connection

    def _rows(self, sql: str, parameters: Sequence[Parameter], limits: RowLimits, given_up: threading.Event) -> Rows:
        end = time.monotonic() + self.seconds

        def over() -> bool:
            return given_up.is_set() or time.monotonic() > end

        with contextlib.closing(self._opened()) as connection, _told(over, self.seconds):
            connection.set_progress_handler(over, _MOVES)
            cursor = connection.execute(sql, list(parameters))
            columns = columns_of(str(one[0]) for one in cursor.description or ())
            for row in cursor:
                if not limits.take(columns, row):
                    break
        return limits.rows()

    def _authorizer(self) -> Callable[[int, str | None, str | None, str | None, str | None], int]:
        """Returns what SQLite asks about each step of a statement when it is prepared."""
        known = FUNCTIONS["sqlite"] | {one.lower() for one in self.functions} | _OPERATORS
        tables = self.tables

        def judged(action: int, first: str | None, second: str | None, _: str | None, through: str | None) -> int:
            allowed = action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE)
            if action == sqlite3.SQLITE_FUNCTION:
                allowed = (second or "").lower() in known
            elif action == sqlite3.SQLITE_READ:
                # What a view reads is told with the view's name; a virtual table of a function has that name.
                names = {(first or "").lower(), (through or "").lower()}
                allowed = tables is None or not names.isdisjoint(tables) or not names.isdisjoint(_OF_FUNCTIONS)
            return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY

        return judged


@contextlib.contextmanager
def _told(late: Callable[[], bool], seconds: float) -> Generator[None]:
    """Turns errors of SQLite into refusals with a code.

    Raises:
        ToolError: in place of an error of SQLite.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        if late() or error.sqlite_errorname == "SQLITE_INTERRUPT":
            raise refusal(Reason.TOO_SLOW, f"the query took more than {seconds:g} seconds") from None
        raise refusal(Reason.QUERY_FAILED, str(error)[:500]) from None
    except sqlite3.DatabaseError as error:
        if "not authorized" in str(error) or "prohibited" in str(error):
            raise refusal(Reason.STATEMENT_REFUSED, "the query does more than to read what it may") from None
        raise refusal(Reason.QUERY_FAILED, str(error)[:500]) from None
    except (sqlite3.Error, sqlite3.Warning, OverflowError) as error:
        raise refusal(Reason.QUERY_FAILED, str(error)[:500]) from None
