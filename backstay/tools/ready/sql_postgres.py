"""Runs a query on PostgreSQL as a user who may only read, in a transaction that may only read."""

import asyncio
import contextlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Final, LiteralString, cast

import psycopg
from psycopg import AsyncConnection, AsyncRawServerCursor
from psycopg.rows import TupleRow

from .refusal import Reason, refusal
from .sql_rows import RowLimits, Rows, columns_of
from .sql_sqlite import Parameter

_CONNECT_SECONDS: Final = 5
_BATCH: Final = 50
# The user is the boundary: whoever may write gets by functions what no parser sees.
_MAY_WRITE: Final = """
select case
  when (select rolsuper or rolcreatedb or rolcreaterole or rolreplication from pg_roles where rolname = current_user)
    then 'administer the server'
  when pg_has_role('pg_execute_server_program', 'member') or pg_has_role('pg_write_server_files', 'member')
    or pg_has_role('pg_read_server_files', 'member') or pg_has_role('pg_write_all_data', 'member')
    then 'reach files and programs of the server, or write everywhere'
  when exists (
    select from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
      and has_table_privilege(c.oid, 'insert, update, delete, truncate'))
    then 'write to a table'
end
"""


@dataclass(frozen=True, slots=True)
class Postgres:
    """A database of PostgreSQL.

    Attributes:
        url: its address, with the user's name and password.
        seconds: the time of a query.
    """

    url: str
    seconds: float

    async def query(self, sql: str, parameters: Sequence[Parameter], limits: RowLimits) -> Rows:
        """Runs a query, and breaks it off on the server where it takes too long or the call is cancelled.

        Raises:
            ToolError: the user may do more than read, or the query takes too long or fails.
        """
        with _told(self.seconds):
            connection = await self._opened()
            try:
                async with asyncio.timeout(self.seconds):
                    await self._check_user(connection)
                    return await _rows(connection, sql, parameters, limits)
            finally:
                await connection.close()

    async def _opened(self) -> AsyncConnection[TupleRow]:
        # Defaults of the session; the server's own limit is a second one, because a query may set it anew.
        options = f"-c default_transaction_read_only=on -c statement_timeout={int(self.seconds * 1000)}"
        return await psycopg.AsyncConnection.connect(
            self.url, autocommit=True, connect_timeout=_CONNECT_SECONDS, options=options, application_name="backstay"
        )

    async def _check_user(self, connection: AsyncConnection[TupleRow]) -> None:
        found = await (await connection.execute(_MAY_WRITE)).fetchone()
        if found is None or found[0] is not None:
            what = f"the database user may {found[0] if found else 'not be known'}: use one that may only read"
            raise refusal(Reason.ROLE_REFUSED, what)


async def _rows(
    connection: AsyncConnection[TupleRow], sql: str, parameters: Sequence[Parameter], limits: RowLimits
) -> Rows:
    await connection.execute("begin transaction read only")
    try:
        # After a first query the transaction can no more be made one that writes.
        await connection.execute("select 1")
        # INVARIANT: one statement of the extended protocol, so that no second one can follow it.
        async with AsyncRawServerCursor[TupleRow](connection, "query") as cursor:
            await cursor.execute(cast("LiteralString", sql), list(parameters))
            columns = columns_of(column.name for column in cursor.description or ())
            while batch := await cursor.fetchmany(_BATCH):
                if not all(limits.take(columns, row) for row in batch):
                    break
        return limits.rows()
    finally:
        with contextlib.suppress(psycopg.Error):
            await connection.execute("rollback")


@contextlib.contextmanager
def _told(seconds: float) -> Generator[None]:
    """Turns errors of the database into refusals with a code; none of them says anything of the address.

    Raises:
        ToolError: in place of an error of the driver.
    """
    try:
        yield
    except (TimeoutError, psycopg.errors.QueryCanceled):
        raise refusal(Reason.TOO_SLOW, f"the query took more than {seconds:g} seconds") from None
    except psycopg.errors.ReadOnlySqlTransaction:
        raise refusal(Reason.STATEMENT_REFUSED, "the query does more than to read") from None
    except psycopg.errors.InsufficientPrivilege as error:
        raise refusal(Reason.STATEMENT_REFUSED, _words(error)) from None
    except psycopg.OperationalError as error:
        if error.sqlstate is None:
            raise refusal(Reason.NO_DATABASE, "the database cannot be reached, or the login does not hold") from None
        raise refusal(Reason.QUERY_FAILED, _words(error)) from None
    except psycopg.Error as error:
        raise refusal(Reason.QUERY_FAILED, _words(error)) from None


def _words(error: psycopg.Error) -> str:
    return (error.diag.message_primary or str(error) or type(error).__name__)[:500]
