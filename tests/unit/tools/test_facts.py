"""Facts: what rules may know of arguments, computed without guessing in the caller's favour."""

import pytest

from backstay.tools.facts import mail_domains, named_arguments, sql_only_reads, url_host

READS = ["select 1", "select * from a union select * from b", "with a as (select 1) select * from a", "(select 1)"]
WRITES = [
    "select 1; drop table x",
    "with x as (delete from t returning *) select * from x",
    "with recursive a as (select 1) insert into b select * from a",
    "select * into y from x",
    "select * from x for update",
    "insert into x values (1)",
    "update x set y = 1",
    "merge into t using s on a = b when matched then delete",
    "truncate x",
    "drop table x",
    "create table x (y int)",
    "alter table x add y int",
    "copy x to '/tmp/x'",
    "set x = 1",
    "pragma foo",
    "call foo()",
    "explain select 1",
    "garbage ((",
    "",
]


@pytest.mark.parametrize("dialect", [None, "postgres", "sqlite"])
@pytest.mark.parametrize("statement", READS)
def test_a_query_only_reads(statement: str, dialect: str | None) -> None:
    assert sql_only_reads(statement, dialect)


@pytest.mark.parametrize("dialect", [None, "postgres", "sqlite"])
@pytest.mark.parametrize("statement", WRITES)
def test_a_statement_that_is_not_surely_a_query_counts_as_writing(statement: str, dialect: str | None) -> None:
    assert not sql_only_reads(statement, dialect)


@pytest.mark.parametrize(
    ("text", "domains"),
    [
        ("bob@acme.com", ["acme.com"]),
        ("Bob <bob@ACME.com>", ["acme.com"]),
        ("evil@x.com,bob@acme.com", ["acme.com", "x.com"]),
        ("x@acme.com; y@b.org", ["acme.com", "b.org"]),
        ('"a@acme.com" <b@evil.com>', [""]),
        ("bob@acme.com\nBcc: x@evil.com", [""]),
        ("a@b@c.com", [""]),
        ("bob", [""]),
        ("", [""]),
    ],
)
def test_every_recipient_gives_its_domain_and_an_unclear_one_gives_an_empty_one(text: str, domains: list[str]) -> None:
    assert mail_domains(text) == domains


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://A.com:80/x", "a.com"),
        ("http://user:secret@evil.com/", "evil.com"),
        ("https://good.com\\@evil.com", ""),
        ("https://good.com /x", ""),
        ("ftp://a.com", ""),
        ("//a.com", ""),
        ("https://[::1/", ""),
    ],
)
def test_the_host_is_where_the_url_really_leads(url: str, host: str) -> None:
    assert url_host(url) == host


def test_arguments_count_as_named_where_the_goal_says_their_values() -> None:
    goal = "Pay ACME-12 the 40 of invoice 7, and tell bob@example.com."
    arguments = {
        "payee": "acme-12",
        "amount": 40,
        "mail": "bob@example.com",
        "part": "ACME-1",
        "flag": True,
        "all": ["acme-12", 7],
        "some": ["acme-12", "eve"],
        "none": [],
    }
    assert named_arguments(goal, arguments) == ["all", "amount", "mail", "payee"]
