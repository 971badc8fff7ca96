"""A text is one query that only reads, or is refused; its tables are those that the database would read."""

import logging

import pytest

from backstay.errors import ToolError
from backstay.tools.ready.sql_functions import FUNCTIONS
from backstay.tools.ready.sql_statement import checked, statement_of

DIALECTS = pytest.mark.parametrize("dialect", ["sqlite", "postgres"])


@DIALECTS
@pytest.mark.parametrize(
    "sql",
    [
        "select * from orders",
        "-- a comment\nselect 1;",
        "(select 1)",
        "values (1, 2)",
        "select 1 union all select 2",
        "with a as (select 1) select * from a",
        "select count(*), coalesce(max(total), 0) from orders group by day having sum(total) > 1 order by 1 limit 5",
    ],
)
def test_a_query_is_let_through(sql: str, dialect: str) -> None:
    checked(sql, dialect, None, ())


@DIALECTS
@pytest.mark.parametrize(
    "sql",
    [
        *("", ";", "nonsense", "select 1; select 2", "select 1; drop table orders", "select 1 /* ; */; commit"),
        *("insert into a values (1)", "update a set b = 1", "delete from a", "drop table a", "alter table a add b int"),
        *("create table a (b int)", "truncate table a", "with a as (delete from b returning *) select * from a"),
        *("with a as (insert into b values (1) returning *) select * from a", "select * into c from a"),
        *("explain select 1", "explain analyze delete from a", "pragma query_only = off", "attach 'x' as y"),
        *("vacuum", "vacuum into 'x'", "begin", "commit", "rollback", "set x = 1", "set transaction read write"),
        *(
            "copy a to program 'x'",
            "copy a from '/etc/passwd'",
            "call f()",
            "do $$ begin end $$",
            "grant all on a to b",
        ),
        *(
            "merge into a using b on true when matched then delete",
            "lock table a",
            "listen a",
            "notify a",
            "prepare a as select 1",
        ),
        *("execute a", "declare c cursor for select 1", "refresh materialized view a", "reindex table a", "detach a"),
        *("select 1\0; drop table a", "-- select 1", "load 'x'", "table a; delete from b", "reset all"),
    ],
)
def test_what_writes_or_is_no_single_query_is_refused(sql: str, dialect: str) -> None:
    with pytest.raises(ToolError, match=r"^statement_refused: "):
        checked(sql, dialect, None, ())


def test_rows_are_not_locked() -> None:
    with pytest.raises(ToolError, match=r"^statement_refused: "):
        checked("select * from a for update", "postgres", None, ())


def test_a_text_without_an_end_is_refused() -> None:
    with pytest.raises(ToolError, match=r"^statement_refused: .* 10000 characters"):
        checked(f"select {'1 + ' * 4_000}1", "sqlite", None, ())


def test_no_warning_is_printed_for_what_cannot_be_parsed(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert statement_of("vacuum full", "postgres") is None
        assert statement_of("reindex table a", "postgres") is None
    assert caplog.records == []


@pytest.mark.parametrize(
    "call",
    [
        *("pg_read_file('/etc/passwd')", "pg_catalog.pg_read_file('x')", "\"pg_read_file\"('x')", "PG_READ_FILE('x')"),
        *(
            "pg_ls_dir('/')",
            "lo_import('x')",
            "lo_create(0)",
            "setval('s', 1)",
            "nextval('s')",
            "set_config('a', 'b', false)",
        ),
        *("query_to_xml('delete from a', true, true, '')", "database_to_xml(true, true, '')", "pg_sleep(10)"),
        *("pg_terminate_backend(1)", "pg_advisory_lock(1)", "pg_notify('a', 'b')", "current_setting('x')", "own(1)"),
        *("txid_current()", "(f(1)).x", "array(select lo_create(0))", "ts_stat('select 1')"),
    ],
)
def test_a_function_that_does_more_than_to_compute_is_refused_anywhere(call: str) -> None:
    for sql in (f"select {call}", f"select 1 where {call} is null", f"with a as (select {call}) select * from a"):
        with pytest.raises(ToolError, match=r"^function_refused: "):
            checked(sql, "postgres", None, ())


@pytest.mark.parametrize("source", ["dblink('x', 'y') as t (a int)", "pg_ls_dir('/') d", "own(1) as t (a int)"])
def test_a_function_in_place_of_a_table_is_refused_too(source: str) -> None:
    with pytest.raises(ToolError, match=r"^function_refused: "):
        checked(f"select * from {source}", "postgres", None, ())


@pytest.mark.parametrize(
    "call", ["load_extension('x')", "zeroblob(1e9)", "randomblob(9)", "readfile('x')", "writefile('x', 1)"]
)
def test_a_function_of_sqlite_that_does_more_is_refused(call: str) -> None:
    with pytest.raises(ToolError, match=r"^function_refused: "):
        checked(f"select {call}", "sqlite", None, ())


def test_functions_that_settings_name_and_usual_ones_are_called() -> None:
    checked(
        "select own(1), jsonb_agg(a), date_trunc('day', now()), string_agg(a, ',') from b", "postgres", None, ["own"]
    )
    checked(
        "select printf('%d', 1), julianday('now'), group_concat(a), json_extract(a, '$.b') from b", "sqlite", None, ()
    )


def test_no_usual_function_reads_files_or_waits() -> None:
    odd = (
        "file",
        "sleep",
        "advisory",
        "config",
        "dblink",
        "setval",
        "nextval",
        "lo_",
        "blob",
        "extension",
        "backend",
        "xml",
    )
    assert [name for names in FUNCTIONS.values() for name in names if any(part in name for part in odd)] == []


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("select * from A join b on true, (select * from c) x", {"a", "b", "c"}),
        ("select * from shop.orders", {"shop.orders"}),
        ('select * from "Orders"', {"Orders"}),
        ("select 1 where exists (select 1 from hidden)", {"hidden"}),
        ("with a as (select 1) select * from a", set[str]()),
        ("with a as (select * from a) select * from a", {"a"}),
        ("with recursive a as (select 1 union select * from a) select * from a", set[str]()),
        ("with b as (select * from a), a as (select 1) select * from b, a", {"a"}),
        ("with a as (select 1), b as (select * from a) select * from b", set[str]()),
        ("select * from (with a as (select 1) select * from a) x, a", {"a"}),
        ('with "A" as (select 1) select * from a', {"a"}),
        ("with a as (select 1) select * from public.a", {"public.a"}),
        ("with a as (select 1) select (select 1 from a) from b", {"b"}),
        ("select * from json_each('[]')", set[str]()),
    ],
)
def test_a_name_that_the_query_gives_itself_is_no_table_and_hides_none(sql: str, tables: set[str]) -> None:
    found = statement_of(sql, "postgres")
    assert found is not None
    assert found.tables == tables


def test_a_table_that_is_not_listed_is_refused_with_those_that_are() -> None:
    checked("select * from orders", "postgres", ["orders"], ())
    with pytest.raises(ToolError, match=r"^table_refused: the table `staff` may not be read; those that may: `orders`"):
        checked("select * from orders join staff on true", "postgres", ["orders"], ())


def test_columns_and_a_limit_are_read() -> None:
    found = statement_of("select o.Id, total from orders o where day > 1 limit 5", "sqlite")
    assert found is not None
    assert (found.columns, found.has_limit) == ({"id", "total", "day"}, True)
    star = statement_of("select * from orders", "sqlite")
    assert star is not None
    assert (star.columns, star.has_limit) == ({"*"}, False)
