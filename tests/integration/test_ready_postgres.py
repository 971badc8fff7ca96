"""`sql_query` on a real PostgreSQL: the user is the boundary, the transaction and the parser stand before it."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from backstay.errors import ToolError
from backstay.tools import ToolCall
from backstay.tools.ready.settings import SqlTable
from backstay.tools.ready.sql import sql_query
from backstay.tools.ready.sql_postgres import Postgres
from backstay.tools.ready.sql_rows import RowLimits, Rows

from .postgres import postgres

SHOP = """
create role reader login;
create role writer login;
create role filer login in role pg_read_server_files;
create table orders (
  id int primary key, total numeric(10, 2), day date, note text, data bytea, tags text[], more jsonb);
insert into orders select n, n, date '2026-01-01' + n, 'note ' || n, '\\x00ff', '{a,b}', '{"k": [1, 2.5]}'
  from generate_series(1, 60) n;
create table secrets (word text);
insert into secrets values ('canary-4242');
create schema "Odd"; create table "Odd"."Table" (id int); grant usage on schema "Odd" to reader;
grant select on orders, secrets, "Odd"."Table" to reader, writer, filer;
grant insert on orders to writer;
create function sneaky() returns int language sql security definer
  as 'insert into orders (id) values (999) returning 1';
grant execute on function sneaky to reader;
"""


@pytest.fixture(scope="module")
def admin() -> Iterator[str]:
    with postgres() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(SHOP)  # pyright: ignore[reportArgumentType, reportCallIssue]
        yield url


@pytest.fixture
def reader(admin: str) -> str:
    return admin.replace("admin@", "reader@")


Count = Callable[[], int]


@pytest.fixture
def orders(admin: str) -> Count:
    """How many orders there are."""

    def count() -> int:
        with psycopg.connect(admin) as connection:
            row = connection.execute("select count(*) from orders").fetchone()
            assert row is not None
            return int(row[0])

    return count


CALL = ToolCall("run-1", 1, "c1", "key-1", "clerk", "acme")


async def ask(url: str, sql: str, *parameters: Any, **keys: Any) -> Rows:
    """Asks by the tool, with its parser."""
    return await sql_query(SqlTable.model_validate({"url": url, "seconds": 10, **keys}))(CALL, sql, list(parameters))


async def bare(url: str, sql: str, *parameters: Any, seconds: float = 10.0) -> Rows:
    """Asks past the parser: what the connection and the user hold alone."""
    return await Postgres(url, seconds).query(sql, parameters, RowLimits(100, 10_000))


async def test_rows_are_read_in_their_types_with_parameters(reader: str) -> None:
    found = await ask(reader, "select * from orders where id = $1 and day > $2", 2, "2026-01-02")
    digest = found.rows[0].pop("data")
    assert digest.startswith("[bytes: 2, sha256 ")
    assert found.rows == [
        {"id": 2, "total": "2.00", "day": "2026-01-03", "note": "note 2", "tags": ["a", "b"], "more": {"k": [1, 2.5]}}
    ]
    assert (
        await ask(reader, "select $1::text is null as a, $2::bool as b, $3::float8 as c", None, True, 1.5)
    ).rows == [{"a": True, "b": True, "c": 1.5}]


async def test_rows_are_cut_while_they_are_fetched(reader: str) -> None:
    found = await ask(reader, "select a.id from orders a, orders b, orders c, orders d", rows=70)
    assert (len(found.rows), found.cut) == (70, True)


@pytest.mark.parametrize(
    "sql",
    [
        "insert into orders (id) values (1000)",
        "set transaction read write; insert into orders (id) values (1000)",
        "commit; insert into orders (id) values (1000)",
        "select 1; insert into orders (id) values (1000)",
        "with a as (insert into orders (id) values (1000) returning id) select * from a",
        "select sneaky()",
        "select setval('s', 1)",
        "create table t (a int)",
        "create temp table t (a int)",
        "copy orders to program 'true'",
        "select pg_read_file('/etc/passwd')",
        "select lo_import('/etc/passwd')",
        "do $$ begin insert into orders (id) values (1000); end $$",
        "set session characteristics as transaction read write",
        "begin read write",
        "rollback",
        "vacuum",
        "select * from orders for update",
    ],
)
async def test_the_connection_alone_writes_nothing(reader: str, orders: Count, sql: str) -> None:
    with pytest.raises(ToolError, match=r"^(statement_refused|query_failed): "):
        await bare(reader, sql)
    assert orders() == 60


@pytest.mark.parametrize(
    ("user", "may"), [("admin", "administer the server"), ("writer", "write to a table"), ("filer", "reach files")]
)
async def test_a_user_who_may_do_more_than_read_is_refused(admin: str, user: str, may: str) -> None:
    with pytest.raises(ToolError, match=rf"^role_refused: the database user may {may}"):
        await ask(admin.replace("admin@", f"{user}@"), "select 1")


async def test_a_query_that_takes_too_long_is_broken_off_on_the_server(admin: str, reader: str) -> None:
    began = time.monotonic()
    with pytest.raises(ToolError, match=r"^too_slow: "):
        await bare(reader, "select pg_sleep(60)", seconds=0.5)
    assert time.monotonic() - began < 20
    with psycopg.connect(admin) as connection:
        left = connection.execute("select count(*) from pg_stat_activity where query like '%pg_sleep(60)%'").fetchone()
    assert left == (1,)  # this very question


async def test_a_limit_that_the_query_takes_back_is_held_by_the_worker(reader: str) -> None:
    began = time.monotonic()
    with pytest.raises(ToolError, match=r"^too_slow: "):
        await bare(reader, "select set_config('statement_timeout', '0', false), pg_sleep(60)", seconds=0.5)
    assert time.monotonic() - began < 20


async def test_a_call_that_is_cancelled_ends_its_query(admin: str, reader: str) -> None:
    running = asyncio.create_task(bare(reader, "select pg_sleep(61)", seconds=120))
    await asyncio.sleep(1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    with psycopg.connect(admin) as connection:
        for _ in range(100):
            row = connection.execute("select count(*) from pg_stat_activity where query ~ 'pg_sleep.61'").fetchone()
            if row == (1,):
                return
            await asyncio.sleep(0.1)
    raise AssertionError("the query goes on")


async def test_only_listed_tables_are_read_whatever_the_query_calls_them(reader: str) -> None:
    tables = ["orders", "Odd.Table"]
    assert (await ask(reader, 'select count(*) as n from "Odd"."Table"', tables=tables)).rows == [{"n": 0}]
    for sql in (
        "select * from secrets",
        "select * from public.secrets",
        "with secrets as (select * from secrets) select * from secrets",
        "with orders as (select * from secrets) select * from orders",
        'with "SECRETS" as (select 1) select * from secrets',
        "select (select word from secrets limit 1)",
        "select table_to_xml('secrets', true, true, '')",
    ):
        with pytest.raises(ToolError, match=r"^(table|function)_refused: "):
            await ask(reader, sql, tables=tables)


async def test_a_mistake_is_told_and_the_address_never(reader: str) -> None:
    with pytest.raises(ToolError, match=r'^query_failed: column "nope" does not exist'):
        await ask(reader, "select nope from orders")
    closed = "postgresql://reader:canary-4242@127.0.0.1:1/shop"
    with pytest.raises(ToolError, match=r"^no_database: ") as caught:
        await bare(closed, "select 1")
    assert "canary" not in str(caught.value)
