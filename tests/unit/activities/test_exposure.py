"""What a call means in the domain is read from its tool, and summed up over the calls of a decision."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from activities.exposure import Tally, UncountableError, added, exposure_of
from backstay.kernel.ledger_period import Period
from backstay.kernel.meter import Bound
from backstay.kernel.verdict import Code, Outcome, Verdict

from .fakes import FakeTool, tool_spec
from .world import World, facts

PAYS = tool_spec(exposure=["refunds_usd"])


def paying(amount: Any) -> FakeTool:
    return FakeTool(PAYS, adds=lambda values: {"refunds_usd": amount})


def test_a_tool_without_meters_is_not_asked() -> None:
    assert exposure_of(FakeTool(tool_spec(), adds=lambda values: {"refunds_usd": 1}), {}) == {}


def test_what_a_call_adds_is_counted_in_ten_thousandths() -> None:
    assert exposure_of(paying(Decimal("99.5")), {}) == {"refunds_usd": 995_000}


@pytest.mark.parametrize("amount", [-1, None, "canary", True, float("nan")])
def test_what_is_no_amount_cannot_be_counted_and_is_not_repeated(amount: Any) -> None:
    with pytest.raises(UncountableError, match="`refunds_usd` cannot be counted") as refused:
        exposure_of(paying(amount), {})
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("error", [ValueError("canary"), KeyError("canary"), StopIteration("canary")])
def test_a_function_that_raises_cannot_be_counted(error: BaseException) -> None:
    def raising(values: Mapping[str, Any]) -> dict[str, Any]:
        raise error

    with pytest.raises(UncountableError) as refused:
        exposure_of(FakeTool(PAYS, adds=raising), {})
    assert str(refused.value).endswith(type(error).__name__)


def test_somebody_who_ends_the_process_is_not_held_up() -> None:
    def leaving(values: Mapping[str, Any]) -> dict[str, Any]:
        raise SystemExit

    with pytest.raises(SystemExit):
        exposure_of(FakeTool(PAYS, adds=leaving), {})


def judged(amount: int, outcome: Outcome = Outcome.ALLOW) -> Verdict:
    return Verdict(outcome, Code.PERMITTED, "d", "v", exposure={"refunds_usd": amount})


@pytest.mark.parametrize(
    ("bounds", "verdict", "after"),
    [
        ([], judged(99), 199),
        ([], judged(99, Outcome.REQUIRE_APPROVAL), 199),
        ([], judged(99, Outcome.DENY), 100),
        ([Bound(198)], judged(99), 100),
        ([Bound(198, "finance")], judged(99), 199),
    ],
)
def test_a_call_counts_for_those_after_it_unless_it_is_certainly_not_made(
    world: World, bounds: list[Bound], verdict: Verdict, after: int
) -> None:
    given = world.question(
        facts=facts().model_copy(update={"exposure": {"refunds_usd": 100}}), bounds={"refunds_usd": bounds}
    )
    tally = Tally(given)
    assert tally.question() is given
    tally.count("1-0", verdict)
    assert tally.question().facts.exposure == {"refunds_usd": after}


def test_sums_of_meters_are_added_one_by_one() -> None:
    assert added({"a": 1, "b": 2}, {"b": 3, "c": 4}) == {"a": 1, "b": 5, "c": 4}


def test_what_ledgers_hold_of_a_call_that_is_not_made_is_in_no_sum_of_those_after_it(world: World) -> None:
    before = {"refunds_usd": {Period.DAY: 198}}
    given = world.question(counted={"1-2": before}, uncounted=["1-1"])
    tally = Tally(given)
    tally.count("1-1", judged(50, Outcome.DENY))
    assert tally.question() is given, "of that one nothing is held"
    tally.count("1-0", judged(99, Outcome.DENY))
    assert tally.question().counted == {"1-2": {"refunds_usd": {Period.DAY: 99}}}
    tally.count("1-2", judged(5))
    assert tally.question().counted == {"1-2": {"refunds_usd": {Period.DAY: 99}}}
