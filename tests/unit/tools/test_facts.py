"""Facts: what rules may know of arguments, computed without guessing in the caller's favour."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from backstay.kernel.mentions import Match
from backstay.tools.facts import mail_domains, named_arguments, path_inside, plain_path, sql_only_reads, url_host

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
        ("http:/good.com", ""),
        ("http://good.com@evil.com@good.com", ""),
        ("http://evil\u3002com.", "evil.com"),
        ("http://ev\u00adil.%63om", "evil.com"),
        ("http://0x7f.1", "127.0.0.1"),
        ("http://[0::1]:80", "::1"),
        ("ftp://a.com", ""),
        ("//a.com", ""),
        ("https://[::1/", ""),
    ],
)
def test_the_host_is_where_the_url_really_leads(url: str, host: str) -> None:
    assert url_host(url) == host


GOAL = "Pay ACME-12 the 140 of invoice 700 and 40 USD on top, in 7 days, and tell bob@example.com."


def test_arguments_count_as_named_where_the_goal_says_their_values() -> None:
    arguments = {
        "payee": "acme-12",
        "amount": 140,
        "mail": "bob@example.com",
        "part": "ACME-1",
        "domain": "example.com",
        "flag": True,
        "all": ["acme-12", 140.0],
        "some": ["acme-12", "eve"],
        "none": [],
        "object": {"payee": "acme-12"},
        "nothing": None,
    }
    assert named_arguments(GOAL, arguments) == ["all", "amount", "mail", "payee"]


def test_a_short_value_is_named_weakly_unless_a_currency_stands_beside_it() -> None:
    arguments = {"days": 7, "top": 40, "list": [7, 140], "no": 8}
    assert named_arguments(GOAL, arguments, how=Match.WEAK) == ["days", "list"]
    assert named_arguments(GOAL, arguments) == ["top"]


def test_the_number_of_an_invoice_is_no_amount_in_any_spelling() -> None:
    arguments = {"amount": 700, "price": "700", "charge": "700.00", "invoice_no": 700, "invoice": "700"}
    values = {**arguments, "charge": Decimal("700.00")}
    assert named_arguments(GOAL, arguments, values) == ["invoice", "invoice_no"]


def test_a_decimal_that_is_written_as_text_is_an_amount() -> None:
    assert named_arguments(GOAL, {"charge": ["140.00"]}, {"charge": [Decimal("140.00")]}) == ["charge"]


@pytest.mark.parametrize("number", [float("inf"), float("nan"), 10**400, 1e300])
def test_a_number_beyond_all_numbers_is_named_nowhere(number: float) -> None:
    assert named_arguments("pay inf nan", {"x": number}) == []


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        ("a.txt", "a.txt"),
        ("./a//b/../c.txt", "a/c.txt"),
        ("/srv//data/./x/../y", "/srv/data/y"),
        ("/", "/"),
        (".", "."),
        ("a/", "a"),
        ("Größe/ü.txt", "Größe/ü.txt"),
        ("10:30.txt", "10:30.txt"),
    ],
)
def test_a_path_is_written_without_detours(path: str, plain: str) -> None:
    assert plain_path(path) == plain


UNCLEAR = [
    *("", "..", "../x", "/..", "/srv/../../etc", "a/../../b", "a\\b", "..\\x", "%2e%2e/x", "%252e%252e/x"),
    *("a%2Fb", "~/x", "a./b", "a /b", "a/b."),
    *("~root/x", "a/~/x", "$HOME/x", "a/$HOME", "C:/x", "file:///etc/passwd", "a\x00b", "a\nb", "a\u200bb"),
    *(".../x", "\uff0e\uff0e/x", "a\uff0fb", "\u2024\u2024/x", " a", "a "),
]  # fmt: skip


@pytest.mark.parametrize("path", UNCLEAR)
def test_an_unclear_path_is_none_and_inside_of_nothing(path: str, tmp_path: Path) -> None:
    assert plain_path(path) == ""
    assert not path_inside(str(tmp_path), path)
    assert not path_inside("/", path)


@pytest.mark.parametrize("path", [None, 5, b"a", ["a"]])
def test_what_is_no_text_is_no_path(path: Any) -> None:
    assert plain_path(path) == ""
    assert not path_inside("/", path)


def test_a_path_is_inside_by_what_it_leads_to(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "sub").mkdir(parents=True)
    outside.mkdir()
    (root / "out").symlink_to(outside)
    (root / "in").symlink_to(root / "sub")
    (tmp_path / "alias").symlink_to(root)
    inside = ["a.txt", "sub/../b", "in/x", "new/deep/c", f"{root}/a.txt", str(root), ".", f"{root}//sub"]
    assert {path: path_inside(str(root), path) for path in inside} == dict.fromkeys(inside, True)
    out = ["out", "out/x", "out/../x/..", f"{tmp_path}/root-2/x", str(outside), "/etc/passwd", f"{tmp_path}/alias/a"]
    assert {path: path_inside(str(root), path) for path in out} == dict.fromkeys(out, False)
    assert path_inside(str(tmp_path / "alias"), "a.txt")


def test_all_paths_must_be_inside_and_without_any_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert path_inside(str(tmp_path), "a", "b/c")
    assert not path_inside(str(tmp_path), "a", "/etc/passwd")
    assert not path_inside(str(tmp_path))
    assert not path_inside("", "a")


def test_a_link_that_leads_to_itself_is_inside_of_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert not path_inside(str(tmp_path / "other"), str(tmp_path / "loop"))
