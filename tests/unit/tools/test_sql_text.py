"""A text of SQL is parsed within bounds, and read as none where it is beyond them."""

import time

import pytest

from backstay.tools.facts import sql_only_reads
from backstay.tools.sql_text import MOST_CHARACTERS, parsed

LONG = {
    "a sum": "select " + "1+" * 60_000 + "1",
    "a list": "select 1 where a in (" + ",".join(["1"] * 20_000) + ")",
    "brackets": "select " + "(" * 30_000,
    "comments": "/*" * 8_000,
    "semicolons": ";" * 20_000,
    "a sum that fits": "select " + "1+" * 4_900 + "1",
    "conditions that fit": "select 1 where " + " or ".join(["a=1"] * 1_400),
    "unions that fit": " union ".join(["select 1"] * 600),
    "brackets that fit": "select " + "(" * 4_000 + "1" + ")" * 4_000,
    "calls that fit": "select " + "f(" * 3_000 + "1" + ")" * 3_000,
    "casts that fit": "select 1" + "::int" * 1_900,
    "joins without conditions": "select * from t" + " join t" * 20,
    "a few more of them": "select * from t" + " left join t" * 40,
    "cases that fit": "select " + "case when 1 then " * 400,
}


@pytest.mark.parametrize("dialect", [None, "postgres", "mysql", "tsql", "bigquery"])
def test_no_text_keeps_the_parser_busy(dialect: str | None) -> None:
    for what, statement in LONG.items():
        begun = time.process_time()
        sql_only_reads(statement, dialect)
        assert time.process_time() - begun < 1.5, what


@pytest.mark.parametrize("what", ["a sum", "a list", "joins without conditions", "a few more of them"])
def test_a_text_beyond_the_bounds_counts_as_writing(what: str) -> None:
    assert not parsed(LONG[what], None)
    assert not sql_only_reads(LONG[what])


@pytest.mark.parametrize("dialect", [None, "postgres", "sqlite", "snowflake"])
def test_a_query_as_people_write_them_is_within_the_bounds(dialect: str | None) -> None:
    columns = ", ".join(f"t.column_{n} as name_{n}" for n in range(150))
    joins = " ".join(f"left join orders_{n} as o{n} on o{n}.id = t.id and o{n}.day > '2024-01-01'" for n in range(30))
    ids = ", ".join(map(str, range(500)))
    query = f"with t as (select * from base) select {columns} from t {joins} where t.id in ({ids}) order by 1"
    assert 6_000 < len(query) < MOST_CHARACTERS
    assert sql_only_reads(query, dialect)
    assert not sql_only_reads(f"{query}; delete from t", dialect)
