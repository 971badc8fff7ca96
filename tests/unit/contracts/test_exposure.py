"""Limits of meters as files have them, and sums as people read them."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from backstay.contracts.exposure import ExposureLimits, MeterSpec, Quantity, ShownExposure, over_many_runs, sums
from backstay.kernel.ledger_period import Period
from backstay.kernel.ledger_sums import Limit
from backstay.kernel.meter import Bound, Exposed


@pytest.mark.parametrize("limit", ["0", "500", "0.0001", True])
def test_a_limit_is_a_decimal_as_text_or_true(limit: Any) -> None:
    assert ExposureLimits(run=limit, day=limit, month=limit).model_dump() == {
        "run": limit,
        "day": limit,
        "month": limit,
        "on_exceed": "deny",
    }


@pytest.mark.parametrize("limit", [500, 0.5, False, "-1", "0.00001", "much", ["500"]])
def test_nothing_else_is_a_limit(limit: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        ExposureLimits(run=limit)
    [error] = refused.value.errors()
    assert error["loc"] == ("run",)
    assert "expected a decimal string" in error["msg"]


@pytest.mark.parametrize(
    ("on_exceed", "asks"), [("deny", None), ("ask:finance", "finance"), ("ask:finance:2", "finance:2")]
)
def test_above_a_limit_nobody_or_a_group_is_asked(on_exceed: str, asks: str | None) -> None:
    assert ExposureLimits(on_exceed=on_exceed).asks == asks


@pytest.mark.parametrize("on_exceed", ["ask", "ask:", "ask:finance:0", "allow", ""])
def test_other_ways_to_go_on_are_unknown(on_exceed: str) -> None:
    with pytest.raises(ValidationError, match="ask:finance"):
        ExposureLimits(on_exceed=on_exceed)


def test_the_limits_of_all_levels_hold_and_a_group_without_people_lets_nothing_through() -> None:
    meter = MeterSpec(
        organisation=[
            ExposureLimits(run="600"),
            ExposureLimits(day="9"),
            ExposureLimits(run="7", on_exceed="ask:vacant"),
        ],
        agent=ExposureLimits(run="500", on_exceed="ask:finance:1"),
        members={"finance": ["ann"], "vacant": []},
    )
    assert meter.bounds() == (Bound(6_000_000), Bound(70_000), Bound(5_000_000, "finance"))
    assert MeterSpec(agent=ExposureLimits(run=True)).bounds() == MeterSpec().bounds() == ()


def test_limits_of_a_day_and_a_month_are_the_tenants_in_a_ledger() -> None:
    meter = MeterSpec(
        organisation=[ExposureLimits(day="600", on_exceed="ask:vacant"), ExposureLimits(run="9", month=True)],
        agent=ExposureLimits(day="500", month="9000.5", on_exceed="ask:finance:2"),
        members={"finance": ["ann", "bob"], "vacant": []},
    )
    assert meter.limits("refunds", 90) == [
        Limit("tenant", "exposure:refunds", Period.DAY, 6_000_000, 90),
        Limit("tenant", "exposure:refunds", Period.DAY, 5_000_000, 90, "finance:2"),
        Limit("tenant", "exposure:refunds", Period.MONTH, 90_005_000, 90, "finance:2"),
    ]
    assert [level.counts(Period.MONTH) for level in meter.levels] == [False, True, True]
    assert [level.counts(Period.DAY) for level in meter.levels] == [True, False, True]


def test_a_card_shows_decimals() -> None:
    shown = ShownExposure.of(Exposed(4_950_000, 990_000, 5_000_000))
    assert (shown.before, shown.after, shown.limit) == ("495", "594", "500")
    assert ShownExposure.of(Exposed(0, 1)).limit is None


def test_a_card_shows_the_sums_over_many_runs_where_they_are_counted() -> None:
    shown = ShownExposure.of(Exposed(0, 990_000)).over_many_runs({Period.DAY: Exposed(495_000, 990_000, 1_000_000)})
    assert shown.model_dump() == {
        "before": "0",
        "after": "99",
        "limit": None,
        "day": {"before": "49.5", "after": "148.5", "limit": "100"},
    }
    assert ShownExposure.model_validate(shown.model_dump()) == shown


def test_sums_are_read_as_decimals_by_period() -> None:
    found = sums({"refunds": 5_000}, {"refunds": {Period.DAY: 990_000}, "deleted": {}}, ["refunds", "vouchers"])
    assert found == {"refunds": {"run": "0.5", "day": "99"}, "vouchers": {"run": "0"}}
    assert over_many_runs(found) == [("refunds, tenant this day", "99")]


@pytest.mark.parametrize(("value", "fits"), [("495.5", True), (495, False), (True, False), ("-1", False)])
def test_a_sum_in_a_case_is_a_decimal_as_text(value: Any, fits: bool) -> None:
    quantity = TypeAdapter[str](Quantity)
    if fits:
        assert quantity.validate_python(value) == value
    else:
        with pytest.raises(ValidationError, match="expected a decimal string"):
            quantity.validate_python(value)
