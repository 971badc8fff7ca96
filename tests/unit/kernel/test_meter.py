"""Amounts of the domain are exact, and what is no amount is refused."""

from dataclasses import replace
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Any

import pytest

from backstay.kernel.ledger_sums import Excess as LimitExcess
from backstay.kernel.meter import MOST, Bound, Excess, Exposed, MeterError, excess, format_amount, read_amount, read_sum


class Size(IntEnum):
    LARGE = 3


class Measured(float):
    """A float as libraries for numbers have it: it is one, and is not spelled like one."""

    def __repr__(self) -> str:
        return f"Measured({float(self)})"


@pytest.mark.parametrize(
    ("value", "units"),
    [
        (0, 0),
        (99, 990_000),
        (Size.LARGE, 30_000),
        (Decimal("0.0001"), 1),
        (Decimal("1.50000000"), 15_000),
        (Decimal("1E+3"), 10_000_000),
        (Decimal("-0"), 0),
        (0.1, 1_000),
        (Measured(99.5), 995_000),
        (1e14, 10**18),
        ("0", 0),
        ("12.3400", 123_400),
        (str(Decimal(MOST).scaleb(-4)), MOST),
    ],
)
def test_an_exact_decimal_of_zero_or_more_is_an_amount(value: object, units: int) -> None:
    assert read_amount(value) == units


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (True, "a bool is no amount"),
        (None, "a NoneType is no amount"),
        (Fraction(1, 2), "a Fraction is no amount"),
        ([1], "a list is no amount"),
        ("", "no plain decimal"),
        ("ten", "no plain decimal"),
        ("-1", "no plain decimal"),
        ("+1", "no plain decimal"),
        (" 1", "no plain decimal"),
        ("1e3", "no plain decimal"),
        ("1_000", "no plain decimal"),
        ("١", "no plain decimal"),
        ("NaN", "no plain decimal"),
        ("9" * 30, "no plain decimal"),
        (-1, "zero or more"),
        (-0.01, "zero or more"),
        (Decimal("-1E-999999"), "zero or more"),
        (Decimal("NaN"), "finite"),
        (Decimal("sNaN"), "finite"),
        (Decimal("Infinity"), "finite"),
        (float("nan"), "finite"),
        (float("inf"), "finite"),
        (float("-inf"), "finite"),
        (0.1 + 0.2, "four decimals"),
        (0.00001, "four decimals"),
        (Decimal("1E-999999"), "four decimals"),
        ("0.00001", "four decimals"),
        (10**400, "at most 922337203685477.5807"),
        (1e300, "at most"),
        (Decimal("1E+999999"), "at most"),
        (Decimal(MOST + 1).scaleb(-4), "at most"),
    ],
)
def test_anything_else_is_none_and_its_value_is_not_repeated(value: Any, why: str) -> None:
    with pytest.raises(MeterError) as refused:
        read_amount(value)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("units", "text"), [(0, "0"), (1, "0.0001"), (5_000, "0.5"), (990_000, "99"), (10_000_000, "1000")]
)
def test_an_amount_is_written_as_the_shortest_decimal(units: int, text: str) -> None:
    assert format_amount(units) == text


@pytest.mark.parametrize("units", [0, 1, 5_000, 990_000, MOST, 2 * MOST + 1, 10**40])
def test_a_sum_is_read_as_it_was_written_however_large(units: int) -> None:
    assert read_sum(format_amount(units)) == units


FINAL, ASKS = Bound(500), Bound(500, "finance")


@pytest.mark.parametrize(
    ("bounds", "before", "amount", "agreed", "over"),
    [
        ((), 10**9, 1, {}, None),
        ((FINAL,), 400, 100, {}, None),
        ((FINAL,), 400, 101, {}, Excess({"m": Exposed(400, 101, 500)})),
        ((FINAL,), 600, 0, {}, None),
        ((FINAL,), 400, 101, {"m": 501}, Excess({"m": Exposed(400, 101, 500)})),
        ((ASKS,), 400, 101, {}, Excess({"m": Exposed(400, 101, 500)}, ("finance",))),
        ((ASKS,), 400, 101, {"m": 501}, None),
        ((ASKS,), 401, 101, {"m": 501}, Excess({"m": Exposed(401, 101, 500)}, ("finance",))),
        ((ASKS, Bound(600)), 400, 101, {}, Excess({"m": Exposed(400, 101, 500)}, ("finance",))),
        ((ASKS, Bound(600)), 400, 201, {}, Excess({"m": Exposed(400, 201, 500)})),
        ((Bound(600), ASKS), 400, 201, {"m": 601}, Excess({"m": Exposed(400, 201, 600)})),
        ((ASKS, Bound(450, "board")), 400, 101, {}, Excess({"m": Exposed(400, 101, 450)}, ("finance", "board"))),
    ],
)
def test_a_call_passes_a_limit_only_up_to_the_sum_that_people_agreed_to(
    bounds: tuple[Bound, ...], before: int, amount: int, agreed: dict[str, int], over: Excess | None
) -> None:
    assert excess({"m": before}, {"m": amount}, {"m": bounds}, agreed) == over


def test_one_meter_that_nobody_may_let_above_its_limit_refuses_the_whole_call() -> None:
    found = excess({}, {"a": 501, "b": 501, "c": 1}, {"a": (ASKS,), "b": (FINAL,)}, {})
    assert found == Excess({"a": Exposed(0, 501, 500), "b": Exposed(0, 501, 500)})


def test_the_sum_after_a_call_is_that_before_and_its_amount() -> None:
    assert Exposed(400, 101).after == 501


OVER = LimitExcess("exposure:m:tenant:day", 101, 50)


@pytest.mark.parametrize(
    ("own", "limit", "groups"),
    [
        (Excess({}), OVER, ()),
        (Excess({}), replace(OVER, groups=("finance",)), ("finance",)),
        (Excess({"m": Exposed(0, 1, 0)}), replace(OVER, groups=("finance",)), ()),
        (Excess({"m": Exposed(0, 1, 0)}, ("board",)), OVER, ()),
        (Excess({"m": Exposed(0, 1, 0)}, ("board",)), replace(OVER, groups=("finance", "board")), ("board", "finance")),
    ],
)
def test_a_limit_of_the_run_and_one_over_many_runs_ask_together_or_let_nobody_through(
    own: Excess, limit: LimitExcess, groups: tuple[str, ...]
) -> None:
    assert own.beside(limit) == Excess(own.meters, groups, limit)
    assert own.beside(None) == own
