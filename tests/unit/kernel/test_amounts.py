"""A number is an amount where the words and signs beside it say so, and what names something is none."""

import pytest

from backstay.kernel.mentions import Match, Mentions

SURE = [
    ("pay EUR500", "500"),
    ("pay 500€", "500"),
    ("pay €500", "500"),
    ("pay US$500", "500"),
    ("pay 500USD now", "500"),
    ("500 euros, please", "500"),
    ("$1,234.50 it is", "1234.5"),
    ("£1.5k", "1500"),
    ("pay 500 EUR", "500 EUR"),
    ("98,70", "98.7"),
    ("98,70 €", "98.70"),
    ("0,500", "0.5"),
    ("12,5 EUR", "12.5"),
    ("1.500,00", "1500"),
    ("1.234.567,89", "1234567.89"),
    ("1.234.567 EUR", "1234567"),
    ("1,23,456.00", "123456"),
    ("1 500 EUR", "1500"),
    ("1\u202f500,50 EUR", "1500.5"),
    ("1'500 CHF", "1500"),
    ("1’500.00", "1500"),
    ("2 million EUR", "2000000"),
    ("refund 1,5 million", "1500000"),
    ("500,- please", "500"),
    ("500.- please", "500"),
    ("-$50", "-50"),
    ("\u221250,00 EUR", "-50"),
    ("Refund 120.", "120"),
    ("Refund 120 for order A17", "120"),
    ("Refund order A17: 120", "120"),
    ("Refund order 4711 with 120", "120"),
    ("Pay Bob Smith 250", "250"),
    ("Send a@b.com 250", "250"),
    ("Pay 250 or 300", "300"),
    ("total: 250", "250"),
    ("Transfer 5000 to Bob", "5000"),
    ("pay 2024", "2024"),
    ("refund 2,000 units", "2000"),
    ("zahle 750", "750"),
]
UNSURE = [
    ("since 2024", "2024"),
    ("pay the invoices of 2024", "2024"),
    ("Q3 2024", "2024"),
    ("Pay the flat in 10115 Berlin", "10115"),
    ("Springfield, IL 62704", "62704"),
    ("Vrať objednávku 4711", "4711"),
    ("4711: refund it", "4711"),
    ("1.500 EUR", "1500"),
    ("1.500 EUR", "1.5"),
    ("1.234.567", "1234567"),
    ("pay 2k", "2000"),
    ("charge 150 %", "150"),
    ("charge 150%", "150"),
    ("raise it by 150 percent", "150"),
    ("pay 7", "7"),
    ("come at 10.30", "10.3"),
    ("Refund 120 EUR, never 500 EUR", "500"),
]
OTHERS = [
    ("order 4711", "4711"),
    ("orders 4711 and also 4712", "4712"),
    ("Bestellung 4711", "4711"),
    ("facture 4711", "4711"),
    ("PLZ 10115", "10115"),
    ("#4711", "4711"),
    ("pay 1,500 EUR", "1.5"),
    ("1.500,00 EUR", "1.5"),
    ("-50 EUR", "50"),
    ("-$50", "50"),
    ("2k EUR", "2"),
    ("500 million", "500"),
    ("host 10.20.30.40", "10203040"),
    ("pay 0042", "42"),
    ("pay for May 2024", "2024"),
    ("pay 12,34,5", "12"),
    ("pay EUR500", "EUR500x"),
    ("pay it", "x%"),
]


@pytest.mark.parametrize(("text", "amount"), SURE)
def test_an_amount_with_a_currency_or_after_a_word_of_paying_is_sure(text: str, amount: str) -> None:
    assert Mentions(text).of_amount(amount) is Match.FULL


@pytest.mark.parametrize(("text", "amount"), UNSURE)
def test_a_number_that_may_be_something_else_is_a_weak_match(text: str, amount: str) -> None:
    assert Mentions(text).of_amount(amount) is Match.WEAK


@pytest.mark.parametrize(("text", "amount"), OTHERS)
def test_a_number_that_names_something_is_no_amount(text: str, amount: str) -> None:
    assert Mentions(text).of_amount(amount) is Match.NONE


def test_the_same_unclear_spelling_on_both_sides_is_sure_and_exact_digits_are_not() -> None:
    mentions = Mentions("pay the 1.500 EUR")
    assert [mentions.of_text("1.500"), mentions.of_number("1.500"), mentions.of_number("1500")] == [
        Match.FULL,
        Match.WEAK,
        Match.WEAK,
    ]
    assert Mentions("pay 1500").of_text("1.500") is Match.WEAK
    assert Mentions("pay 15").of_text("1.500") is Match.NONE
