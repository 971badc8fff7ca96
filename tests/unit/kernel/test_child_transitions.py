"""What child runs change in the state of their parent."""

from dataclasses import replace

from backstay.kernel.budget import OPEN_MS, Amount, Limits, ToolLimit
from backstay.kernel.child_events import ChildBegun, ChildEnded, ChildHeld, ChildReleased, ChildWaits, HandedOver
from backstay.kernel.event import Event
from backstay.kernel.events import Admitted, BudgetShort
from backstay.kernel.meter import Bound
from backstay.kernel.run_state import RunState
from backstay.kernel.stop import Stop, StopReason, Thresholds
from backstay.kernel.stopping import next_stop

LIMITS = Limits(steps=20, tool_calls=40, tokens=1_000, usd=500, tools={"send": ToolLimit(10, 4)})
HELD = ChildHeld("1-0", "helper", Limits(usd=100), Amount(steps=4, usd=100, tools={"send": 5}), 0, {"send": 2})
BEGUN = ChildBegun("1-0", "helper", "r/child")
ENDED = ChildEnded("1-0", "helper", "r/child", "completed", "completed", Amount(steps=2, usd=30), 1_000, 5, 9, "h")


def after(*events: Event, limits: Limits = LIMITS) -> RunState:
    state = RunState().after(Admitted("lead", "1", "t", None, "m", limits, Thresholds(), None, 10))
    for event in events:
        state = state.after(event)
    return state


def test_what_is_carved_is_held_until_the_child_ends() -> None:
    state = after(HELD, BEGUN)
    assert (state.budget.held.usd, state.children["1-0"].run_id) == (100, "r/child")
    assert state.budget.left("usd") == 400


def test_the_end_settles_what_was_spent_and_gives_back_the_rest_once() -> None:
    state = after(HELD, BEGUN, ENDED)
    assert (state.budget.held, state.budget.spent) == (Amount(), Amount(steps=2, usd=30))
    assert (state.budget.usd_unbilled, state.delegated) == (5, Amount(steps=2, usd=30))
    child = state.children["1-0"]
    assert (child.status, child.amount.usd, child.head, child.usd_unbilled) == ("completed", 30, "h", 5)
    assert state.after(ENDED) == state


def test_a_child_that_never_began_gives_everything_back() -> None:
    state = after(HELD, ChildReleased("1-0"))
    assert (state.budget.held, state.children, state.budget.recent["send"]) == (Amount(), {}, ())


def test_nothing_is_carved_before_the_admission_or_above_a_limit() -> None:
    assert RunState().after(HELD) == RunState()
    assert after(replace(HELD, amount=Amount(usd=501))) == after()


def test_the_calls_that_a_child_may_make_in_a_minute_count_as_long_as_it_runs() -> None:
    state = after(HELD)
    assert state.budget.recent["send"] == ((OPEN_MS, "child-1-0"), (OPEN_MS, "child-1-0"))
    assert state.budget.calls_in_window("send", 10**12) == 2
    over = state.after(replace(ENDED, amount=Amount(tools={"send": 1})))
    assert over.budget.recent["send"] == ((1_000, "child-1-0"),)


def test_a_child_that_spends_more_than_was_held_is_said_openly() -> None:
    state = after(HELD, BEGUN, replace(ENDED, amount=Amount(usd=101)))
    assert next_stop(state) == Stop(StopReason.BUDGET_EXHAUSTED, "usd:overbilled")
    before = after(HELD, BEGUN, BudgetShort("steps"), replace(ENDED, amount=Amount(usd=101)))
    assert before.shortfall == "usd:overbilled"
    assert before.after(HELD).after(replace(ENDED, amount=Amount(steps=9))).shortfall == "usd:overbilled"


def test_calls_and_meters_above_what_was_held_are_overspent_too() -> None:
    limits = replace(LIMITS, exposure={"m": (Bound(9),), "free": ()})
    calls = after(HELD, replace(ENDED, amount=Amount(tools={"any": 3, "send": 6})), limits=limits)
    assert calls.shortfall == "tool:send:overbilled"
    meters = after(HELD, replace(ENDED, amount=Amount(exposure={"free": 1, "m": 2})), limits=limits)
    assert meters.shortfall == "exposure:m:overbilled"


def test_what_nobody_limits_is_no_overspending() -> None:
    assert after(HELD, replace(ENDED, amount=Amount(usd=101)), limits=Limits()).shortfall is None


def test_a_parent_waits_for_people_while_a_child_does() -> None:
    state = after(HELD, BEGUN, ChildWaits("1-0", True))
    assert state.waits_for_people
    assert not state.after(ChildWaits("1-0", False)).waits_for_people
    assert not state.after(ENDED).waits_for_people
    assert not state.after(ENDED).after(ChildWaits("1-0", True)).waits_for_people
    assert state.after(ChildWaits("2-0", True)) == state


def test_an_answer_that_is_handed_over_completes_the_run() -> None:
    assert next_stop(after(HandedOver("1-0", "helper"))) == Stop(StopReason.COMPLETED)
