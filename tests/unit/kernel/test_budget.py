"""Holds, settlements and limits, one example each."""

import pytest

from backstay.kernel.budget import WINDOW_MS, Amount, Budget, Limits, Settled, Shortfall, ToolLimit
from backstay.kernel.meter import Bound, Excess, Exposed

ONE_OF_EACH = {
    "steps": (Limits(steps=3), Amount(steps=1)),
    "model_calls": (Limits(model_calls=3), Amount(model_calls=1)),
    "tool_calls": (Limits(tool_calls=3), Amount(tool_calls=1)),
    "tokens": (Limits(tokens=3), Amount(input_tokens=1)),
    "usd": (Limits(usd=3), Amount(usd=1)),
    "tool:mail": (Limits(tools={"mail": ToolLimit(calls=3)}), Amount(tools={"mail": 1})),
    "tool:mail:per_minute": (Limits(tools={"mail": ToolLimit(per_minute=3)}), Amount(tools={"mail": 1})),
}


def short_of(found: Budget | Shortfall | None) -> str:
    """The dimension in which a hold does not fit, where its figures say so too."""
    assert isinstance(found, Shortfall)
    assert found.needed > found.left or found.dimension.startswith("hold:")
    return found.dimension


def held(budget: Budget, name: str, amount: Amount, at_ms: int = 0) -> Budget:
    after = budget.hold(name, amount, at_ms)
    assert isinstance(after, Budget)
    return after


@pytest.mark.parametrize(("dimension", "limits", "one"), [(key, *value) for key, value in ONE_OF_EACH.items()])
def test_exactly_at_the_cap_fits_and_one_more_does_not(dimension: str, limits: Limits, one: Amount) -> None:
    budget = held(held(held(Budget(limits), "x", one), "y", one), "z", one)
    assert short_of(budget.hold("one more", one)) == dimension


@pytest.mark.parametrize(("dimension", "limits", "one"), [(key, *value) for key, value in ONE_OF_EACH.items()])
def test_what_is_spent_counts_as_much_as_what_is_held(dimension: str, limits: Limits, one: Amount) -> None:
    budget = Budget(limits)
    for name in ("x", "y", "z"):
        budget = held(budget, name, one).settle(name, one).budget
    assert short_of(budget.shortfall(one)) == dimension
    assert budget.shortfall(Amount()) is None


def test_input_and_output_count_together_as_tokens() -> None:
    budget = Budget(Limits(tokens=10))
    assert budget.shortfall(Amount(input_tokens=4, output_tokens=6)) is None
    assert short_of(budget.shortfall(Amount(input_tokens=4, output_tokens=7))) == "tokens"


def test_a_limit_of_zero_lets_nothing_through() -> None:
    assert short_of(Budget(Limits(usd=0)).hold("x", Amount(usd=1))) == "usd"


def test_no_limit_lets_everything_through() -> None:
    everything = Amount(10**9, 10**9, 10**9, 10**9, 10**9, 10**9, {"mail": 10**3})
    assert held(Budget(), "x", everything).held == everything


def test_a_name_that_is_held_already_is_not_held_twice() -> None:
    budget = held(Budget(), "x", Amount(usd=1))
    assert short_of(budget.hold("x", Amount(usd=1))) == "hold:x"


def test_a_settled_hold_leaves_its_bill_and_frees_the_rest() -> None:
    budget = held(Budget(Limits(usd=10)), "x", Amount(usd=8))
    assert budget.left("usd") == 2
    settled = budget.settle("x", Amount(usd=3), usd_unbilled=1)
    assert settled.overbilled is None
    assert (settled.budget.spent.usd, settled.budget.usd_unbilled, settled.budget.left("usd")) == (3, 1, 7)


def test_a_released_hold_leaves_nothing() -> None:
    budget = held(Budget(Limits(usd=10, tools={"mail": ToolLimit(calls=1)})), "x", Amount(usd=8, tools={"mail": 1}))
    released = budget.release("x")
    assert (released.spent, released.held) == (Amount(), Amount())
    assert released.shortfall(Amount(usd=10, tools={"mail": 1})) is None


def test_releasing_what_is_not_held_changes_nothing() -> None:
    budget = held(Budget(Limits(usd=10)), "x", Amount(usd=8))
    assert budget.release("y") == budget
    assert budget.release("x").release("x") == budget.release("x")


def test_what_is_left_of_no_limit_is_not_a_number() -> None:
    assert Budget(Limits(usd=10)).left("tokens") is None


def test_settling_what_is_not_held_changes_nothing() -> None:
    budget = held(Budget(Limits(usd=10)), "x", Amount(usd=8))
    assert budget.settle("y", Amount(usd=100), usd_unbilled=100) == Settled(budget)


@pytest.mark.parametrize(
    ("bill", "dimension"),
    [
        (Amount(usd=6), "usd"),
        (Amount(input_tokens=4, output_tokens=5), "tokens"),
        (Amount(steps=2), "steps"),
        (Amount(model_calls=2), "model_calls"),
        (Amount(tool_calls=2), "tool_calls"),
        (Amount(tools={"mail": 2}), "tool:mail"),
        (Amount(tools={"pay": 1}), "tool:pay"),
        (Amount(usd=6, input_tokens=99, steps=2), "usd"),
    ],
)
def test_a_bill_above_its_hold_is_settled_in_full_and_named(bill: Amount, dimension: str) -> None:
    hold = Amount(1, 1, 1, 4, 4, 5, {"mail": 1})
    settled = held(Budget(), "x", hold).settle("x", bill)
    assert settled.overbilled == dimension
    assert settled.budget.spent == bill


def test_a_bill_of_exactly_the_hold_is_not_overbilled() -> None:
    hold = Amount(1, 1, 1, 4, 4, 5, {"mail": 1})
    assert held(Budget(), "x", hold).settle("x", hold).overbilled is None


@pytest.mark.parametrize(("at_ms", "fits"), [(0, False), (WINDOW_MS - 1, False), (WINDOW_MS, True)])
def test_a_call_leaves_the_window_after_sixty_seconds(at_ms: int, fits: bool) -> None:
    limits = Limits(tools={"mail": ToolLimit(per_minute=1)})
    budget = held(Budget(limits), "x", Amount(tools={"mail": 1}), at_ms=0).settle("x", Amount()).budget
    assert isinstance(budget.hold("y", Amount(tools={"mail": 1}), at_ms), Budget) == fits


def test_a_call_that_was_never_made_does_not_count_in_its_minute() -> None:
    budget = Budget(limits=Limits(tools={"mail": ToolLimit(per_minute=1)}))
    held = budget.hold("1", Amount(tool_calls=1, tools={"mail": 1}), 0)
    assert isinstance(held, Budget)
    assert held.release("1").calls_in_window("mail", 1) == 0
    assert isinstance(held.release("1").hold("2", Amount(tool_calls=1, tools={"mail": 1}), 1), Budget)


def test_the_window_slides_call_by_call() -> None:
    budget = Budget(Limits(tools={"mail": ToolLimit(per_minute=2)}))
    mail = Amount(tools={"mail": 1})
    budget = held(held(budget, "1", mail, at_ms=0), "2", mail, at_ms=30_000)
    assert short_of(budget.hold("3", mail, at_ms=59_999)) == "tool:mail:per_minute"
    budget = held(budget, "3", mail, at_ms=60_000)
    assert short_of(budget.hold("4", mail, at_ms=89_999)) == "tool:mail:per_minute"
    assert budget.recent == {"mail": ((30_000, "2"), (60_000, "3"))}


def test_the_calls_of_the_last_minute_are_counted_tool_by_tool_with_a_rate_or_without() -> None:
    budget = held(Budget(), "x", Amount(tools={"mail": 2, "pay": 1}), at_ms=7)
    assert [budget.calls_in_window(tool, WINDOW_MS + 6) for tool in ("mail", "pay", "buy")] == [2, 1, 0]
    assert budget.calls_in_windows(WINDOW_MS + 6) == {"mail": 2, "pay": 1}
    assert budget.calls_in_window("mail", WINDOW_MS + 7) == 0


def test_amounts_add_up_tool_by_tool() -> None:
    one, other = Amount(1, 2, 3, 4, 5, 6, {"mail": 1, "pay": 2}), Amount(1, 1, 1, 1, 1, 1, {"pay": 3, "buy": 4})
    assert one + other == Amount(2, 3, 4, 5, 6, 7, {"mail": 1, "pay": 5, "buy": 4})
    assert (one + other).tokens == 11


METERED = Limits(exposure={"refunds": (Bound(500, "finance"),), "vouchers": (Bound(2),)})


def refund(amount: int, vouchers: int = 0) -> Amount:
    return Amount(exposure={"refunds": amount, **({"vouchers": vouchers} if vouchers else {})})


def test_a_meter_counts_what_is_held_and_what_is_spent_up_to_its_limit() -> None:
    budget = held(Budget(METERED), "x", refund(300)).settle("x", refund(300)).budget
    budget = held(budget, "y", refund(200))
    assert budget.exposed() == {"refunds": 500}
    assert budget.excess({"refunds": 1}, {}) == Excess({"refunds": Exposed(500, 1, 500)}, ("finance",))
    assert short_of(budget.hold("z", refund(1))) == "exposure:refunds"
    assert held(budget.release("y"), "z", refund(200)).exposed() == {"refunds": 500}


def test_a_call_that_passes_one_of_its_limits_holds_nothing() -> None:
    budget = held(Budget(METERED), "x", refund(1, 2))
    assert short_of(budget.hold("y", refund(1, 1))) == "exposure:vouchers"
    assert budget.exposed() == {"refunds": 1, "vouchers": 2}


def test_a_sum_that_people_agreed_to_is_held_above_the_limit() -> None:
    budget = held(Budget(METERED), "x", refund(500))
    agreed = budget.hold("y", refund(99), agreed={"refunds": 599})
    assert isinstance(agreed, Budget)
    assert agreed.exposed() == {"refunds": 599}
    assert short_of(agreed.hold("z", refund(1), agreed={"refunds": 599})) == "exposure:refunds"


def test_what_adds_nothing_exceeds_nothing() -> None:
    budget = held(Budget(Limits(exposure={"refunds": (Bound(0),)})), "x", refund(0))
    assert budget.excess({}, {}) is None


def test_sums_leave_out_holds_and_what_was_held_after_one() -> None:
    budget = Budget(METERED)
    for name, amount in (("x", 1), ("y", 20), ("z", 300)):
        budget = held(budget, name, refund(amount))
    assert budget.exposed(["y", "unheard-of"]) == {"refunds": 301}
    assert budget.exposed_before("y") == {"refunds": 1}
    assert budget.exposed_before("unheard-of") == {"refunds": 321}


def test_a_part_of_a_settled_hold_can_be_kept() -> None:
    budget = held(Budget(METERED), "x", refund(500)).settle("x", Amount()).budget.keep("kept", refund(500))
    assert (budget.exposed(), budget.spent.exposure) == ({"refunds": 500}, {})


def test_the_calls_that_a_child_may_make_in_a_minute_are_not_those_that_are_held() -> None:
    limits = Limits(tools={"send": ToolLimit(calls=9, per_minute=3)})
    held = Budget(limits=limits).hold("child", Amount(tools={"send": 9}), 0, {}, {"send": 2})
    assert isinstance(held, Budget)
    assert held.calls_in_window("send", WINDOW_MS * 10) == 2
    short = Budget(limits=limits).hold("child", Amount(tools={"send": 9}), 0, {}, {"send": 4})
    assert short == Shortfall("tool:send:per_minute", 4, 3)


def test_what_a_child_has_called_counts_in_the_minute_of_its_end() -> None:
    limits = Limits(tools={"send": ToolLimit(calls=9, per_minute=3)})
    held = Budget(limits=limits).hold("child", Amount(tools={"send": 9}), 0, {}, {"send": 2})
    assert isinstance(held, Budget)
    over = held.settle("child", Amount(tools={"send": 7})).budget.past("child", 5_000, {"send": 7})
    assert over.calls_in_window("send", 6_000) == 2
    assert over.calls_in_window("send", 5_000 + WINDOW_MS) == 0
