"""What is an amount of US dollars, and what is not."""

import pytest

from backstay.kernel.money import MoneyError, format_usd, parse_usd


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("0", 0),
        ("0.00", 0),
        ("0.0132", 13_200),
        ("0.50", 500_000),
        ("1", 1_000_000),
        ("007.5", 7_500_000),
        ("0.000001", 1),
        ("0.5000000000", 500_000),
        ("999999999999999999999999.999999", 10**30 - 1),
    ],
)
def test_a_decimal_string_is_read_as_micro_dollars(text: str, micros: int) -> None:
    assert parse_usd(text) == micros


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", ".", "-", "x", "NaN", "sNaN", "Infinity", "-Infinity", "0x10", "1/2", "$1", "1 USD"),
        *("-1", "-0", "+1", ".5", "5.", "1.2.3", "1,50", "1e3", "1E-6", "1e-999999999", "1e999999999", "1_000"),
        *(" 1", "1 ", "1\n", "\t1", "١٢", "１", "1\x00", "²", "1\ud800"),
        "1" + "0" * 24,
    ],
)
def test_what_is_no_plain_decimal_is_refused_by_its_shape(text: str) -> None:
    with pytest.raises(MoneyError, match=r"^expected US dollars as a decimal string such as \"0\.50\"$"):
        parse_usd(text)


@pytest.mark.parametrize(
    "text",
    ["0.0000001", "1.0000000000000000000000000000001", "100000000000000000000000.0000001", "0." + "0" * 40 + "1"],
)
def test_what_is_finer_than_a_micro_dollar_is_refused_and_not_rounded(text: str) -> None:
    with pytest.raises(MoneyError, match=r"^expected US dollars with at most six decimals$"):
        parse_usd(text)


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0.00"),
        (1, "0.000001"),
        (13_200, "0.0132"),
        (500_000, "0.50"),
        (1_000_000, "1.00"),
        (1_234_560, "1.23456"),
        (-500_000, "-0.50"),
        (10**30, "1000000000000000000000000.00"),
    ],
)
def test_an_amount_is_written_with_two_decimals_or_as_many_as_it_needs(micros: int, text: str) -> None:
    assert format_usd(micros) == text
