"""The tool `sql_query`: its settings, what rules read, and a query from end to end."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from backstay.errors import ConfigurationError, ToolError
from backstay.tools import ToolCall
from backstay.tools.declare import ToolOptions, options_of
from backstay.tools.ready.settings import SqlTable
from backstay.tools.ready.sql import sql_query

Calls = Callable[..., ToolCall]


def table(url: str, **keys: Any) -> SqlTable:
    return SqlTable.model_validate({"url": url, **keys})


def options(made: Any) -> ToolOptions:
    found = options_of(made)
    assert found is not None
    return found


@pytest.fixture
def url(tmp_path: Path) -> str:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("create table Orders (id integer)")
        connection.execute("insert into Orders values (7)")
        connection.commit()
    return f"sqlite:///{tmp_path}/shop.db"


async def test_a_query_is_checked_and_run(url: str, call: Calls) -> None:
    ask = sql_query(table(url, tables=["Orders"]))
    assert (await ask(call(), "select id from ORDERS where id = ?", [7])).rows == [{"id": 7}]
    with pytest.raises(ToolError, match=r"^table_refused: "):
        await ask(call(), "select * from sqlite_master")
    with pytest.raises(ToolError, match=r"^statement_refused: "):
        await ask(call(), "delete from orders")


async def test_an_address_may_be_a_secret_that_a_call_reads(url: str, call: Calls) -> None:
    made = sql_query(table("secret:SHOP_DB", dialect="sqlite"))
    assert options(made).secrets == ("SHOP_DB",)
    secret = ToolCall("r", 1, "c", "k", "a", "t", read_secret=lambda name: url)
    assert (await made(secret, "select 1 as one")).rows == [{"one": 1}]
    other = ToolCall("r", 1, "c", "k", "a", "t", read_secret=lambda name: "mysql://h/d")
    with pytest.raises(ToolError, match=r"^no_database: .* none of sqlite"):
        await made(other, "select 1")


def test_an_address_with_a_password_or_of_another_database_is_refused() -> None:
    with pytest.raises(ValidationError, match="holds a password"):
        table("postgresql://reader:canary-4242@host/shop")
    with pytest.raises(ConfigurationError, match="of no database that is known"):
        sql_query(table("mysql://reader@host/shop"))


def test_rules_read_tables_columns_functions_and_the_limit(url: str) -> None:
    facts = options(sql_query(table(url))).facts

    def read(sql: Any) -> dict[str, Any]:
        return {name: function(sql) for name, (_, function) in facts.items()}

    assert read("select id, own(1) from Orders limit 1") == {
        "tables": ["orders"],
        "columns": ["id"],
        "functions": ["own"],
        "has_limit": True,
    }
    unclear = {"tables": [""], "columns": [""], "functions": [], "has_limit": False}
    assert [read(sql) for sql in ("delete from orders", "select 1; select 2", "", None)] == [unclear] * 4


def test_a_query_only_reads_and_its_rows_are_of_outsiders(url: str) -> None:
    found = options(sql_query(table(url, clean=["rows.id"])))
    assert (found.effect, found.untrusted, found.marks.clean) == ("read", True, ("cut", "rows.id"))
    assert "SQLite" in (sql_query(table(url)).__doc__ or "")
