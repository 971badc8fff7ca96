"""What children may spend: what they ask for where that is left, and else equal shares of what is."""

from dataclasses import replace

import pytest

from backstay.kernel.budget import Amount, Budget, Limits, Shortfall, ToolLimit
from backstay.kernel.carving import Report, carve, close_child, held_for, minute_of, recarved
from backstay.kernel.child_events import ChildBegun, ChildEnded, ChildHeld
from backstay.kernel.events import Admitted, CallHeld
from backstay.kernel.meter import Bound
from backstay.kernel.run_state import RunState
from backstay.kernel.stop import Thresholds

ALL = Limits(steps=20, model_calls=20, tool_calls=40, tokens=1_000, usd=500, seconds=900)
FREE = Limits()


def budget(limits: Limits = ALL, spent: Amount | None = None) -> Budget:
    return Budget(limits=limits, spent=spent or Amount())


def admitted(limits: Limits = ALL) -> RunState:
    return RunState().after(Admitted("lead", "1", "t", None, "m", limits, Thresholds(), None, 10))


def limits_of(found: Limits | Shortfall) -> Limits:
    assert isinstance(found, Limits)
    return found


def test_a_child_without_a_budget_gets_all_that_is_left() -> None:
    [child] = carve(budget(spent=Amount(steps=2, usd=100)), [FREE], Amount(tool_calls=1), 600, 0)
    assert limits_of(child) == Limits(steps=18, model_calls=20, tool_calls=39, tokens=1_000, usd=400, seconds=600)


def test_children_share_equally_and_nothing_is_rounded_up() -> None:
    children = carve(budget(), [FREE, FREE, FREE], Amount(tool_calls=3), 600, 0)
    assert {(limits_of(one).steps, limits_of(one).usd, limits_of(one).tool_calls) for one in children} == {(6, 166, 12)}


def test_what_one_asks_for_is_taken_from_what_the_others_share() -> None:
    first, second, third = carve(budget(), [FREE, Limits(usd=100, steps=2), FREE], Amount(), 600, 0)
    assert [limits_of(one).usd for one in (first, second, third)] == [200, 100, 200]
    assert [limits_of(one).steps for one in (first, second, third)] == [9, 2, 9]


@pytest.mark.parametrize(
    ("asked", "short"),
    [
        (Limits(usd=501), Shortfall("usd", 501, 500)),
        (Limits(tokens=1_001), Shortfall("tokens", 1_001, 1_000)),
        (Limits(seconds=601), Shortfall("seconds", 601, 600)),
    ],
)
def test_who_asks_for_more_than_is_left_gets_nothing_and_the_others_all(asked: Limits, short: Shortfall) -> None:
    refused, other = carve(budget(), [asked, FREE], Amount(), 600, 0)
    assert refused == short
    assert limits_of(other).usd == 500


def test_a_second_child_finds_only_what_the_first_has_left() -> None:
    first, second = carve(budget(), [Limits(usd=300), Limits(usd=300)], Amount(), None, 0)
    assert limits_of(first).usd == 300
    assert second == Shortfall("usd", 300, 200)


@pytest.mark.parametrize("spent", [Amount(steps=20), Amount(usd=500), Amount(input_tokens=1_000)])
def test_a_share_with_which_nothing_can_be_done_is_none(spent: Amount) -> None:
    [child] = carve(budget(spent=spent), [FREE], Amount(), 600, 0)
    assert isinstance(child, Shortfall)


def test_a_child_of_a_run_without_seconds_left_is_none() -> None:
    assert carve(budget(), [FREE], Amount(), 0, 0) == [Shortfall("seconds", 1, 0)]


def test_what_the_parent_has_not_limited_is_limited_by_what_is_asked_for_alone() -> None:
    first, second = carve(budget(Limits()), [FREE, Limits(usd=7, seconds=5)], Amount(), None, 0)
    assert limits_of(first) == Limits()
    assert limits_of(second) == Limits(usd=7, seconds=5)


def test_limits_of_tools_and_meters_are_shared_too() -> None:
    limits = replace(
        ALL,
        tools={"send": ToolLimit(5, 3), "call": ToolLimit(None, 5_000), "look": ToolLimit(2), "any": ToolLimit()},
        exposure={"refunds": (Bound(100), Bound(50, "finance")), "free": ()},
    )
    [first, second] = carve(budget(limits), [FREE, FREE], Amount(tools={"send": 1}, exposure={"refunds": 10}), None, 0)
    assert first == second
    assert limits_of(first).tools == {"send": ToolLimit(2, 1), "call": ToolLimit(None, 1_000), "look": ToolLimit(1)}
    assert limits_of(first).exposure == {"refunds": (Bound(20),)}


def test_what_is_held_for_a_child_are_its_limits() -> None:
    limits = Limits(
        3, 4, 5, 6, 7, 8, {"a": ToolLimit(2, 1), "b": ToolLimit(None, 3)}, {"m": (Bound(9),), "n": (Bound(0),)}
    )
    assert held_for(limits) == Amount(3, 4, 5, 6, 0, 7, {"a": 2}, {"m": 9})
    assert minute_of(limits) == {"a": 1, "b": 3}
    assert held_for(Limits()) == Amount()


def test_carved_anew_a_child_keeps_its_share_unless_it_asks_for_something_else() -> None:
    before = limits_of(carve(budget(), [FREE, FREE], Amount(), 600, 0)[0])
    assert recarved(budget(), FREE, before, 500, 0) == replace(before, seconds=500)
    assert limits_of(recarved(budget(), Limits(usd=400), before, 600, 0)).usd == 400
    assert recarved(budget(), Limits(usd=501), before, 600, 0) == Shortfall("usd", 501, 500)


def test_carved_anew_a_child_gets_no_more_than_is_left_by_then() -> None:
    limits = replace(ALL, tools={"send": ToolLimit(4, 4)}, exposure={"m": (Bound(8),)})
    before = limits_of(carve(budget(limits), [FREE, FREE], Amount(), 600, 0)[0])
    spent = Amount(usd=450, tools={"send": 3}, exposure={"m": 6})
    now = limits_of(recarved(budget(limits, spent), FREE, before, 600, 0))
    assert (now.usd, now.tools["send"], now.exposure["m"]) == (50, ToolLimit(1, 2), (Bound(2),))
    assert recarved(budget(limits, replace(spent, usd=500)), FREE, before, 600, 0) == Shortfall("usd", 1, 0)


def test_what_the_parent_had_not_limited_then_does_not_limit_the_child_now() -> None:
    before = limits_of(carve(budget(), [FREE], Amount(), 600, 0)[0])
    limited = replace(ALL, tools={"send": ToolLimit(4)}, exposure={"m": (Bound(8),)})
    now = limits_of(recarved(budget(limited), FREE, before, 600, 0))
    assert (now.tools, now.exposure) == ({}, {})


def held_child() -> RunState:
    held = ChildHeld("1-0", "helper", Limits(usd=100), Amount(steps=4, usd=100), 0)
    return admitted().after(CallHeld("1-0", "delegate", 0)).after(held).after(ChildBegun("1-0", "helper", "r/child"))


def test_a_report_is_the_end_of_a_child() -> None:
    report = Report("completed", "completed", Amount(usd=30), 5, 17, "sha256:head")
    end = close_child(held_child(), "1-0", "r/child", report, 9)
    assert end == ChildEnded(
        "1-0", "helper", "r/child", "completed", "completed", Amount(usd=30), 9, 5, 17, "sha256:head"
    )


def test_without_a_report_all_that_was_held_counts_as_spent() -> None:
    end = close_child(held_child(), "1-0", "r/child", None, 9)
    assert (end.status, end.amount, end.usd_unbilled) == ("unknown", Amount(steps=4, usd=100), 100)


def test_the_end_of_a_child_that_nobody_knows_is_nothing() -> None:
    assert close_child(admitted(), "1-0", "r/child", None, 9) == ChildEnded(
        "1-0", "", "r/child", "unknown", None, Amount(), 9
    )
