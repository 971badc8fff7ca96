"""What is left of a budget, and when it is nearly spent."""

import pytest

from backstay.kernel.budget import Amount, Budget, Limits, ToolLimit
from backstay.kernel.remainder import held_of, left_words, nearly_spent, spent_of
from backstay.kernel.run_state import RunState
from backstay.kernel.stop import Thresholds

LIMITS = Limits(steps=10, tokens=1_000, usd=100_000, seconds=60, tools={"pay": ToolLimit(calls=2), "look": ToolLimit()})
SPENT = Amount(steps=2, input_tokens=300, output_tokens=100, usd=20_000, tools={"pay": 1, "look": 7})
HELD = Amount(steps=1, input_tokens=50, usd=5_000, tools={"pay": 1})


def a_run(spent: Amount, conclude_at: int | None = 80) -> RunState:
    return RunState(budget=Budget(LIMITS, spent, held=HELD), thresholds=Thresholds(conclude_at=conclude_at))


@pytest.mark.parametrize(
    ("spent", "seconds", "dimension"),
    [
        (SPENT, 0, None),
        (Amount(steps=8), 0, "steps"),
        (Amount(input_tokens=799), 0, None),
        (Amount(input_tokens=700, output_tokens=100), 0, "tokens"),
        (Amount(usd=80_000), 0, "usd"),
        (SPENT, 47, None),
        (SPENT, 48, "seconds"),
        (Amount(tools={"pay": 2}), 0, "tool:pay"),
    ],
)
def test_a_budget_is_nearly_spent_once_any_dimension_reaches_the_share(
    spent: Amount, seconds: int, dimension: str | None
) -> None:
    assert nearly_spent(a_run(spent), seconds) == dimension
    assert nearly_spent(a_run(spent, conclude_at=None), seconds) is None


def test_what_is_left_is_beside_spend_and_holds() -> None:
    assert left_words(a_run(SPENT), 15) == (
        "7 of 10 steps, 550 of 1000 tokens, 0.075 of 0.10 US dollars, 45 of 60 seconds, 0 of 2 tools.pay.calls"
    )
    assert left_words(a_run(Amount(steps=99)), 15).startswith("0 of 10 steps")
    budget = a_run(SPENT).budget
    assert (spent_of(budget, "tool:look"), held_of(budget, "tool:look"), spent_of(budget, "seconds", 4)) == (7, 0, 4)
