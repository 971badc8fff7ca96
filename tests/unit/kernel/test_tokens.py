"""A text is read as whole tokens, and no piece of one is a token."""

import pytest

from backstay.kernel.spelling import Kind
from backstay.kernel.tokens import is_plain, tokens


def told(text: str) -> list[str]:
    return [token.text for token in tokens(text)]


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("Mail john.doe@gmail.com!", ["mail", "john.doe@gmail.com"]),
        ("a@b@c.com, <x@y.z>; @bob", ["a@b@c.com", "x@y.z", "bob"]),
        ("see www.our-company.com.", ["see", "our-company.com"]),
        ("(https://Acme.com/a?b=c#d).", ["acme.com/a?b=c"]),
        ("https://good.com@evil.com/x", ["good.com@evil.com/x"]),
        ("old-notes.txt, C:\\Tmp\\x.txt or /etc/passwd", ["old-notes.txt", "c:\\Tmp\\x.txt", "or", "/etc/passwd"]),
        ("../x ~/y .env reports/..", ["../x", "~/y", ".env", "reports/.."]),
        ("acme.com:8080/x acme.com/pay?to=eve", ["acme.com:8080/x", "acme.com/pay?to=eve"]),
        ("1,500 or 1 500 or 98.70 or 1.200,50", ["1500", "or", "1500", "or", "98.7", "or", "1200.5"]),
        ("$40 #12 50% -5", ["$", "40", "#", "12", "50", "%", "-5"]),
        ("007 12-34-56 24/7 10.0.0.1", ["007", "12-34-56", "24/7", "10.0.0.1"]),
        ("2024-05-01T10:00:00Z", ["2024-05-01", "10:00"]),
        ("15th of May, 2024 at 10 a.m.", ["2024-05-15", "at", "10:00"]),
        ("May 15, then May 2024; 15.05.2024; 15/May", ["--05-15", "then", "2024-05", "2024-05-15", "--05-15"]),
        ("2024-13-01 and 2024-13-01T10:00", ["2024-13-01", "and", "2024-13-01t10:00"]),
        ("EUR500 500usd -$5 EUR x5", ["eur", "500", "500", "usd", "$", "-5", "eur", "x5"]),
        ("USDx 5usdx mailto:a@b.c", ["usdx", "5usdx", "a@b.c"]),
        ("1 May 2024-x", ["2024-05-01", "-x"]),
        ("10:30:15", ["10:30:15"]),
        ("DE89 3704 0044 0532 0130 00 and DE893704", ["DE89370400440532013000", "and", "de893704"]),
        ("DE89 3704 0044 0532 0130 000", ["de89", "3704004405320130", "000"]),
        ("DE89370400440532013000x", ["de89370400440532013000x"]),
        ("4111 1111 1111 1111 +49 30 123456", ["4111111111111111", "+4930123456"]),
        ("Bob's don't O’Brien old-notes", ["bob", "don't", "o'brien", "old-notes"]),
        ("R&D and/or a+b", ["r", "&d", "and/or", "a+", "b"]),
        ("'1 May 2024' mayor maybe May", ["2024-05-01", "mayor", "maybe", "may"]),
        ("cafe\u0301 caf\u00e9", ["café", "café"]),
        ("x:1 see: y:/", ["x", "1", "see", "y:"]),
        ("wait... - + ! ?? .. /", ["wait", "..", "/"]),
        ("", []),
    ],
)  # fmt: skip
def test_a_text_is_read_longest_token_first(text: str, texts: list[str]) -> None:
    assert told(text) == texts


def test_the_kind_belongs_to_the_token() -> None:
    kinds = [token.kind for token in tokens("Bob 5 05 a@b c.d €")]
    assert kinds == [Kind.WORD, Kind.NUMBER, Kind.CODE, Kind.MAIL, Kind.NAME, Kind.SYMBOL]


@pytest.mark.parametrize("sign", ["\u200b", "\u00ad", "\u2060", "\ufeff", "\u202e", "\x00"])
def test_a_hidden_sign_cuts_no_name_in_two(sign: str) -> None:
    assert "notes.txt" not in told(f"old{sign}notes.txt")


@pytest.mark.parametrize(
    "value",
    [
        *("a\u200bb", "a\nb", "a\x00", "\ufeffa", "a\u202eb", "a\xadb", "a\ud800", "a\xa0b", "a\ufe0f", "\u3164"),
        *("ban\u212a", "\ufffd", "notes*", "a|b", "note?", "`x`"),
    ],
)
def test_a_value_with_hidden_or_open_signs_is_not_plain(value: str) -> None:
    assert not is_plain(value)


@pytest.mark.parametrize("value", ["Bob", "bob@acme.com", "is it Bob?", "Ärger", "请", "$5.00; (ok)"])
def test_other_values_are_plain(value: str) -> None:
    assert is_plain(value)


def test_a_sign_in_disguise_is_no_letter() -> None:
    assert told("ban\u212a") == ["ban\ufffd"]


def test_a_long_run_of_accents_is_left_as_it_is() -> None:
    assert told("e" + "\u0301" * 31) == ["e" + "\u0301" * 31]
