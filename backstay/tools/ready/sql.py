"""Makes `sql_query`: one query that only reads, behind a parser, a connection for reading, and a user for reading."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol, cast
from urllib.parse import unquote

from backstay.errors import ConfigurationError

from ..call import ToolCall
from ..declare import tool
from .refusal import Reason, refusal
from .settings import SqlTable, secret_named
from .sql_rows import RowLimits, Rows
from .sql_sqlite import Parameter, SqliteFile
from .sql_statement import UNCLEAR, Statement, checked, statement_of

Dialect = Literal["sqlite", "postgres"]
_SQLITE: Final = "sqlite:///"
_POSTGRES: Final = ("postgresql://", "postgres://")


class Database(Protocol):
    """A database that runs a query within limits."""

    async def query(self, sql: str, parameters: Sequence[Parameter], limits: RowLimits) -> Rows:
        """Returns the rows of a query."""
        ...


@dataclass(frozen=True, slots=True)
class Databases:
    """The database of a table."""

    table: SqlTable

    @property
    def dialect(self) -> Dialect:
        """The dialect: the table's, else that of the address; a secret is taken for PostgreSQL."""
        if self.table.dialect is not None:
            return self.table.dialect
        return "sqlite" if self.table.url.startswith("sqlite:") else "postgres"

    @property
    def tables(self) -> list[str] | None:
        """The tables that may be read, as the dialect compares their names; None for all."""
        if self.table.tables is None or self.dialect == "postgres":
            return self.table.tables
        return [name.lower() for name in self.table.tables]

    def opened(self, url: str) -> Database:
        """Returns the database at an address.

        Raises:
            ToolError: `no_database`: the address is none of this dialect.
        """
        if self.dialect == "sqlite" and url.startswith(_SQLITE):
            path = Path(unquote(url.removeprefix(_SQLITE)))
            return SqliteFile(path, self.tables, self.table.functions, self.table.seconds)
        if self.dialect == "postgres" and url.startswith(_POSTGRES):
            from .sql_postgres import Postgres

            return Postgres(url, self.table.seconds)
        raise refusal(Reason.NO_DATABASE, f"the address in the settings is none of {self.dialect}")


def sql_query(table: SqlTable) -> Callable[..., Any]:
    """Makes the tool `sql_query`.

    Raises:
        MissingExtraError: the table names PostgreSQL, and its driver is not installed.
        ConfigurationError: the table names a database that is not known.
    """
    databases, secret = Databases(table), secret_named(table.url)
    dialect = databases.dialect
    if secret is None and not table.url.startswith((_SQLITE, *_POSTGRES)):
        mend = "write `sqlite:///data/shop.db`, `postgresql://reader@host/shop`, or better `secret:NAME`"
        raise ConfigurationError("the address is of no database that is known", mend=mend)
    if dialect == "postgres":
        from backstay.extras import require

        require("postgres")

    @tool(
        effect="read",
        timeout=f"{table.seconds + 10}s",
        groups=table.groups,
        secrets=[secret] if secret else [],
        facts=_facts(dialect),
        **table.marks("cut"),
    )
    async def sql_query(call: ToolCall, sql: str, params: list[Parameter] | None = None) -> Rows:
        """Runs one SQL query that only reads, and returns its rows. Values go into `params`, never into the text."""
        checked(sql, dialect, databases.tables, [one.lower() for one in table.functions])
        database = databases.opened(call.secret(secret) if secret else table.url)
        return await database.query(sql, params or [], RowLimits(table.rows, table.result_bytes))

    sql_query.__doc__ = f"{sql_query.__doc__} {_SPOKEN[dialect]}"
    return cast("Callable[..., Any]", sql_query)


def _facts(dialect: Dialect) -> dict[str, tuple[str, Callable[..., Any]]]:
    """Returns what rules read of a query; "" among tables and columns for a text that is no single query."""

    def read(sql: Any) -> Statement:
        return (statement_of(sql, dialect) if isinstance(sql, str) else None) or UNCLEAR

    def tables(sql: Any) -> list[str]:
        return sorted(read(sql).tables)

    def columns(sql: Any) -> list[str]:
        return sorted(read(sql).columns)

    def functions(sql: Any) -> list[str]:
        return sorted(read(sql).functions)

    def has_limit(sql: Any) -> bool:
        return read(sql).has_limit

    return {
        "tables": ("Set<String>", tables),
        "columns": ("Set<String>", columns),
        "functions": ("Set<String>", functions),
        "has_limit": ("Bool", has_limit),
    }


_SPOKEN: Final[dict[Dialect, str]] = {
    "sqlite": "The database is SQLite; placeholders are `?`.",
    "postgres": "The database is PostgreSQL; placeholders are `$1`, `$2` and so on.",
}
