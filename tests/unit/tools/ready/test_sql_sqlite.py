"""SQLite without the parser: the connection and its authorizer refuse alone what the parser would have missed."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backstay.errors import ToolError
from backstay.tools.ready.sql_rows import RowLimits, Rows
from backstay.tools.ready.sql_sqlite import SqliteFile

ENDLESS = "with recursive t(n) as (select 1 union all select n + 1 from t) select count(*) from t"
Ask = Callable[..., Any]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table orders (id integer, total text)")
        connection.executemany("insert into orders values (?, ?)", [(number, f"{number}.00") for number in range(50)])
        connection.execute("create table staff (name text)")
        connection.execute("create view names as select name from staff")
        connection.commit()
    return path


@pytest.fixture
def ask(file: Path) -> Ask:
    async def asked(sql: str, *parameters: Any, **keys: Any) -> Rows:
        database = SqliteFile(keys.pop("path", file), keys.pop("tables", None), keys.pop("functions", ()), 5.0)
        return await database.query(sql, parameters, RowLimits(keys.pop("rows", 100), 10_000))

    return asked


async def test_rows_are_read_with_parameters(ask: Ask) -> None:
    found = await ask("select id, total from orders where id < ? order by id", 2)
    assert (found.rows, found.cut) == ([{"id": 0, "total": "0.00"}, {"id": 1, "total": "1.00"}], False)
    assert (await ask("select * from orders", rows=3)).cut


@pytest.mark.parametrize(
    "sql",
    [
        *("attach 'new.db' as other", "vacuum into 'copy.db'", "vacuum", "create temp table t (a int)"),
        *("pragma query_only = off", "pragma journal_mode = wal", "insert into orders values (1, 1)", "analyze"),
        *("update orders set id = 1", "delete from orders", "drop table orders", "create table t (a int)", "begin"),
        *(
            "select * from pragma_table_info('orders')",
            "select * from pragma_database_list",
            "savepoint a",
            "detach main",
        ),
        *("select load_extension('x')", "select zeroblob(1000)", "select randomblob(10)"),
    ],
)
async def test_the_authorizer_alone_refuses_what_does_more_than_read(
    ask: Ask, file: Path, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    monkeypatch.chdir(file.parent)
    before = file.read_bytes()
    with pytest.raises(ToolError, match=r"^(statement_refused|query_failed): "):
        await ask(sql)
    assert [one.name for one in file.parent.iterdir()] == ["shop.db"]
    assert file.read_bytes() == before


async def test_functions_and_virtual_tables_that_only_compute_are_read(ask: Ask) -> None:
    found = await ask("select printf('%d', value) as a, 'x' like 'X' as b, '[1]' -> 0 as c from json_each('[7]')")
    assert found.rows == [{"a": "7", "b": 1, "c": "1"}]
    assert (await ask("select soundex('x') as s", functions=["SOUNDEX"])).rows or True


async def test_only_listed_tables_are_read_through_views_too(ask: Ask) -> None:
    assert (await ask("select count(*) as n from orders", tables=["orders"])).rows == [{"n": 50}]
    assert (await ask("select count(name) as n from names", tables=["names"])).rows == [{"n": 0}]
    for sql in ("select * from staff", "select name from sqlite_master", "select * from names"):
        with pytest.raises(ToolError, match=r"^statement_refused: "):
            await ask(sql, tables=["orders"])


async def test_a_sign_in_the_path_never_makes_a_file_or_opens_one_for_writing(ask: Ask, file: Path) -> None:
    odd = file.with_name("a?mode=rwc&b#c%20d.db")
    with pytest.raises(ToolError, match=r"^no_database: "):
        await ask("select 1", path=odd)
    assert [one.name for one in file.parent.iterdir()] == ["shop.db"]
    file.rename(odd)
    assert (await ask("select count(*) as n from orders", path=odd)).rows == [{"n": 50}]


async def test_a_query_without_an_end_is_broken_off(file: Path) -> None:
    began = time.monotonic()
    with pytest.raises(ToolError, match=r"^too_slow: "):
        await SqliteFile(file, None, (), 0.3).query(ENDLESS, (), RowLimits(1, 1_000))
    assert time.monotonic() - began < 15


async def test_a_call_that_is_cancelled_ends_its_query(file: Path) -> None:
    running = asyncio.create_task(SqliteFile(file, None, (), 60.0).query(ENDLESS, (), RowLimits(1, 1_000)))
    await asyncio.sleep(0.3)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    # The thread ends as well: nothing waits for it, and it would hold up the end of the loop for a minute.
    began = time.monotonic()
    await asyncio.get_running_loop().shutdown_default_executor()
    assert time.monotonic() - began < 20


async def test_a_huge_value_is_refused(ask: Ask) -> None:
    with pytest.raises(ToolError, match=r"^query_failed: "):
        await ask("select replace(printf('%5000000d', 1), ' ', 'xxxxxx')")


async def test_a_mistake_is_told_in_the_databases_words(ask: Ask) -> None:
    with pytest.raises(ToolError, match=r"^query_failed: no such column: nope"):
        await ask("select nope from orders")
    with pytest.raises(ToolError, match=r"^query_failed: "):
        await ask("select ?, ?", 1)
