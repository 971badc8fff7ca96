"""Whatever is held, settled and released in whatever order: no limit is ever exceeded, and nothing is silent."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstay.kernel.budget import WINDOW_MS, Amount, Budget, Held, Limits, Shortfall, ToolLimit

from .strategies import AMOUNTS, LIMITS, caps, exceeded, least, totals

pytestmark = pytest.mark.soak

NAMES = st.sampled_from(["w", "x", "y", "z"])


@dataclass(frozen=True)
class Hold:
    name: str
    amount: Amount
    later: int


@dataclass(frozen=True)
class Settle:
    name: str
    actual: Amount
    unbilled: int


@dataclass(frozen=True)
class Release:
    name: str


Operation = Hold | Settle | Release
LATER = st.sampled_from([0, 1, WINDOW_MS // 2, WINDOW_MS - 1, WINDOW_MS])
OPERATIONS: st.SearchStrategy[list[Operation]] = st.lists(
    st.one_of(
        st.builds(Hold, NAMES, AMOUNTS, LATER),
        st.builds(Settle, NAMES, AMOUNTS, st.integers(0, 3)),
        st.builds(Release, NAMES),
    ),
    max_size=40,
)


@dataclass
class Books:
    """The same budget, kept by the simplest means: lists of everything that ever happened."""

    limits: Limits
    open: dict[str, Amount] = field(default_factory=dict[str, Amount])
    settled: list[Amount] = field(default_factory=list[Amount])
    calls: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])

    def fits(self, hold: Hold, now: int) -> bool:
        if hold.name in self.open:
            return False
        sums: Counter[str] = Counter()
        for amount in (*self.settled, *self.open.values(), hold.amount):
            sums.update(totals(amount))
        if any(sums[dimension] > cap for dimension, cap in caps(self.limits).items()):
            return False
        return all(
            limit.per_minute is None or self.lately(tool, now) + hold.amount.tools.get(tool, 0) <= limit.per_minute
            for tool, limit in self.limits.tools.items()
        )

    def lately(self, tool: str, now: int) -> int:
        return sum(1 for at, called in self.calls if called == tool and now - WINDOW_MS < at <= now)

    def hold(self, hold: Hold, now: int) -> None:
        self.open[hold.name] = hold.amount
        self.calls += [(now, tool) for tool, count in hold.amount.tools.items() for _ in range(count)]

    def settle(self, name: str, actual: Amount) -> None:
        if self.open.pop(name, None) is not None:
            self.settled.append(actual)


def nonzero(amount: Amount) -> dict[str, int]:
    return {name: count for name, count in totals(amount).items() if count}


def walk(budget: Budget, operations: list[Operation]) -> None:
    """Does the same to a budget and to its books; after each step they have to agree, and no limit may be broken."""
    books, now = Books(budget.limits), 0
    for operation in operations:
        match operation:
            case Hold(name, amount, later):
                now += later
                held = budget.hold(name, amount, now)
                assert isinstance(held, Budget) == books.fits(operation, now)
                if isinstance(held, Budget):
                    books.hold(operation, now)
                    budget = held
            case Settle(name, actual, unbilled):
                actual = least(actual, budget.holds.get(name, Amount()))
                settled = budget.settle(name, actual, unbilled)
                assert settled.overbilled is None
                books.settle(name, actual)
                budget = settled.budget
            case Release(name):
                books.open.pop(name, None)
                budget = budget.release(name)
        assert exceeded(budget) == set()
        assert dict(budget.holds) == books.open
        assert nonzero(budget.held) == nonzero(sum(books.open.values(), Amount()))
        assert totals(budget.spent) == totals(sum(books.settled, Amount()))
        for tool, limit in budget.limits.tools.items():
            assert limit.per_minute is None or books.lately(tool, now) <= limit.per_minute


@settings(max_examples=4 * settings().max_examples)
@given(LIMITS, OPERATIONS)
def test_spend_and_holds_never_exceed_a_limit(limits: Limits, operations: list[Operation]) -> None:
    walk(Budget(limits), operations)


CALLS = st.builds(lambda count: Amount(tools={"a": count}), st.integers(1, 2))
NUMBERED = st.lists(st.tuples(CALLS, LATER), max_size=30).map(
    lambda calls: [Hold(str(number), *call) for number, call in enumerate(calls)]
)


@given(st.integers(0, 4), NUMBERED)
def test_no_window_of_sixty_seconds_holds_more_calls_than_its_limit(limit: int, holds: list[Operation]) -> None:
    walk(Budget(Limits(tools={"a": ToolLimit(per_minute=limit)})), holds)


class Forgetful(Budget):
    """A budget that checks against what is spent alone."""

    __slots__ = ()

    def hold(
        self,
        name: str,
        amount: Amount,
        at_ms: int = 0,
        agreed: Mapping[str, int] | None = None,
        minute: Mapping[str, int] | None = None,
    ) -> Budget | Shortfall:
        held = super().hold(name, amount, at_ms, agreed, minute)
        return held if isinstance(held, Shortfall) else replace(held, held=Amount())


class Sleepy(Budget):
    """A budget whose window is a millisecond too short."""

    __slots__ = ()

    def _window(self, tool: str, at_ms: int) -> tuple[Held, ...]:
        return tuple(held for held in self.recent.get(tool, ()) if held[0] > at_ms - WINDOW_MS + 1)


@pytest.mark.parametrize(
    ("broken", "operations"),
    [
        (Forgetful, [Hold("x", Amount(usd=2), 0), Hold("y", Amount(usd=2), 0)]),
        (Forgetful, [Hold("x", Amount(tools={"a": 1}), 0), Hold("y", Amount(tools={"a": 1}), 0)]),
        (Sleepy, [Hold("x", Amount(tools={"b": 1}), 0), Hold("y", Amount(tools={"b": 1}), WINDOW_MS - 1)]),
    ],
)
def test_a_broken_budget_is_found_out(broken: type[Budget], operations: list[Operation]) -> None:
    limits = Limits(usd=3, tools={"a": ToolLimit(calls=1), "b": ToolLimit(per_minute=1)})
    walk(Budget(limits), operations)
    with pytest.raises(AssertionError):
        walk(broken(limits), operations)


@given(AMOUNTS, AMOUNTS, st.integers(0, 3), AMOUNTS)
def test_a_hold_is_settled_or_released_once_and_what_comes_after_changes_nothing(
    held: Amount, actual: Amount, unbilled: int, again: Amount
) -> None:
    budget = Budget().hold("x", held)
    assert isinstance(budget, Budget)
    for closed in (budget.settle("x", actual, unbilled).budget, budget.release("x")):
        second = closed.settle("x", again, unbilled)
        assert (second.budget, second.overbilled) == (closed, None)
        assert closed.release("x") == closed


@given(AMOUNTS, AMOUNTS)
def test_a_bill_above_its_hold_is_spent_and_reported(held: Amount, actual: Amount) -> None:
    budget = Budget().hold("x", held)
    assert isinstance(budget, Budget)
    settled = budget.settle("x", actual)
    reserved = totals(held)
    above = {name for name, count in totals(actual).items() if count > reserved.get(name, 0)}
    assert totals(settled.budget.spent) == totals(actual)
    assert settled.overbilled in above if above else settled.overbilled is None


@given(AMOUNTS, AMOUNTS)
def test_an_amount_that_reaches_the_caps_fits_and_one_more_does_not(first: Amount, second: Amount) -> None:
    whole = first + second
    tools = {tool: ToolLimit(count, count) for tool, count in whole.tools.items()}
    limits = Limits(whole.steps, whole.model_calls, whole.tool_calls, whole.tokens, whole.usd, tools=tools)
    budget = Budget(limits).hold("x", first)
    assert isinstance(budget, Budget)
    budget = budget.hold("y", second)
    assert isinstance(budget, Budget)
    one_more = [Amount(steps=1), Amount(model_calls=1), Amount(tool_calls=1), Amount(usd=1)]
    one_more += [Amount(input_tokens=1), Amount(output_tokens=1), *(Amount(tools={tool: 1}) for tool in whole.tools)]
    for amount in one_more:
        assert isinstance(budget.hold("z", amount), Shortfall)
