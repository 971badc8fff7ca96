"""Whatever happens to a run, in whatever order: its state stays sound, and its stop is named."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstay.kernel.approval import Approval, ApprovalEnd, ApprovalKind
from backstay.kernel.budget import Amount
from backstay.kernel.child_events import ChildEnded
from backstay.kernel.events import (
    Admitted,
    ApprovalEnded,
    ApprovalOpened,
    CallEnded,
    CallJudged,
    DecisionSettled,
    Event,
    Killed,
)
from backstay.kernel.run_state import RunState
from backstay.kernel.stop import INTERRUPTING, RunStatus, Stop, StopReason
from backstay.kernel.stopping import interruption, next_stop
from backstay.kernel.verdict import Code, Outcome, Verdict

from .strategies import ADMITTED, EVENTS, MONOTONE, caps, exceeded, totals

pytestmark = pytest.mark.soak

ANYTHING = st.lists(EVENTS, max_size=40)
LONG = st.lists(EVENTS, min_size=15, max_size=40)
HISTORIES = ANYTHING | st.builds(lambda admitted, events: [admitted, *events], ADMITTED, LONG)
RANK = {reason: rank for rank, reason in enumerate(StopReason)}


REFUSALS = st.sampled_from([StopReason.POLICY_DENIED, StopReason.APPROVAL_DENIED, StopReason.APPROVAL_EXPIRED])
NO = Verdict(Outcome.DENY, Code.FORBIDDEN, "d", "v")


def a_refusal(number: int, reason: StopReason) -> list[Event]:
    """By policy, by a person, or by nobody in time."""
    if reason is StopReason.POLICY_DENIED:
        return [CallJudged("1-0", "a", NO)]
    end = ApprovalEnd.DENIED if reason is StopReason.APPROVAL_DENIED else ApprovalEnd.EXPIRED
    asked = Approval(f"apr_{number}", ApprovalKind.ACTION, "1-0", "a", "d", ("finance",))
    return [ApprovalOpened(asked), ApprovalEnded(asked.approval_id, end, "ann")]


def bill_and_hold(state: RunState, event: Event) -> tuple[Amount, Amount] | None:
    """Returns the amount that an event settles, and its hold; None where it settles nothing."""
    match event:
        case DecisionSettled(step=step, amount=amount):
            name, bill = f"decide-{step}", amount
        case CallEnded(call_id=call_id, tool=tool, usd=usd) if event.outcome != "denied":
            name, bill = f"act-{call_id}", Amount(tool_calls=1, usd=usd, tools={tool: 1})
        case ChildEnded(call_id=call_id, amount=amount):
            name, bill = f"child-{call_id}", amount
        case _:
            return None
    hold = state.budget.holds.get(name)
    return None if hold is None else (bill, hold)


def rank(stop: Stop | None) -> int:
    return len(RANK) if stop is None else RANK[stop.reason]


@settings(max_examples=4 * settings().max_examples)
@given(HISTORIES)
def test_no_history_raises_a_limit_or_breaks_one_without_saying_so(history: list[Event]) -> None:
    state, slack, overbilled = RunState(), dict[str, int](), False
    for event in history:
        settled = bill_and_hold(state, event)
        after = state.after(event)
        if settled is not None:
            bill, hold = (totals(amount) for amount in settled)
            for name in bill:
                excess = max(0, bill[name] - hold.get(name, 0))
                slack[name] = slack.get(name, 0) + excess
                # What nobody limits a child spends as its own agent may.
                limited = not isinstance(event, ChildEnded) or name in caps(state.budget.limits)
                overbilled = overbilled or (excess > 0 and limited)
        assert not state.admitted or after.budget.limits == state.budget.limits
        assert exceeded(after.budget, slack) == set()
        assert (after.shortfall or "").endswith(":overbilled") == overbilled
        if overbilled:
            stop = next_stop(after)
            assert stop is not None
            assert RANK[stop.reason] <= RANK[StopReason.BUDGET_EXHAUSTED]
        state = after


@given(HISTORIES)
def test_after_any_history_a_run_can_go_on_or_names_its_stop(history: list[Event]) -> None:
    state = RunState()
    for event in history:
        state = state.after(event)
        stop = next_stop(state)
        assert stop is None or stop.detail or stop.reason is StopReason.COMPLETED
        assert stop is None or (stop.status is RunStatus.COMPLETED) == (stop.reason is StopReason.COMPLETED)
        assert interruption(state) == (
            state.cancelled
            or state.deadline_passed
            or state.history_full
            or (stop is not None and stop.reason in INTERRUPTING)
        )


@given(HISTORIES)
def test_what_runs_is_what_is_held_after_any_history(history: list[Event]) -> None:
    state = RunState()
    for event in history:
        state = state.after(event)
        held = set(state.budget.holds)
        assert {name for name in held if name.startswith("act-")} == {f"act-{call_id}" for call_id in state.running}
        assert state.decision is None or f"decide-{state.decision.step}" in held
        assert state.admitted or not held


@given(HISTORIES, st.builds(Killed, st.just("ann"), st.just("enough")), HISTORIES)
def test_once_killed_a_run_is_killed_whatever_follows(before: list[Event], kill: Killed, later: list[Event]) -> None:
    state = RunState()
    for event in before:
        state = state.after(event)
    first = state.killed or kill
    for event in (kill, *later):
        state = state.after(event)
        assert next_stop(state) == Stop(StopReason.KILLED, f"by {first.by}: {first.reason}")
        assert interruption(state)


@settings(max_examples=4 * settings().max_examples)
@given(ADMITTED, st.lists(MONOTONE, max_size=40))
def test_a_stop_is_only_ever_followed_by_one_as_strong_or_stronger(admitted: Admitted, history: list[Event]) -> None:
    state = RunState().after(admitted)
    for event in history:
        after = state.after(event)
        assert rank(next_stop(after)) <= rank(next_stop(state))
        state = after


@given(ADMITTED, st.lists(REFUSALS, max_size=8))
def test_the_refusal_that_reaches_the_threshold_is_the_reason(admitted: Admitted, refusals: list[StopReason]) -> None:
    expiry_counts = replace(admitted.thresholds, expiry_stops=False)
    state = RunState().after(replace(admitted, thresholds=expiry_counts))
    for number, reason in enumerate(refusals):
        for event in a_refusal(number, reason):
            state = state.after(event)
        reached = refusals[expiry_counts.denials - 1 : number + 1]
        stop = next_stop(state)
        assert (stop.reason if stop else None) == (reached[0] if reached else None)


@given(HISTORIES)
def test_settling_an_older_decision_leaves_the_open_one_alone(history: list[Event]) -> None:
    state = RunState()
    for event in history:
        before, state = state, state.after(event)
        if isinstance(event, DecisionSettled) and before.decision and before.decision.step != event.step:
            assert state.decision == before.decision


@given(HISTORIES)
def test_what_ended_ends_once(history: list[Event]) -> None:
    state = RunState()
    for event in history:
        before, state = state, state.after(event)
        if isinstance(event, CallEnded | DecisionSettled):
            assert state.after(event) == state
            assert bill_and_hold(before, event) is not None or state == before or event_denied(event)


def event_denied(event: Event) -> bool:
    return isinstance(event, CallEnded) and event.outcome == "denied"
