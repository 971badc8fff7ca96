"""The hold that a decision or a call asks for, and the bill that replaces it."""

from dataclasses import replace

import pytest

from backstay.kernel.budget import Amount, Budget, Limits, ToolLimit
from backstay.kernel.events import BudgetShort, CallHeld, Concluding, DecisionHeld, DecisionSettled
from backstay.kernel.plan import USEFUL_OUTPUT_TOKENS, open_call, open_decision, settle_decision
from backstay.kernel.price import Price, Tier, Usage
from backstay.kernel.run_state import RunState
from backstay.kernel.stop import Thresholds

# One micro-dollar a token of input, two a token of output.
PRICE = Price((Tier(0, 1_000_000, 100_000, 2_000_000),))
TIERED = Price((Tier(0, 1_000_000, 100_000, 2_000_000), Tier(100, 3_000_000, 100_000, 1_000_000)))
FREE = Price((Tier(0, 0, 0, 0),))
FREE_OUTPUT = Price((Tier(0, 1_000_000, 0, 0),))


def a_state(limits: Limits | None = None, price: Price | None = PRICE, most: int = 1_000, context: int = 0) -> RunState:
    return RunState(
        admitted=True,
        budget=Budget(limits or Limits()),
        price=price,
        max_output_tokens=most,
        context_tokens=context,
        step=4,
    )


@pytest.mark.parametrize(
    ("limits", "attempts", "output"),
    [
        (Limits(), 3, 1_000),
        (Limits(usd=6_300), 3, 1_000),
        (Limits(usd=6_299), 2, 1_000),
        (Limits(usd=4_200), 2, 1_000),
        (Limits(usd=4_199), 1, 1_000),
        (Limits(usd=2_100), 1, 1_000),
        (Limits(usd=2_099), 1, 999),
        (Limits(usd=100 + 2 * USEFUL_OUTPUT_TOKENS), 1, USEFUL_OUTPUT_TOKENS),
        (Limits(tokens=3_300), 3, 1_000),
        (Limits(tokens=3_299), 2, 1_000),
        (Limits(tokens=1_099), 1, 999),
        (Limits(tokens=100 + USEFUL_OUTPUT_TOKENS), 1, USEFUL_OUTPUT_TOKENS),
        (Limits(tokens=700, usd=1_000), 1, 450),
        (Limits(tokens=500, usd=1_000), 1, 400),
        (Limits(model_calls=2), 2, 1_000),
        (Limits(model_calls=1), 1, 1_000),
    ],
)
def test_attempts_shrink_before_the_output_does(limits: Limits, attempts: int, output: int) -> None:
    held = open_decision(a_state(limits, context=60), added_bytes=40)
    assert isinstance(held, DecisionHeld)
    assert (held.step, held.attempts, held.input_tokens, held.max_output_tokens) == (5, attempts, 100, output)
    usd = attempts * (100 + 2 * output)
    assert held.amount == Amount(1, attempts, 0, attempts * 100, attempts * output, usd)


@pytest.mark.parametrize(
    ("limits", "dimension"),
    [
        (Limits(steps=0), "steps"),
        (Limits(model_calls=0), "model_calls"),
        (Limits(tokens=100 + USEFUL_OUTPUT_TOKENS - 1), "tokens"),
        (Limits(usd=100 + 2 * USEFUL_OUTPUT_TOKENS - 1), "usd"),
        (Limits(tokens=10), "tokens"),
        (Limits(usd=0), "usd"),
        (Limits(tokens=10, usd=0), "tokens"),
    ],
)
def test_a_decision_that_could_not_say_anything_useful_is_not_asked_for(limits: Limits, dimension: str) -> None:
    assert open_decision(a_state(limits), added_bytes=100) == BudgetShort(dimension)


def test_a_model_of_few_words_may_be_asked_for_less() -> None:
    held = open_decision(a_state(Limits(usd=110), most=5), added_bytes=100)
    assert isinstance(held, DecisionHeld)
    assert (held.attempts, held.max_output_tokens) == (1, 5)
    assert open_decision(a_state(Limits(usd=109), most=5), added_bytes=100) == BudgetShort("usd")


@pytest.mark.parametrize(
    ("price", "usd"),
    [
        (None, 0),  # where nobody knows the price, no limit of money is admitted
        (FREE, 0),
        (FREE_OUTPUT, 303),
        (PRICE, 3 * 2_101),
        (TIERED, 3 * (303 + 2_000)),  # the dear input of one tier, the dear output of the other
    ],
)
def test_the_worst_case_is_held_at_the_models_price(price: Price | None, usd: int) -> None:
    held = open_decision(a_state(price=price), added_bytes=101)
    assert isinstance(held, DecisionHeld)
    assert held.amount.usd == usd


@pytest.mark.parametrize("price", [None, FREE])
def test_what_costs_nothing_is_not_stopped_by_money(price: Price | None) -> None:
    held = open_decision(a_state(Limits(usd=0), price), added_bytes=100)
    assert isinstance(held, DecisionHeld)
    assert (held.attempts, held.max_output_tokens) == (3, 1_000)


def test_free_output_is_not_capped_by_money_but_its_input_is_paid() -> None:
    held = open_decision(a_state(Limits(usd=100, tokens=600), FREE_OUTPUT), added_bytes=100)
    assert isinstance(held, DecisionHeld)
    assert (held.attempts, held.max_output_tokens) == (1, 500)
    assert open_decision(a_state(Limits(usd=99), FREE_OUTPUT), added_bytes=100) == BudgetShort("usd")


@pytest.mark.parametrize(
    ("limits", "attempts", "output"),
    [
        (Limits(), 3, 1_000),
        # This decision, and a last answer of 64 tokens after 1,100 that were said.
        (Limits(tokens=3 * 1_100 + 1_164), 3, 1_000),
        (Limits(tokens=3 * 1_100 + 1_163), 2, 1_000),
        (Limits(tokens=1_100 + 1_164), 1, 1_000),
        (Limits(tokens=1_100 + 1_163), 1, 999),
        (Limits(tokens=164 + 1_164), 1, 64),
        (Limits(usd=2_100 + 1_228), 1, 1_000),
        (Limits(usd=2_100 + 1_227), 1, 999),
        (Limits(steps=2), 3, 1_000),
        (Limits(model_calls=3), 2, 1_000),
    ],
)
def test_a_last_answer_is_held_back_beside_a_decision(limits: Limits, attempts: int, output: int) -> None:
    state = replace(a_state(limits), thresholds=Thresholds(conclude_at=80))
    held = open_decision(state, added_bytes=100)
    assert isinstance(held, DecisionHeld)
    assert (held.attempts, held.max_output_tokens) == (attempts, output)


@pytest.mark.parametrize(
    ("limits", "dimension"),
    [
        (Limits(tokens=164 + 1_163), "tokens"),
        (Limits(usd=228 + 1_227), "usd"),
        (Limits(steps=1), "steps"),
        (Limits(model_calls=1), "model_calls"),
    ],
)
def test_an_agent_is_told_to_conclude_where_only_its_last_answer_fits(limits: Limits, dimension: str) -> None:
    state = replace(a_state(limits), thresholds=Thresholds(conclude_at=80))
    concluding = open_decision(state, added_bytes=100)
    assert concluding == Concluding(dimension)
    assert isinstance(open_decision(state.after(concluding), added_bytes=100), DecisionHeld)


@pytest.mark.parametrize(("spent", "told"), [(0, False), (7_999, False), (8_000, True), (10_000, True)])
def test_an_agent_is_told_to_conclude_at_a_share_of_its_budget(spent: int, told: bool) -> None:
    budget = Budget(Limits(usd=10_000, tool_calls=0), Amount(usd=spent))
    state = replace(a_state(price=None), budget=budget, thresholds=Thresholds(conclude_at=80))
    assert (open_decision(state, added_bytes=100) == Concluding("usd")) == told


HELD = DecisionHeld(5, 2, 100, 50, Amount(1, 2, 0, 200, 100, 400))
EACH = Amount(model_calls=1, input_tokens=100, output_tokens=50, usd=200)


@pytest.mark.parametrize(
    ("usage", "lost", "replied", "amount", "unbilled", "context"),
    [
        (Usage(90, 30), 0, True, Amount(1, 1, 0, 90, 30, 150), 0, 120),
        (Usage(90, 30, 90), 0, True, Amount(1, 1, 0, 90, 30, 69), 0, 120),
        (Usage(90, 30), 1, True, Amount(1, 2, 0, 190, 80, 350), 200, 120),
        (None, 0, True, Amount(1, 1, 0, 100, 50, 200), 200, 150),
        (None, 1, True, Amount(1, 2, 0, 200, 100, 400), 400, 150),
        (None, 0, False, Amount(steps=1), 0, 100),
        (None, 1, False, Amount(1, 1, 0, 100, 50, 200), 200, 100),
        (None, 2, False, Amount(1, 2, 0, 200, 100, 400), 400, 100),
        (None, 9, False, Amount(1, 2, 0, 200, 100, 400), 400, 100),
        (None, 9, True, Amount(1, 2, 0, 200, 100, 400), 400, 150),
    ],
)
def test_what_was_not_billed_is_settled_at_its_hold(
    usage: Usage | None, lost: int, replied: bool, amount: Amount, unbilled: int, context: int
) -> None:
    settled = settle_decision(a_state().after(HELD), usage, lost, replied)
    assert settled == DecisionSettled(5, amount, unbilled, lost, context)


def test_a_bill_without_a_price_is_counted_in_tokens() -> None:
    settled = settle_decision(a_state(price=None).after(HELD), Usage(90, 30), 1, replied=True)
    assert settled.amount == Amount(1, 2, 0, 190, 80, 0)


def test_settling_where_no_decision_is_open_bills_nothing_and_changes_nothing() -> None:
    state = a_state(context=60)
    settled = settle_decision(state, Usage(90, 30), 1, replied=True)
    assert settled == DecisionSettled(4, Amount(), 0, 0, 60)
    assert state.after(settled) == state


@pytest.mark.parametrize(
    ("limits", "dimension"),
    [
        (Limits(), None),
        (Limits(tool_calls=0), "tool_calls"),
        (Limits(usd=6), "usd"),
        (Limits(usd=7), None),
        (Limits(tools={"pay": ToolLimit(calls=0)}), "tool:pay"),
        (Limits(tools={"pay": ToolLimit(per_minute=0)}), "tool:pay:per_minute"),
        (Limits(tools={"mail": ToolLimit(calls=0, per_minute=0)}), None),
    ],
)
def test_a_call_is_held_where_every_dimension_has_room_for_it(limits: Limits, dimension: str | None) -> None:
    expected = BudgetShort(dimension) if dimension else CallHeld("5-0", "pay", 17, 7)
    assert open_call(a_state(limits), CallHeld("5-0", "pay", at_ms=17, usd=7)) == expected


@pytest.mark.parametrize(("usd", "held"), [(30, 30), (29, 20), (10, 10)])
def test_a_call_is_held_for_as_many_attempts_as_the_budget_covers(usd: int, held: int) -> None:
    assert open_call(a_state(Limits(usd=usd)), CallHeld("1-0", "look", 0, usd=10), attempts=3) == CallHeld(
        "1-0", "look", 0, held
    )


def test_a_call_is_short_where_the_budget_covers_not_one_attempt() -> None:
    assert open_call(a_state(Limits(usd=9)), CallHeld("1-0", "look", 0, usd=10), attempts=3) == BudgetShort("usd")


@pytest.mark.parametrize(("served", "usd"), [(None, 120), (0, 120), (1_000_000, 120), (9_000_000, 1_080)])
def test_a_reply_by_a_dearer_model_is_settled_at_its_price(served: int | None, usd: int) -> None:
    asked = Price((Tier(0, 1_000_000, 1_000_000, 1_000_000),))
    other = None if served is None else Price((Tier(0, served, served, served),))
    settled = settle_decision(a_state(price=asked).after(HELD), Usage(90, 30), 0, replied=True, served=other)
    assert settled.amount.usd == usd


def test_a_run_without_a_price_stays_without_one_whoever_replies() -> None:
    dear = Price((Tier(0, 9, 9, 9),))
    settled = settle_decision(a_state(price=None).after(HELD), Usage(90, 30), 0, replied=True, served=dear)
    assert settled.amount.usd == 0
