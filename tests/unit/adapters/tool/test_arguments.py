"""What a function is called with: one spelling for all that is equal, and what rules get to see."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from backstay.adapters.tool.arguments import Arguments
from backstay.contracts.policy import UNHELD


class Line(BaseModel):
    sku: str
    price: Decimal = Decimal("1.50")


def order(amount: Decimal, when: datetime, tags: set[str], lines: list[Line], note: str | None = None) -> None:
    """Orders."""


def unlock(password: SecretStr) -> None:
    """Unlocks."""


ORDER = Arguments.of("order", order, "here")
GIVEN: dict[str, Any] = {"amount": "120", "when": "2026-01-01T00:00:00Z", "tags": ["a", "b"], "lines": [{"sku": "x"}]}


def identity(arguments: Arguments, given: dict[str, Any]) -> dict[str, Any]:
    values = arguments.typed(given)
    assert isinstance(values, dict)
    return arguments.identity(values, given)


@pytest.mark.parametrize(
    "other",
    [
        {"amount": 120},
        {"amount": "120.00"},
        {"amount": "1.2E2"},
        {"when": "2026-01-01T02:00:00+02:00"},
        {"tags": ["b", "a"]},
        {"lines": [{"sku": "x", "price": "1.5"}]},
        {"note": None},
    ],
    ids=str,
)
def test_arguments_that_are_equal_are_one(other: dict[str, Any]) -> None:
    assert identity(ORDER, {**GIVEN, **other}) == identity(ORDER, GIVEN)


@pytest.mark.parametrize(
    "other",
    [{"amount": "120.01"}, {"when": "2026-01-01T00:00:01Z"}, {"tags": ["a"]}, {"lines": []}, {"note": ""}],
    ids=str,
)
def test_arguments_that_differ_are_two(other: dict[str, Any]) -> None:
    assert identity(ORDER, {**GIVEN, **other}) != identity(ORDER, GIVEN)


def test_an_argument_that_json_cannot_carry_is_hidden_from_rules_but_is_part_of_the_identity() -> None:
    arguments = Arguments.of("unlock", unlock, "here")
    assert arguments.held({"password": SecretStr("a")}) == {"password": UNHELD}
    assert identity(arguments, {"password": "a"}) != identity(arguments, {"password": "b"})
