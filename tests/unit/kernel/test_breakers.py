"""All breakers together: a simulation of healthy fleets, of faults and outages, and what is kept over the links."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from backstay.kernel import breakers
from backstay.kernel.breaker import (
    DEFAULT_ON,
    RUNAWAY_SPEND,
    Breaker,
    Count,
    Failure,
    Report,
    ReportKind,
    Share,
    Spend,
    Then,
    Trip,
)
from backstay.kernel.breakers import Watched
from backstay.kernel.scope import Scope, ScopeKind

ON = tuple(sorted(DEFAULT_ON))
AGENTS = Breaker("failing-agents", ScopeKind.AGENT, Then.FREEZE, ON, share=Share())
TOOLS = Breaker("failing-tools", ScopeKind.TOOL, Then.FREEZE, ON, share=Share())
COUNTED = Breaker("three", ScopeKind.TENANT, Then.STOP, ("policy_denied",), count=Count(3))
QUEUE = "agents"
RATES = (2, 20, 200)
MINUTE = 60_000


def run(number: int, failed: bool, agent: str = "clerk", reason: str = "tool_failures") -> Report:
    failures = (Failure(f"run-{number}", (reason,), "pay: refused"),) if failed else ()
    return Report(ReportKind.RUN, agent, "acme", good=0 if failed else 1, failed=failures)


def call(number: int, failed: bool, tool: str, agent: str = "clerk") -> Report:
    failures = (Failure(f"run-{number}", ("tool_failures",), f"{tool}: refused"),) if failed else ()
    return Report(ReportKind.CALL, agent, "acme", tool, good=0 if failed else 1, failed=failures)


class Fleet:
    """A fleet whose runs end at random moments, `rate` of them a minute, and some of them fail."""

    def __init__(self, rule: Breaker, rate: int, seed: int) -> None:
        self.breakers, self.rule, self.rate = Watched(), rule, rate
        self.random = random.Random(f"{seed} {rate}")
        self.at_ms, self.number = 0.0, 0
        self.trips: list[Trip] = []

    def works(self, runs: int, failing: float, report: Callable[[int, bool], Report] = run) -> None:
        """Lets some runs end, until the breaker trips."""
        for _ in range(runs):
            if not self.trips:
                self.at_ms += self.random.expovariate(self.rate / MINUTE)
                self._ends(report(self.number, self.random.random() < failing))

    def works_for(self, seconds: float, failing: float) -> None:
        """Lets runs end for some seconds, until the breaker trips."""
        end_ms = self.at_ms + seconds * 1_000
        while not self.trips and (next_ms := self.at_ms + self.random.expovariate(self.rate / MINUTE)) < end_ms:
            self.at_ms = next_ms
            self._ends(run(self.number, self.random.random() < failing))
        self.at_ms = self.at_ms if self.trips else end_ms

    def _ends(self, report: Report) -> None:
        self.number += 1
        now, due = int(self.at_ms), self.breakers.due_ms()
        if due is not None and due < now:
            self.breakers, trips = self.breakers.ticked(due)
            self.trips += trips
        self.breakers, trips = self.breakers.told([self.rule], QUEUE, [report], now)
        self.trips += trips


@pytest.mark.parametrize("rate", RATES)
def test_a_thousand_healthy_runs_of_which_one_in_twenty_fails_trip_nothing(rate: int) -> None:
    for seed in range(3):
        fleet = Fleet(AGENTS, rate, seed)
        fleet.works(1_000, 0.05)
        assert fleet.trips == []


@pytest.mark.parametrize("rate", RATES)
def test_an_outage_of_45_seconds_trips_nothing(rate: int) -> None:
    for seed in range(3):
        fleet = Fleet(AGENTS, rate, seed)
        fleet.works(60, 0.05)
        fleet.works_for(45, 1.0)
        fleet.works(2 * rate + 20, 0.05)
        assert fleet.trips == []


@pytest.mark.parametrize(("rate", "minutes"), [(2, 10), (20, 3), (200, 2)])
@pytest.mark.parametrize("failing", [1.0, 0.6])
def test_a_fault_that_stays_trips_soon(rate: int, minutes: int, failing: float) -> None:
    seen: list[float] = []
    for seed in range(3):
        fleet = Fleet(AGENTS, rate, seed)
        fleet.works(60, 0.05)
        began = fleet.at_ms
        fleet.works(30 + 2 * rate * minutes, failing)
        [trip] = fleet.trips
        seen.append((trip.at_ms - began) / MINUTE)
    assert sorted(seen)[1] <= minutes


@pytest.mark.parametrize("rate", RATES)
def test_a_tool_that_always_fails_trips_for_itself_alone(rate: int) -> None:
    fleet = Fleet(TOOLS, rate, 1)
    kinds = ["pay", *(f"tool-{number}" for number in range(9))]

    def one(number: int, ordinary: bool) -> Report:
        tool = kinds[number % 10]
        return call(number, tool == "pay" or ordinary, tool, f"agent-{number % 10}")

    fleet.works(20 * rate + 300, 0.05, one)
    [trip] = fleet.trips
    assert (str(trip.scope), trip.agents, trip.fingerprint) == ("tool:pay", ("agent-0",), "pay: refused")
    assert trip.at_ms <= fleet.at_ms


NORMAL = 30 * 60 * MINUTE


def spends(rate: float, seed: int, times: int) -> list[Trip]:
    """Thirty hours of a fleet with a day cycle, then one in which each run costs so many times more."""
    told, chance, at, trips = Watched(), random.Random(seed), 0.0, list[Trip]()
    while at < NORMAL + 60 * MINUTE and not (trips and trips[-1].at_ms > NORMAL):
        cycle = 1 + 0.6 * math.sin(at / MINUTE / 1_440 * 2 * math.pi)
        at += chance.expovariate(rate * cycle / MINUTE)
        usd = int(400_000 * chance.lognormvariate(-0.72, 1.2)) * (times if at > NORMAL else 1)
        report = Report(ReportKind.DECISION, "clerk", "acme", usd=usd)
        told, more = told.told([RUNAWAY_SPEND], QUEUE, [report], int(at))
        trips += more
    return trips


def test_what_a_fleet_usually_spends_warns_nobody_and_ten_times_as_much_does_within_minutes() -> None:
    for seed in range(2):
        [trip] = spends(2, seed, times=10)
        assert 0 < trip.at_ms - NORMAL <= 20 * MINUTE
        assert (trip.then, str(trip.scope)) == (Then.WARN, "agent:clerk")


def told(breakers: Watched, *reports: Report, at_ms: int, rules: tuple[Breaker, ...] = (AGENTS,)) -> Watched:
    return breakers.told(rules, QUEUE, reports, at_ms)[0]


def tripped(at_ms: int = 0) -> tuple[Watched, Trip]:
    """Watched after an agent failed for a minute."""
    known = told(Watched(), *(run(number, True) for number in range(8)), at_ms=at_ms)
    due = known.due_ms()
    assert due is not None
    assert due == at_ms + MINUTE
    known, [trip] = known.ticked(due)
    return known, trip


def test_it_trips_when_its_time_is_over_though_nothing_more_is_told() -> None:
    known, trip = tripped(5_000)
    assert known.trips == (trip,)
    assert (trip.start_ms, trip.at_ms, known.due_ms()) == (5_000, 65_000, None)
    assert known.ticked(10 * MINUTE)[1] == []


def test_a_stop_that_was_lifted_is_watched_from_the_moment_of_the_lift() -> None:
    known, trip = tripped()
    assert known.waiting() == []
    known = told(known, *(run(number, True) for number in range(8)), at_ms=2 * MINUTE)
    assert known.waiting() == [trip.incident_id]
    known = told(known, *(run(number, False) for number in range(9)), at_ms=4 * MINUTE)
    known, trips = known.lifted(trip.incident_id, 3 * MINUTE, 5 * MINUTE)
    assert (trips, known.waiting()) == ([], [])
    assert [window.phase for window in known.windows.values()] == ["half_open"]
    known = told(known, run(9, False), at_ms=6 * MINUTE)
    assert [window.phase for window in known.windows.values()] == ["closed"]
    assert known.lifted("another", 0, 0) == (known, [])


def test_a_breaker_follows_an_incident_that_its_canaries_put_in_force_again() -> None:
    known, trip = tripped()
    other = told(known, run(1, True, "buyer"), at_ms=1)
    known, _ = other.lifted(trip.incident_id, MINUTE, 2 * MINUTE)
    assert known.tried() == []
    known = told(known, run(1, True), at_ms=3 * MINUTE)
    assert (known.tried(), known.waiting()) == ([trip.incident_id], [])
    assert known.in_force_again("another") == known
    again = known.in_force_again(trip.incident_id)
    assert [window.phase for window in again.windows.values()] == ["open", "closed"]
    assert (again.tried(), again.waiting(), again.in_force_again(trip.incident_id)) == ([], [], again)


def test_a_fault_that_is_still_there_trips_again_as_another_incident() -> None:
    known, trip = tripped()
    known, _ = known.lifted(trip.incident_id, MINUTE, 2 * MINUTE)
    known, [again] = known.told([AGENTS], QUEUE, [run(number, True) for number in range(3)], 3 * MINUTE)
    assert again.incident_id != trip.incident_id
    assert again.why.startswith("3 of 3 canaries failed again: ")
    assert known.trips == (trip, again)


def test_each_rule_judges_its_own_kind_of_scope_and_spend_is_counted_wherever_it_is_reported() -> None:
    rules = (AGENTS, TOOLS, COUNTED, RUNAWAY_SPEND, replace(RUNAWAY_SPEND, scope=ScopeKind.ALL))
    cost = replace(call(1, True, "pay"), usd=10)
    known = told(Watched(), run(1, True), cost, at_ms=0, rules=rules)
    scopes = {known.rules[key.split(" ")[0]].rule.name: key.split(" ")[1] for key in known.windows}
    assert scopes == {"failing-agents": "agent:clerk", "failing-tools": "tool:pay", "three": "tenant:acme"}
    assert sorted(key.split(" ")[1] for key in known.spendings) == ["agent:clerk", "all"]


def test_what_workers_no_longer_tell_is_forgotten_with_its_rule() -> None:
    known = told(Watched(), run(1, True), at_ms=0, rules=(AGENTS, RUNAWAY_SPEND))
    known = told(known, replace(run(1, True), usd=5), at_ms=breakers.FORGOTTEN_MS, rules=(RUNAWAY_SPEND,))
    carried = known.carried(breakers.FORGOTTEN_MS + 1)
    assert [one.rule for one in carried.rules.values()] == [RUNAWAY_SPEND]
    assert (len(carried.windows), len(carried.spendings)) == (0, 1)


def test_healthy_scopes_are_forgotten_first_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breakers, "MOST_WINDOWS", 3)
    known, trip = tripped()
    known = told(known, run(1, True, "shaky"), at_ms=1)
    for number in range(5):
        known = told(known, run(number, False, f"agent-{number}"), at_ms=number)
    kept = {key.split(" ")[1] for key in known.carried(10).windows}
    assert kept == {"agent:clerk", "agent:shaky", "agent:agent-4"}
    assert str(Scope(ScopeKind.AGENT, "clerk")) == str(trip.scope)


DEAR = Breaker("dear", ScopeKind.AGENT, Then.FREEZE, spend=Spend(limit=5))


def overspent() -> tuple[Watched, Trip]:
    """Watched after an agent was stopped because of its money."""
    known, [trip] = Watched().told([DEAR], QUEUE, [replace(run(1, False), usd=5)], MINUTE)
    return known.stopped([trip]), trip


def money(known: Watched) -> str:
    [one] = known.spendings.values()
    return one.phase


def test_money_follows_the_incident_that_it_led_to_and_is_closed_ten_minutes_after_the_lift() -> None:
    known, trip = overspent()
    assert (money(known), known.waiting(), known.due_ms()) == ("open", [], None)
    known = told(known, replace(run(2, False), usd=1), at_ms=30 * MINUTE, rules=(DEAR,))
    assert (money(known), known.waiting()) == ("open", [trip.incident_id])
    known, trips = known.lifted(trip.incident_id, 31 * MINUTE, 31 * MINUTE)
    assert (money(known), trips, known.due_ms(), known.waiting()) == ("half_open", [], 41 * MINUTE, [])
    assert known.ticked(41 * MINUTE - 1)[0] == known
    known, trips = known.ticked(41 * MINUTE)
    assert (money(known), trips, known.due_ms()) == ("closed", [], None)


def test_money_follows_an_incident_that_canaries_put_in_force_again() -> None:
    known, trip = overspent()
    known, _ = known.lifted(trip.incident_id, 10 * MINUTE, 10 * MINUTE)
    assert (known.tried(), known.in_force_again("another")) == ([], known)
    known = told(known, replace(run(2, False), usd=1), at_ms=11 * MINUTE, rules=(DEAR,))
    assert known.tried() == [trip.incident_id]
    known = known.in_force_again(trip.incident_id)
    assert (money(known), known.tried(), known.due_ms()) == ("open", [], None)


def test_money_that_is_still_too_much_after_the_lift_is_another_incident() -> None:
    known, trip = overspent()
    known, _ = known.lifted(trip.incident_id, 10 * MINUTE, 10 * MINUTE)
    known, [again] = known.told([DEAR], QUEUE, [replace(run(2, False), usd=5)], 11 * MINUTE)
    assert again.incident_id != trip.incident_id
    assert money(known) == "open"


def test_a_warning_about_money_stops_nothing() -> None:
    warning = replace(DEAR, then=Then.WARN)
    known, [trip] = Watched().told([warning], QUEUE, [replace(run(1, False), usd=5)], MINUTE)
    assert known.stopped([trip]) is known
    known = told(known, replace(run(1, False), usd=1), at_ms=30 * MINUTE, rules=(warning,))
    assert money(known) == "closed"


def test_scopes_that_are_stopped_are_forgotten_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breakers, "MOST_SPENDINGS", 2)
    known, trip = overspent()
    for number in range(3):
        report = replace(run(number, False, f"agent-{number}"), usd=1)
        known = told(known, report, at_ms=2 * MINUTE + number, rules=(DEAR,))
    kept = {key.split(" ")[1] for key in known.carried(3 * MINUTE).spendings}
    assert kept == {str(trip.scope), "agent:agent-2"}
