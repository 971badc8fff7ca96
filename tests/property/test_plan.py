"""The hold of a decision is the largest that a budget covers, and found without trying every size."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstay.kernel.budget import Amount, Budget, Limits, ToolLimit
from backstay.kernel.events import BudgetShort, CallHeld, Concluding, DecisionHeld
from backstay.kernel.plan import ATTEMPTS, USEFUL_OUTPUT_TOKENS, open_call, open_decision, settle_decision
from backstay.kernel.price import Lost, Price, Usage
from backstay.kernel.run_state import RunState
from backstay.kernel.stop import Thresholds

from .strategies import DIMENSIONS, LIMITS, PRICES, caps, totals, usages

pytestmark = pytest.mark.soak

SPENT = st.just(Amount()) | st.builds(Amount, *(st.integers(0, 2) for _ in range(3)), *(st.integers(0, 99),) * 3)
SHARES = st.sampled_from([1, 50, 80, 100])
ROOM = st.none() | st.integers(0, 600)
MONEY = st.none() | st.integers(0, 30_000)
BUDGETS = st.builds(Limits, st.none() | st.integers(0, 2), st.none() | st.integers(0, 4), st.none(), ROOM, MONEY).map(
    Budget
)
ADDED = st.integers(0, 60)
STATES = st.builds(
    RunState,
    admitted=st.just(True),
    budget=BUDGETS,
    price=st.none() | PRICES,
    max_output_tokens=st.integers(0, 130),
    context_tokens=ADDED,
)
FREE_STATES = st.builds(lambda state, price: replace(state, budget=Budget(), price=price), STATES, st.none() | PRICES)


def worst(price: Price | None, attempts: int, read: int, written: int) -> Amount:
    usd = price.worst_case(read, written) if price else 0
    return Amount(1, attempts, 0, attempts * read, attempts * written, attempts * usd)


def candidates(state: RunState, bound: int) -> Iterator[tuple[int, int]]:
    """Attempts and output, the best first: attempts shrink before output does."""
    most = state.max_output_tokens
    yield from ((attempts, most) for attempts in range(ATTEMPTS, 0, -1))
    yield from ((1, output) for output in range(most - 1, min(USEFUL_OUTPUT_TOKENS, most) - 1, -1))


@given(STATES, ADDED)
def test_attempts_shrink_and_then_output_until_the_hold_fits(state: RunState, added: int) -> None:
    bound = state.context_tokens + added
    sizes = [(size, worst(state.price, size[0], bound, size[1])) for size in candidates(state, bound)]
    fitting = [(size, amount) for size, amount in sizes if state.budget.shortfall(amount) is None]
    opened = open_decision(state, added)
    if fitting:
        (attempts, output), amount = fitting[0]
        assert opened == DecisionHeld(state.step + 1, attempts, bound, output, amount)
    else:
        assert isinstance(opened, BudgetShort)
        short = state.budget.shortfall(sizes[-1][1])
        assert short is not None
        assert opened.dimension == short.dimension


def nearly_spent(budget: Budget, share: int) -> list[str]:
    """The dimensions of which that many percent are spent, in the order in which they are named."""
    spent, limits = totals(budget.spent), caps(budget.limits)
    return [name for name in DIMENSIONS if 0 < limits.get(name, 0) * share <= spent[name] * 100]


@settings(max_examples=4 * settings().max_examples)
@given(STATES, SHARES, SPENT, ADDED)
def test_a_last_answer_is_held_back_until_the_agent_is_told_to_conclude(
    state: RunState, share: int, spent: Amount, added: int
) -> None:
    budget = replace(state.budget, spent=spent)
    state = replace(state, thresholds=Thresholds(conclude_at=share), budget=budget)
    bound = state.context_tokens + added
    useful = min(USEFUL_OUTPUT_TOKENS, state.max_output_tokens)
    reserve = worst(state.price, 1, bound + state.max_output_tokens, useful)
    opened = open_decision(state, added)
    sizes = [(size, worst(state.price, size[0], bound, size[1])) for size in candidates(state, bound)]
    fitting = [size for size, amount in sizes if budget.shortfall(amount + reserve) is None]
    if near := nearly_spent(budget, share):
        assert opened == Concluding(near[0])
    elif fitting:
        assert isinstance(opened, DecisionHeld)
        assert (opened.attempts, opened.max_output_tokens) == fitting[0]
        assert isinstance(budget.hold("this", opened.amount), Budget)
    else:
        assert isinstance(opened, Concluding)
    told = open_decision(state.after(Concluding("usd")), added)
    assert told == open_decision(replace(state, thresholds=Thresholds()), added)


@given(STATES, ADDED)
def test_what_was_opened_is_held_as_it_is(state: RunState, added: int) -> None:
    opened = open_decision(state, added)
    after = state.after(opened)
    if isinstance(opened, DecisionHeld):
        assert after.decision == opened
        assert totals(after.budget.held) == totals(opened.amount)
    else:
        assert isinstance(opened, BudgetShort)
        assert after.shortfall == opened.dimension


@given(FREE_STATES, ADDED, st.data())
def test_a_bill_within_its_hold_is_never_overbilled(state: RunState, added: int, data: st.DataObject) -> None:
    held = open_decision(state, added)
    assert isinstance(held, DecisionHeld)
    lost = data.draw(st.integers(0, held.attempts - 1))
    usage = data.draw(st.none() | usages(held.input_tokens, held.max_output_tokens))
    open_state = state.after(held)
    settled = settle_decision(open_state, usage, Lost(lost), replied=True)
    after = open_state.after(settled)
    assert after.shortfall is None
    each = state.price.worst_case(held.input_tokens, held.max_output_tokens) if state.price else 0
    unbilled = each * (lost + (usage is None))
    assert after.budget.usd_unbilled == unbilled
    cost = state.price.cost(usage) if state.price and usage else 0
    assert after.budget.spent.usd == unbilled + cost
    assert after.budget.spent.model_calls == lost + 1
    assert after.budget.spent.steps == 1


@given(FREE_STATES, ADDED, usages(), st.integers(0, 5))
def test_a_bill_above_its_hold_stops_the_run(state: RunState, added: int, usage: Usage, lost: int) -> None:
    held = open_decision(state, added)
    assert isinstance(held, DecisionHeld)
    open_state = state.after(held)
    settled = settle_decision(open_state, usage, Lost(lost), replied=True)
    bill, hold = totals(settled.amount), totals(held.amount)
    above = [name for name in ("usd", "tokens", "model_calls") if bill[name] > hold[name]]
    assert open_state.after(settled).shortfall == (f"{above[0]}:overbilled" if above else None)


@given(LIMITS, st.sampled_from(["a", "b"]), st.integers(0, 3), st.integers(0, 3))
def test_a_call_opens_exactly_where_it_fits(limits: Limits, tool: str, usd: int, before: int) -> None:
    state = RunState(admitted=True, budget=Budget(limits, Amount(tool_calls=before, tools={tool: before})))
    opened = open_call(state, CallHeld("1-0", tool, 5, usd))
    own = limits.tools.get(tool, ToolLimit())
    room = (
        limits.tool_calls is None or before + 1 <= limits.tool_calls,
        limits.usd is None or usd <= limits.usd,
        own.calls is None or before + 1 <= own.calls,
        own.per_minute is None or own.per_minute >= 1,
    )
    if all(room):
        assert opened == CallHeld("1-0", tool, 5, usd)
    else:
        assert isinstance(opened, BudgetShort)
