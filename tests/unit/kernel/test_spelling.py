"""Each kind of token has one spelling."""

import pytest

from backstay.kernel import spelling
from backstay.kernel.spelling import Kind, Token


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("1,500", Token(Kind.NUMBER, "1500")),
        ("1'500.50", Token(Kind.NUMBER, "1500.5")),
        ("98.70", Token(Kind.NUMBER, "98.7")),
        (".5", Token(Kind.NUMBER, "0.5")),
        ("-5", Token(Kind.NUMBER, "-5")),
        ("-0", Token(Kind.NUMBER, "0")),
        ("+5.00", Token(Kind.NUMBER, "5")),
        ("0", Token(Kind.NUMBER, "0")),
        ("007", Token(Kind.CODE, "007")),
        ("00.5", Token(Kind.CODE, "00.5")),
        ("1,50", Token(Kind.NUMBER, "1.5")),
        ("1.200,50", Token(Kind.NUMBER, "1200.5")),
        ("1 500,5", Token(Kind.NUMBER, "1500.5")),
        ("1,23,456.50", Token(Kind.NUMBER, "123456.5")),
        ("0,500", Token(Kind.NUMBER, "0.5")),
        ("\u22125", Token(Kind.NUMBER, "-5")),
        ("1.500", Token(Kind.NUMBER, "1.5|1500")),
        ("-1.500", Token(Kind.NUMBER, "-1.5|-1500")),
        ("1.234.567", Token(Kind.NUMBER, "1.234.567|1234567")),
        ("1500.000", Token(Kind.NUMBER, "1500")),
        ("1234,567", None),
        ("1.50.000", None),
        ("192.168.100.200", None),
        ("5%", None),
        ("", None),
    ],
)
def test_a_number_is_decimal_and_leading_zeros_make_a_code(text: str, token: Token | None) -> None:
    assert spelling.number(text) == token


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("https://www.Acme.com/Pay/?q=1#part", "acme.com/Pay/?q=1"),
        ("HTTP://acme.com/", "acme.com"),
        ("Old-Notes.TXT", "old-notes.txt"),
        ("file:///etc/Hosts", "file:///etc/Hosts"),
        ("FTP://Acme.com/X", "ftp://acme.com/X"),
        ("/", "/"),
        ("/srv/", "/srv"),
        ("../x", "../x"),
        ("././A/x", "a/x"),
        ("./", "."),
        ("https://acme.com:443/x", "acme.com/x"),
        ("https://acme.com:80/x", "acme.com:80/x"),
    ],
)
def test_a_name_has_no_scheme_of_the_web_and_no_last_slash_and_keeps_its_query(text: str, name: str) -> None:
    assert spelling.name(text) == Token(Kind.NAME, name)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("de89 3704 0044 0532 0130 00 ok", ("DE89370400440532013000", 27)),
        ("DE89 3704 0044 0532 0130 000", None),
        ("DE89 3704", None),
        ("XX89 3704 0044 0532 0130 00", None),
    ],
)
def test_an_iban_is_as_long_as_its_country_says(text: str, found: tuple[str, int] | None) -> None:
    assert spelling.iban(text) == (found and (Token(Kind.IBAN, found[0]), found[1]))


def test_a_date_may_lack_year_or_day_and_must_be_one() -> None:
    assert spelling.date("2024", "May", "5") == Token(Kind.DATE, "2024-05-05")
    assert spelling.date(None, "5", "15") == Token(Kind.DATE, "--05-15")
    assert spelling.date("2024", "sept", None) == Token(Kind.DATE, "2024-09")
    assert spelling.date("2024", "13", "1") is None
    assert spelling.date("2024", "1", "32") is None


@pytest.mark.parametrize(
    ("clock", "half", "zone", "times"),
    [
        ("9:05:00", None, "Z", ["09:05"]),
        ("9:05:07.50", None, None, ["09:05:07.5"]),
        ("12:30", "am", None, ["00:30"]),
        ("10", "p.m.", None, ["22:00"]),
        ("10:00", None, "+02:00", ["10:00", "+0200"]),
        ("10:00", None, "+00:00", ["10:00"]),
        (None, None, None, []),
    ],
)
def test_a_time_has_24_hours_and_a_zone_that_is_not_utc(
    clock: str | None, half: str | None, zone: str | None, times: list[str]
) -> None:
    assert [token.text for token in spelling.time(clock, half, zone)] == times


def test_capitals_are_folded_and_look_alikes_are_not() -> None:
    assert spelling.word("ÄRGER") == spelling.word("ärger")
    assert spelling.word("ban\u212a") != spelling.word("bank")
    assert spelling.word("\u0130x").text == "\u0130x"


def test_codes_of_grouped_digits_and_phone_numbers_have_no_blanks() -> None:
    assert spelling.grouped("4111 1111 1111 1111").text == "4111111111111111"
    assert spelling.phone("+49 (30) 123-456").text == "+4930123456"
    assert spelling.phone("0049 (0)30 123-456").text == "+4930123456"
    assert spelling.grouped("030/123 456") == Token(Kind.CODE, "030123456")
    assert spelling.mail("Bob@Acme.COM") == Token(Kind.MAIL, "bob@acme.com")


@pytest.mark.parametrize(
    ("text", "scale", "token"),
    [
        ("2k", None, Token(Kind.NUMBER, "2k|2000")),
        ("1.25M", None, Token(Kind.NUMBER, "1.25m|1250000")),
        ("1,5", "Mio", Token(Kind.NUMBER, "1500000")),
        ("3", "million", Token(Kind.NUMBER, "3000000")),
        ("007", "million", None),
        ("1.500", "million", None),
        ("500", None, None),
    ],
)
def test_a_number_with_its_scale_is_one_number(text: str, scale: str | None, token: Token | None) -> None:
    assert spelling.scaled(text, scale) == token


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("15/05/2024", "2024-05-15"),
        ("5/15/2024", "2024-05-15"),
        ("05.06.2024", "2024-06-05"),
        ("05.15.2024", "2024-05-15"),
        ("05-06-2024", "2024-05-06|2024-06-05"),
        ("15/05/24", "15/05/24|2015-05-24|2024-05-15"),
        ("1.2.24", "1.2.24|2024-01-02|2024-02-01"),
        ("15/15/2024", None),
        ("32.13.2024", None),
        ("00/00/00", None),
    ],
)
def test_figures_are_the_dates_that_they_may_be(text: str, date: str | None) -> None:
    assert spelling.day_month_year(text) == (date and Token(Kind.DATE, date))


def test_eight_digits_may_be_a_date() -> None:
    assert spelling.compact_date(Token(Kind.NUMBER, "20240515")) == Token(Kind.DATE, "2024-05-15")
    assert spelling.compact_date(Token(Kind.NUMBER, "20241315")) is None
    assert spelling.compact_date(Token(Kind.CODE, "20240515")) is None
