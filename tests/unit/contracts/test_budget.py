"""Budgets as callers write them: they narrow what an agent may spend, and never widen it."""

from typing import Any

import pytest

from backstay.contracts.budget import (
    DIMENSIONS,
    MAX_TOOLS,
    BudgetLimits,
    LimitsInForce,
    Spent,
    ToolBudget,
    lowest,
    narrowed,
)
from backstay.contracts.problems import Problem
from backstay.kernel.budget import Amount, Budget, Limits, ToolLimit
from backstay.kernel.meter import Bound

CEILINGS = Limits(10, 10, 10, 10, 10, 10, {"pay": ToolLimit(10, 10)})
IN_MICROS = {"9": "0.000009", "10": "0.00001", "11": "0.000011"}


def asking(dimension: str, amount: int | None) -> BudgetLimits:
    value: Any = amount if dimension != "usd" or amount is None else IN_MICROS[str(amount)]
    return BudgetLimits(**{dimension: value})


@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize(("asked", "in_force"), [(9, 9), (10, 10), (None, 10)])
def test_a_request_within_its_ceiling_is_in_force(dimension: str, asked: int | None, in_force: int) -> None:
    limits = narrowed(CEILINGS, asking(dimension, asked))
    assert isinstance(limits, Limits)
    assert getattr(limits, dimension) == in_force
    assert all(getattr(limits, other) == 10 for other in DIMENSIONS if other != dimension)
    assert limits.tools == CEILINGS.tools


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_a_request_above_its_ceiling_is_refused_by_name(dimension: str) -> None:
    ceiling = "0.00001" if dimension == "usd" else "10"
    problem = Problem(field=f"budget.{dimension}", problem=f"may not exceed the ceiling of {ceiling}")
    assert narrowed(CEILINGS, asking(dimension, 11)) == [problem]


@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("asked", [None, 11])
def test_where_there_is_no_ceiling_the_request_alone_counts(dimension: str, asked: int | None) -> None:
    limits = narrowed(Limits(), asking(dimension, asked))
    assert isinstance(limits, Limits)
    assert {other: getattr(limits, other) for other in DIMENSIONS} == {**dict.fromkeys(DIMENSIONS), dimension: asked}


def test_no_request_leaves_the_ceilings_as_they_are() -> None:
    assert narrowed(CEILINGS, None) == narrowed(CEILINGS, BudgetLimits()) == CEILINGS


@pytest.mark.parametrize(
    ("name", "asked", "in_force"),
    [
        ("pay", ToolBudget(calls=9), ToolLimit(9, 10)),
        ("pay", ToolBudget(per_minute=0), ToolLimit(10, 0)),
        ("pay", ToolBudget(), ToolLimit(10, 10)),
        ("mail", ToolBudget(calls=99), ToolLimit(99, None)),
    ],
)
def test_a_tool_is_narrowed_in_calls_and_in_rate(name: str, asked: ToolBudget, in_force: ToolLimit) -> None:
    limits = narrowed(CEILINGS, BudgetLimits(tools={name: asked}))
    assert isinstance(limits, Limits)
    assert limits.tools == {**CEILINGS.tools, name: in_force}


def test_a_tool_above_its_ceiling_is_refused_by_name_with_every_other_problem() -> None:
    problems = narrowed(CEILINGS, BudgetLimits(steps=11, tools={"pay": ToolBudget(calls=11, per_minute=11)}))
    assert isinstance(problems, list)
    assert [problem.field for problem in problems] == [
        "budget.steps",
        "budget.tools.pay.calls",
        "budget.tools.pay.per_minute",
    ]


@pytest.mark.parametrize(("more", "fits"), [(MAX_TOOLS - 1, True), (MAX_TOOLS, False)])
def test_the_tools_of_agent_and_request_together_are_no_more_than_a_budget_holds(more: int, fits: bool) -> None:
    request = BudgetLimits(tools={f"tool-{number}": ToolBudget(calls=1) for number in range(more)})
    limits = narrowed(CEILINGS, request)
    if fits:
        assert isinstance(limits, Limits)
        assert BudgetLimits.of(limits).limits() == limits
    else:
        assert isinstance(limits, list)
        assert [problem.field for problem in limits] == ["budget.tools"]


@pytest.mark.parametrize("limits", [Limits(), CEILINGS, Limits(usd=0, tools={"pay": ToolLimit()})])
def test_limits_are_written_as_they_are_read(limits: Limits) -> None:
    assert BudgetLimits.of(limits).limits() == limits
    assert BudgetLimits.model_validate_json(BudgetLimits.of(limits).model_dump_json()).limits() == limits


@pytest.mark.parametrize(("first", "second", "least"), [(1, 2, 1), (2, 1, 1), (None, 2, 2), (2, None, 2), (0, 1, 0)])
def test_of_two_limits_the_tighter_counts_in_every_dimension(first: int | None, second: int | None, least: int) -> None:
    one, other, both = (
        Limits(*(limit for _ in DIMENSIONS), tools={"pay": ToolLimit(limit, limit)}) for limit in (first, second, least)
    )
    assert lowest(one, other) == both
    assert lowest(Limits(tools=one.tools), Limits(tools={"mail": ToolLimit(5)})) == Limits(
        tools={**one.tools, "mail": ToolLimit(5)}
    )


def test_of_two_limits_the_bounds_of_a_meter_hold_both() -> None:
    one, other = Limits(exposure={"a": (Bound(1),), "b": ()}), Limits(exposure={"a": (Bound(2, "finance"),)})
    assert lowest(one, other).exposure == {"a": (Bound(1), Bound(2, "finance")), "b": ()}


def test_a_request_keeps_the_bounds_of_meters() -> None:
    limits = narrowed(Limits(steps=3, exposure={"a": (Bound(1),)}), BudgetLimits(steps=2))
    assert limits == Limits(steps=2, exposure={"a": (Bound(1),)})


def test_the_limit_of_a_meter_in_force_is_the_lowest_bound() -> None:
    in_force = LimitsInForce.of(Limits(steps=3, exposure={"a": (Bound(20_000), Bound(5_000, "finance")), "b": ()}))
    assert (in_force.steps, in_force.exposure) == (3, {"a": "0.5", "b": None})


def test_two_budgets_without_limits_have_none() -> None:
    assert lowest(Limits(), Limits()) == Limits()


def test_what_is_spent_is_told_in_dollars() -> None:
    budget = Budget(spent=Amount(1, 2, 3, 4, 5, 13_200, {"pay": 3}, {"refunds": 995_000}), usd_unbilled=500_000)
    assert Spent.by(budget, seconds=6).model_dump() == {
        "steps": 1,
        "model_calls": 2,
        "tool_calls": 3,
        "input_tokens": 4,
        "output_tokens": 5,
        "usd": "0.0132",
        "usd_unbilled": "0.50",
        "seconds": 6,
        "tools": {"pay": 3},
        "exposure": {"refunds": "99.5"},
    }
    assert Spent.of(Amount(), 0).usd_unbilled == "0.00"
    assert Spent.by(budget, seconds=6).tokens == 9


def test_a_spend_is_read_back_as_the_kernel_counts_it() -> None:
    amount = Amount(2, 3, 4, 5, 6, 7, {"a": 1})
    assert Spent.of(amount, 9).amount() == amount
    assert Spent.of(amount, 9).amount({"m": 8, "n": 0}) == Amount(2, 3, 4, 5, 6, 7, {"a": 1}, {"m": 8})
