"""How the value of an argument stands in a goal."""

from decimal import Decimal

import pytest

from backstay.kernel.amounts import Match
from backstay.kernel.mentions import Mentions
from backstay.kernel.named import digits_of, match_of
from backstay.kernel.tokens import placed

GOAL = Mentions("Refund 120.50 USD of order 4711 to ann@acme.com and bob@acme.com.")


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("to", "ann@acme.com", Match.FULL),
        ("to", "eve@acme.com", Match.NONE),
        ("to", ["ann@acme.com", "bob@acme.com"], Match.FULL),
        ("to", ["ann@acme.com", "eve@acme.com"], Match.NONE),
        ("amount", 120.5, Match.FULL),
        ("amount", "120.50", Match.FULL),
        ("order_id", 4711, Match.FULL),
        ("amount", 4711, Match.NONE),
        ("sure", True, Match.NONE),
        ("who", {"name": "ann@acme.com"}, Match.NONE),
        ("amount", float("inf"), Match.NONE),
    ],
)
def test_a_value_stands_in_the_goal_as_a_whole(name: str, value: object, match: Match) -> None:
    assert match_of(GOAL, name, value) is match


def test_a_decimal_that_is_written_as_text_is_an_amount() -> None:
    assert match_of(GOAL, "paid", "120.50", Decimal("120.50")) is Match.FULL


def test_types_of_entries_may_be_fewer_than_the_entries() -> None:
    assert match_of(GOAL, "paid", ["120.50", "120.50"], [Decimal("120.50")]) is Match.FULL


def test_tokens_that_are_known_are_not_read_again() -> None:
    assert match_of(GOAL, "to", "ann@acme.com", None, placed("eve@acme.com")) is Match.NONE


@pytest.mark.parametrize(
    ("value", "digits"), [(7, "7"), (1.50, "1.5"), (Decimal("2.10"), "2.10"), (1e300, None), (True, None), ("7", None)]
)
def test_only_numbers_have_digits(value: object, digits: str | None) -> None:
    assert digits_of(value) == digits
