"""What a scope spends against what it usually does."""

from __future__ import annotations

from dataclasses import replace

from backstay.kernel.breaker import RUNAWAY_SPEND, Breaker, Spend, Then, Trip
from backstay.kernel.breaker_spend import DAY, STEP_MS, STEPS, Spending
from backstay.kernel.breaker_window import Phase
from backstay.kernel.scope import Scope, ScopeKind

CLERK = Scope(ScopeKind.AGENT, "clerk")
USD = 1_000_000
DAY_MS = DAY * STEP_MS
TEN_MINUTES = STEPS * STEP_MS


def spent(usd: int, at_ms: int, money: Spending | None = None) -> Spending:
    return (money or Spending()).told(usd, at_ms)


def judged(money: Spending, at_ms: int, rule: Breaker = RUNAWAY_SPEND) -> Trip | None:
    return money.judged(rule, CLERK, at_ms)[1]


def usual_day(usd: int) -> Spending:
    """A day in which every two minutes cost the same."""
    money = Spending()
    for step in range(1, DAY + 1):
        money = money.told(usd, step * STEP_MS)
    return money


def test_ten_minutes_are_added_up_and_pass() -> None:
    money = spent(3, STEP_MS, spent(2, 2 * STEP_MS - 1, spent(1, STEP_MS)))
    assert money.latest(STEP_MS) == 6
    assert money.latest(STEP_MS + TEN_MINUTES - 1) == 6
    assert money.latest(STEP_MS + TEN_MINUTES) == 0


def test_without_a_day_of_history_only_the_limit_holds() -> None:
    money = spent(100 * USD, STEP_MS)
    assert money.usual(DAY_MS) is None
    assert judged(money, STEP_MS) is None
    limited = replace(RUNAWAY_SPEND, spend=Spend(limit=100 * USD))
    trip = judged(money, STEP_MS, limited)
    assert trip is not None
    assert trip.why.startswith("10 minutes cost 100.00 USD: 10 minutes cost 3 times the usual, 5.00 USD at least")
    assert judged(spent(99 * USD, STEP_MS), STEP_MS, limited) is None


def test_three_times_the_usual_trips_and_less_does_not() -> None:
    now = DAY_MS + TEN_MINUTES
    money = usual_day(USD)
    assert money.usual(now) == 5 * USD
    assert judged(spent(14 * USD, now, money), now) is None
    trip = judged(spent(15 * USD, now, money), now)
    assert trip is not None
    assert trip.why.startswith("10 minutes cost 15.00 USD, where 5.00 USD are usual: ")
    assert (trip.scope, trip.start_ms) == (CLERK, now - TEN_MINUTES + STEP_MS)


def test_what_costs_little_is_never_too_much() -> None:
    now = DAY_MS + TEN_MINUTES
    assert judged(spent(5 * USD - 1, now, usual_day(10)), now) is None
    assert judged(spent(5 * USD, now, usual_day(10)), now) is not None


def test_it_trips_once_until_ten_minutes_cost_no_more_than_they_may() -> None:
    now = DAY_MS + TEN_MINUTES
    money, trip = spent(100 * USD, now, usual_day(USD)).judged(RUNAWAY_SPEND, CLERK, now)
    assert (money.phase, money.trip) == (Phase.OPEN, trip)
    money, trip = money.told(USD, now + 1).judged(RUNAWAY_SPEND, CLERK, now + 1)
    assert (money.phase, trip) == (Phase.OPEN, None)
    money, trip = money.judged(RUNAWAY_SPEND, CLERK, now + TEN_MINUTES)
    assert (money.phase, trip) == (Phase.CLOSED, None)


FREEZE = replace(RUNAWAY_SPEND, then=Then.FREEZE, spend=Spend(limit=10 * USD))
START = 1_000 * STEP_MS


def stopped() -> Spending:
    """Money that was too much, whose scope is frozen."""
    money, trip = spent(12 * USD, START).judged(FREEZE, CLERK, START)
    assert trip is not None
    return replace(money, stops=True)


def test_a_scope_that_was_stopped_stays_open_until_its_stop_is_lifted_whatever_is_spent() -> None:
    money = stopped()
    assert (money.stopped, money.spent_since, money.due_ms) == (True, False, None)
    later = START + 2 * TEN_MINUTES
    money, trip = spent(1, later, money).judged(FREEZE, CLERK, later)
    assert (money.phase, trip, money.spent_since) == (Phase.OPEN, None, True)
    money, trip = spent(50 * USD, later, money).judged(FREEZE, CLERK, later)
    assert (money.phase, trip) == (Phase.OPEN, None)


def test_after_the_lift_what_is_spent_since_is_watched_for_ten_minutes() -> None:
    lifted = START + 10_000
    money, trip = spent(3 * USD, START + 5_000, stopped()).lifted(lifted).judged(FREEZE, CLERK, lifted)
    assert (money.phase, trip, money.trial, money.due_ms) == (Phase.HALF_OPEN, None, 0, lifted + TEN_MINUTES)
    again, trip = spent(10 * USD, lifted + 1, money).judged(FREEZE, CLERK, lifted + 1)
    assert trip is not None
    assert trip.why.startswith("10 minutes cost 10.00 USD after the stop was lifted: ")
    assert (again.stopped, again.trip, trip.start_ms) == (True, trip, lifted)
    money, trip = spent(9 * USD, lifted + 1, money).judged(FREEZE, CLERK, lifted + TEN_MINUTES - 1)
    assert (money.phase, trip) == (Phase.HALF_OPEN, None)
    money, trip = money.judged(FREEZE, CLERK, lifted + TEN_MINUTES)
    assert (money.phase, trip, money.stops, money.due_ms) == (Phase.CLOSED, None, False, None)


def test_a_stop_that_canaries_put_in_force_again_is_open_and_its_money_is_watched_anew() -> None:
    lifted = START + 10_000
    money = spent(9 * USD, lifted + 1, stopped().lifted(lifted)).in_force_again()
    assert (money.phase, money.stopped, money.trial, money.due_ms) == (Phase.OPEN, True, 0, None)
    assert money.in_force_again() == money


def test_money_that_came_between_the_lift_and_the_news_of_it_is_watched_too() -> None:
    lifted = START + 2 * STEP_MS
    money = spent(4 * USD, lifted + 1, spent(3 * USD, START + STEP_MS, stopped()))
    assert money.lifted(lifted).trial == 4 * USD
    # One that nobody remembers was lifted at any moment since the trip: the last ten minutes count.
    assert money.lifted(0).trial == 7 * USD
    assert spent(USD, START + 10 * STEP_MS, money).lifted(0).trial == USD
    assert replace(money, trip=None).lifted(lifted).trial == 4 * USD


def test_a_day_is_kept_and_after_a_long_silence_nothing() -> None:
    money = usual_day(USD)
    later = money.told(USD, DAY_MS + 100 * STEP_MS)
    assert (len(later.steps), later.first) == (DAY + STEPS, 100 - STEPS + 1)
    assert later.latest(DAY_MS + 100 * STEP_MS) == USD
    silent = money.told(USD, 10 * DAY_MS)
    assert (silent.steps, silent.usual(10 * DAY_MS), silent.since_ms) == ((USD,), 0, STEP_MS)


def test_a_rule_without_figures_has_the_default_ones() -> None:
    now = DAY_MS + TEN_MINUTES
    bare = replace(RUNAWAY_SPEND, spend=None)
    assert judged(spent(15 * USD, now, usual_day(USD)), now, bare) is not None
