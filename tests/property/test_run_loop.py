"""A whole run in miniature, with a provider that bills honestly and a world that goes wrong at every turn."""

from dataclasses import dataclass, field, replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstay.kernel.budget import Amount, Limits, ToolLimit
from backstay.kernel.draw import first_draw, further, next_draw, uncovered
from backstay.kernel.events import (
    Admitted,
    BudgetShort,
    CallEnded,
    CallHeld,
    CallJudged,
    CallOutcome,
    CallReleased,
    Closed,
    Concluding,
    Decided,
    DecisionEnded,
    DecisionHeld,
    DecisionKind,
    DecisionUnusable,
    Drawn,
    Event,
    ExposureExceeded,
    Granted,
    ModelLost,
)
from backstay.kernel.plan import open_call, open_decision, open_last_answer, settle_decision
from backstay.kernel.price import Lost, Price, Tier, Usage
from backstay.kernel.run_state import RunState
from backstay.kernel.stop import StopReason
from backstay.kernel.stopping import next_stop, wraps_up
from backstay.kernel.verdict import Code, Outcome, Verdict

from .strategies import PRICES, THRESHOLDS, TOOLS, VERDICTS, exceeded, usages

pytestmark = pytest.mark.soak

TIGHT = st.builds(
    Limits,
    steps=st.integers(0, 6),
    model_calls=st.none() | st.integers(0, 12),
    tool_calls=st.none() | st.integers(0, 8),
    tokens=st.none() | st.integers(0, 6_000),
    usd=st.none() | st.integers(0, 60_000),
    tools=st.dictionaries(TOOLS, st.builds(ToolLimit, st.none() | st.integers(0, 4), st.none() | st.integers(0, 3))),
)
# Here the model may say what it likes, and only calls run short.
ROOMY = st.builds(Limits, steps=st.integers(2, 6), tool_calls=st.integers(0, 4))
LIMITS = TIGHT | ROOMY
KINDS = st.sampled_from([DecisionKind.CALLS, DecisionKind.CALLS, *DecisionKind])
DAY = "usd:tenant:day"
PERMITTED = Verdict(Outcome.ALLOW, Code.PERMITTED, "d", "v")


def exact(price: Price | None, usage: Usage) -> Fraction:
    """Returns a provider's charge, to the last fraction of a micro-dollar."""
    if price is None:
        return Fraction(0)
    reached: list[Tier] = [tier for tier in price.tiers if tier.above == 0 or usage.input_tokens > tier.above]
    tier = max(reached, key=lambda tier: tier.above)
    fresh = usage.input_tokens - usage.cached_tokens
    return (
        Fraction(fresh * tier.input + usage.cached_tokens * tier.cached_input + usage.output_tokens * tier.output)
        / 1_000_000
    )


@dataclass
class World:
    """A run, its provider's bill, and the size that its conversation truly has.

    Where it `draws`, a ledger sometimes has room and sometimes none, and people raise the run's limits.
    """

    data: st.DataObject
    state: RunState
    draws: bool
    lump: int | None
    bill: Fraction = Fraction(0)
    context: int = 0
    unsent: int = 0
    steps: int = 0
    now: int = 0
    refused: list[str] = field(default_factory=list[str])
    ends: list[CallOutcome | None] = field(default_factory=list[CallOutcome | None])

    def apply(self, event: Event) -> None:
        self.state = self.state.after(event)
        assert exceeded(self.state.budget) == set()
        assert not (self.state.shortfall or "").endswith(":overbilled")
        assert uncovered(self.state, Amount()) == {}

    def run(self) -> None:
        while next_stop(self.state) is None:
            self.steps += 1
            self.unsent = added = self.data.draw(st.integers(0, 200), "bytes added")
            self.context += self.data.draw(st.integers(0, added), "tokens added")
            if self.draws and self.data.draw(st.booleans(), "a grant"):
                self._granted()
            held = open_decision(self.state, added)
            if isinstance(held, Concluding):
                self.apply(held)
                held = open_decision(self.state, added)
            assert not isinstance(held, Concluding)
            if isinstance(held, DecisionHeld) and not self._drawn(further(self.state, held)):
                held = BudgetShort(DAY)
            self.apply(held)
            if isinstance(held, DecisionHeld) and self._asked(held):
                self._decided()
        if wraps_up(self.state) and (last := open_last_answer(self.state, self.unsent)):
            self.apply(last)
            self._asked(last)
        self.apply(Closed(None))

    def _granted(self) -> None:
        """Raises what the run may spend, whatever its ledger has room for."""
        before = self.state.budget.limits
        usd = None if before.usd is None else before.usd + 5_000
        tokens = None if before.tokens is None else before.tokens + 500
        self.apply(Granted("ann", "more", Limits(usd=5_000, tokens=500), replace(before, usd=usd, tokens=tokens)))

    def _drawn(self, more: Amount) -> bool:
        """Draws for a further hold; returns whether it is covered then."""
        if not self.draws:
            return True
        needed = uncovered(self.state, more)
        first = self.state.drawn is None
        amounts = first_draw(self.state, self.lump, more) if first else next_draw(self.state, self.lump, needed)
        if (first or needed) and amounts and self.data.draw(st.booleans(), "room on the ledger"):
            self.apply(Drawn("reserve", amounts, {}))
        return self.state.drawn is not None and uncovered(self.state, more) == {}

    def _asked(self, held: DecisionHeld) -> bool:
        """Asks the model: some attempts are lost and billed unseen, and perhaps one is answered."""
        assert held.input_tokens >= self.context
        self.unsent = 0
        lost = self.data.draw(st.just(0) | st.integers(0, held.attempts), "lost attempts")
        for _ in range(lost):
            self._bill(self.data.draw(usages(self.context, held.max_output_tokens), "lost usage"))
        replied = lost < held.attempts and self.data.draw(st.sampled_from([True, True, True, False]), "replied")
        usage = None
        if replied:
            cached = self.data.draw(st.integers(0, self.context), "cached")
            output = self.data.draw(st.integers(0, held.max_output_tokens), "output")
            true = Usage(self.context, output, cached)
            self._bill(true)
            self.context += output
            usage = self.data.draw(st.sampled_from([true, None]), "reported usage")
        self.apply(settle_decision(self.state, usage, Lost(lost), replied))
        if not replied:
            self.apply(ModelLost("no reply"))
        return replied

    def _bill(self, usage: Usage) -> None:
        self.bill += exact(self.state.price, usage)

    def _decided(self) -> None:
        kind = self.data.draw(KINDS, "kind")
        count = self.data.draw(st.integers(1, 3), "calls") if kind is DecisionKind.CALLS else 0
        self.apply(Decided(self.state.step, kind, count))
        judged = [self._judged(f"{self.state.step}-{index}") for index in range(count)]
        if judged and not any(judged):
            self.apply(DecisionUnusable(self.state.step))

    def _judged(self, call_id: str) -> bool:
        tool = self.data.draw(TOOLS, "tool")
        verdict = self.data.draw(st.just(PERMITTED) | VERDICTS, "verdict")
        self.apply(CallJudged(call_id, tool, verdict))
        if verdict.allowed:
            self._called(call_id, tool)
        return not verdict.unusable

    def _called(self, call_id: str, tool: str) -> None:
        self.now += self.data.draw(st.integers(0, 40_000), "milliseconds")
        held = open_call(
            self.state, CallHeld(call_id, tool, self.now, self.data.draw(st.integers(0, 100), "price of the call"))
        )
        assert not isinstance(held, ExposureExceeded)
        if isinstance(held, CallHeld) and not self._drawn(Amount(usd=held.usd)):
            held = BudgetShort(DAY, tool)
        self.apply(held)
        if isinstance(held, BudgetShort):
            self.refused.append(held.dimension)
            return
        outcome = self.data.draw(st.sampled_from([None, *CallOutcome]), "outcome")
        self.ends.append(outcome)
        if outcome is None:
            self.apply(CallReleased(call_id, tool))
            return
        fingerprints = self.data.draw(st.sampled_from([(), ("p",), ("q",)]), "fingerprints")
        usd = self.data.draw(st.integers(0, held.usd), "cost of the call")
        self.bill += 0 if outcome is CallOutcome.DENIED else usd
        self.apply(CallEnded(call_id, tool, outcome, usd))
        self.apply(DecisionEnded(self.state.step, (outcome,), fingerprints))


@st.composite
def admissions(draw: st.DrawFn) -> Admitted:
    price = draw(st.none() | PRICES)
    most = draw(st.integers(0, 400))
    return Admitted("clerk", "1", "t", None, "m", draw(LIMITS), draw(THRESHOLDS), price, most)


def test_every_run_ends_within_its_steps_and_no_honest_bill_exceeds_what_it_settled() -> None:
    met: set[CallOutcome | str | None] = set()

    @settings(max_examples=4 * settings().max_examples)
    @given(admissions(), st.data())
    def one_run(admitted: Admitted, data: st.DataObject) -> None:
        lump = data.draw(st.none() | st.integers(1, 9_000), "lump")
        world = World(data, RunState().after(admitted), data.draw(st.booleans(), "draws"), lump)
        world.run()
        assert_sound(world, world.state.budget.limits)
        met.update([*world.ends, *(["refused"] if world.refused else []), *(["drawn"] if world.state.drawn else [])])

    one_run()
    # Otherwise the runs above were too short to show anything.
    assert {"refused", "drawn"} <= met
    assert len(met) > 4


def assert_sound(world: World, limits: Limits) -> None:
    """The run has stopped within its limits, and has settled at least what its provider bills."""
    budget, stop = world.state.budget, next_stop(world.state)
    assert stop is not None
    assert limits.steps is not None
    assert world.steps <= limits.steps + 1
    assert budget.spent.steps == world.state.step <= limits.steps
    assert dict(budget.holds) == {}
    assert world.bill <= budget.spent.usd
    assert limits.usd is None or budget.spent.usd <= limits.usd
    assert 0 <= budget.usd_unbilled <= budget.spent.usd
    if world.refused:
        assert (stop.reason, stop.detail) == (StopReason.BUDGET_EXHAUSTED, world.refused[0]) or (
            stop.reason in (StopReason.POLICY_DENIED, StopReason.OUTCOME_UNKNOWN)
        )
