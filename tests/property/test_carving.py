"""However many children ask for whatever, and however they end: their parent never exceeds a limit."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.kernel.budget import WINDOW_MS, Amount, Limits
from backstay.kernel.carving import Report, carve, close_child, held_for, minute_of, recarved
from backstay.kernel.child_events import ChildHeld, ChildReleased
from backstay.kernel.events import Admitted, CallEnded, CallHeld, CallOutcome
from backstay.kernel.run_state import RunState
from backstay.kernel.stop import Thresholds

from .strategies import AMOUNTS, LIMITS, exceeded, least, totals

pytestmark = pytest.mark.soak

ASKED = st.builds(
    Limits,
    steps=st.none() | st.integers(1, 5),
    tool_calls=st.none() | st.integers(0, 5),
    tokens=st.none() | st.integers(1, 5),
    usd=st.none() | st.integers(1, 5),
)
ENDS = st.sampled_from(["report", "lost", "released", "open"])


def admitted(limits: Limits) -> RunState:
    return RunState().after(Admitted("lead", "1", "t", None, "m", limits, Thresholds(), None, 10))


def within(limits: Limits, wanted: Amount) -> Amount:
    """What a child spends that obeys its limits; what is not limited it spends as it likes."""
    held = held_for(limits)
    most = least(wanted, held)
    return replace(
        most,
        steps=wanted.steps if limits.steps is None else most.steps,
        model_calls=wanted.model_calls if limits.model_calls is None else most.model_calls,
        tool_calls=wanted.tool_calls if limits.tool_calls is None else most.tool_calls,
        input_tokens=wanted.input_tokens if limits.tokens is None else most.input_tokens,
        output_tokens=0,
        usd=wanted.usd if limits.usd is None else most.usd,
        tools={
            name: count if name not in held.tools and name not in limits.tools else most.tools.get(name, 0)
            for name, count in wanted.tools.items()
        },
        exposure={
            name: units if name not in limits.exposure else most.exposure.get(name, 0)
            for name, units in wanted.exposure.items()
        },
    )


@given(LIMITS, AMOUNTS, st.lists(st.tuples(ASKED, ENDS, AMOUNTS), max_size=5), st.integers(0, WINDOW_MS))
def test_no_family_exceeds_a_limit_of_its_parent(
    limits: Limits, before: Amount, children: list[tuple[Limits, str, Amount]], later: int
) -> None:
    state = admitted(limits)
    held = state.budget.hold("before", before)
    if hasattr(held, "holds"):
        state = replace(state, budget=held)  # pyright: ignore[reportArgumentType]
    beside = sum((Amount(tool_calls=1, tools={"delegate": 1}) for _ in children), Amount())
    shares = carve(state.budget, [asked for asked, _, _ in children], beside, None, 0)
    for place, share in enumerate(shares):
        if not isinstance(share, Limits):
            continue
        before_it = state
        state = state.after(CallHeld(f"1-{place}", "delegate", 0))
        if f"act-1-{place}" not in state.budget.holds:
            state = before_it
            continue
        state = state.after(ChildHeld(f"1-{place}", "helper", share, held_for(share), 0, minute_of(share)))
        # INVARIANT: what was carved for a decision always fits.
        assert f"child-1-{place}" in state.budget.holds
        assert exceeded(state.budget) == set()
    for place, (share, (_, end, wanted)) in enumerate(zip(shares, children, strict=True)):
        if not isinstance(share, Limits) or f"child-1-{place}" not in state.budget.holds or end == "open":
            continue
        if end == "released":
            state = state.after(ChildReleased(f"1-{place}"))
            continue
        report = Report("completed", "completed", within(share, wanted)) if end == "report" else None
        state = state.after(close_child(state, f"1-{place}", "r", report, later))
        state = state.after(CallEnded(f"1-{place}", "delegate", CallOutcome.COMPLETED))
        assert exceeded(state.budget) == set()
        assert (state.shortfall or "").endswith(":overbilled") is False
    assert all(count >= 0 for count in totals(state.budget.held).values())


@given(LIMITS, ASKED, ASKED, AMOUNTS)
def test_a_child_that_is_carved_anew_fits_what_is_left_by_then(
    limits: Limits, asked: Limits, changed: Limits, spent: Amount
) -> None:
    budget = admitted(limits).budget
    [share] = carve(budget, [asked], Amount(), None, 0)
    later = replace(budget, spent=spent)
    if not isinstance(share, Limits) or exceeded(later):
        return
    again = recarved(later, changed, share, None, 0)
    if isinstance(again, Limits):
        held = later.hold("child", held_for(again), 0, {}, minute_of(again))
        assert hasattr(held, "holds"), held
