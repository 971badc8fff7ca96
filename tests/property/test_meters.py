"""Whatever becomes of calls that add to meters: no limit is passed, and the sums are those of the world's own books."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstay.kernel.budget import Limits
from backstay.kernel.events import (
    Admitted,
    CallEnded,
    CallHeld,
    CallOutcome,
    CallReleased,
    Event,
    ExposureExceeded,
)
from backstay.kernel.meter import Bound, Excess, excess
from backstay.kernel.plan import exposed_by, open_call
from backstay.kernel.run_state import RunState
from backstay.kernel.stop import Thresholds

pytestmark = pytest.mark.soak

METERS = st.sampled_from(["refunds", "vouchers"])
EXPOSURES = st.dictionaries(METERS, st.integers(0, 4), max_size=2)
BOUNDS = st.lists(st.builds(Bound, st.integers(0, 8), st.none() | st.just("finance")), max_size=2).map(tuple)
LIMITS = st.dictionaries(METERS, BOUNDS, max_size=2)
ENDS = st.sampled_from(
    [
        (CallOutcome.COMPLETED, False, False),
        (CallOutcome.COMPLETED, False, True),
        (CallOutcome.FAILED, False, False),
        (CallOutcome.FAILED, True, False),
        (CallOutcome.UNKNOWN, False, False),
        (CallOutcome.DENIED, False, False),
        (CallOutcome.CANCELLED, False, False),
        None,
    ]
)


@dataclass
class World:
    """A run whose calls wait, change and end in any way; `done` and `perhaps` are the books of the world outside."""

    limits: Mapping[str, tuple[Bound, ...]]
    state: RunState = field(init=False)
    calls: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    done: Counter[str] = field(default_factory=Counter[str])
    perhaps: Counter[str] = field(default_factory=Counter[str])
    agreed: Counter[str] = field(default_factory=Counter[str])
    count: int = 0

    def __post_init__(self) -> None:
        limits = Limits(exposure=self.limits)
        self.state = RunState().after(Admitted("clerk", "1", "t", None, "m", limits, Thresholds(), None, 1))

    def apply(self, event: Event) -> None:
        self.state = self.state.after(event)
        assert self.state.shortfall is None
        self.check()

    def check(self) -> None:
        """No meter is above its limits, or above what people agreed to, and none is forgotten or below zero."""
        budget = self.state.budget
        counted = budget.exposed()
        under_way: Counter[str] = Counter()
        for exposure in self.calls.values():
            under_way.update(exposure)
        for name in ("refunds", "vouchers"):
            assert counted.get(name, 0) == self.done[name] + self.perhaps[name] + under_way[name]
            assert budget.spent.exposure.get(name, 0) == self.done[name]
            assert budget.held.exposure.get(name, 0) == self.perhaps[name] + under_way[name]
            for bound in self.limits.get(name, ()):
                most = bound.limit if bound.group is None else max(bound.limit, self.agreed[name])
                assert counted.get(name, 0) <= most

    def ask(self, exposure: dict[str, int], yes: bool) -> None:
        """Asks for one call; where it passes a limit that people may lift, they answer."""
        self.count += 1
        self.hold(f"1-{self.count}", exposure, yes)

    def change(self, exposure: dict[str, int], yes: bool) -> None:
        """Changes the arguments of a waiting call: what was held is given back, and the new call is held."""
        if self.calls:
            call_id = next(iter(self.calls))
            self.release(call_id)
            self.hold(call_id, exposure, yes)

    def hold(self, call_id: str, exposure: dict[str, int], yes: bool) -> None:
        one = CallHeld(call_id, "pay", 0, 0, exposure)
        held = open_call(self.state, one)
        if isinstance(held, ExposureExceeded) and held.excess.groups and yes:
            agreed = {name: shown.after for name, shown in exposed_by(self.state, call_id, exposure).items()}
            held = open_call(self.state, CallHeld(call_id, "pay", 0, 0, exposure, agreed))
            if isinstance(held, CallHeld):
                self.agreed |= Counter(agreed)
        if isinstance(held, CallHeld):
            self.calls[call_id] = exposure
        self.apply(held)

    def release(self, call_id: str) -> None:
        del self.calls[call_id]
        self.apply(CallReleased(call_id, "pay"))

    def end(self, end: tuple[CallOutcome, bool, bool] | None) -> None:
        """Ends the oldest call under way; None never begins it."""
        if not self.calls:
            return
        call_id = next(iter(self.calls))
        if end is None:
            self.release(call_id)
            return
        outcome, unclear, borrowed = end
        exposure = self.calls.pop(call_id)
        if outcome is CallOutcome.COMPLETED and not borrowed:
            self.done.update(exposure)
        if outcome is CallOutcome.UNKNOWN or unclear:
            self.perhaps.update(exposure)
        self.apply(CallEnded(call_id, "pay", outcome, unclear=unclear, borrowed=borrowed))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), EXPOSURES, st.booleans()),
        st.tuples(st.just("change"), EXPOSURES, st.booleans()),
        st.tuples(st.just("end"), ENDS),
    ),
    max_size=30,
)


@settings(max_examples=4 * settings().max_examples)
@given(LIMITS, STEPS)
def test_no_meter_passes_its_limit_and_the_sums_are_what_happened(
    limits: dict[str, tuple[Bound, ...]], steps: list[tuple[object, ...]]
) -> None:
    world = World(limits)
    for name, *arguments in steps:
        getattr(world, str(name))(*arguments)
    while world.calls:
        world.end((CallOutcome.COMPLETED, False, False))
    assert +Counter(world.state.budget.exposed()) == +(world.done + world.perhaps)


@given(LIMITS, EXPOSURES, EXPOSURES)
def test_a_call_fits_up_to_its_limit_and_one_more_does_not(
    limits: dict[str, tuple[Bound, ...]], taken: dict[str, int], exposure: dict[str, int]
) -> None:
    over = excess(taken, exposure, limits, {})
    passed = {
        name
        for name, amount in exposure.items()
        if amount and any(taken.get(name, 0) + amount > bound.limit for bound in limits.get(name, ()))
    }
    assert (set(over.meters) if isinstance(over, Excess) else set[str]()) == passed
