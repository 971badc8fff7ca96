"""What passes about breakers: reports that can be, a state only from an earlier link, and what people read."""

from dataclasses import replace
from typing import Any

import pytest

from backstay.contracts.breakers import (
    BreakersInput,
    BreakersView,
    Reports,
    RuleView,
    TripInput,
    TripNotice,
    WindowView,
)
from backstay.contracts.messages import read_message
from backstay.contracts.run import plain
from backstay.kernel.breaker import RUNAWAY_SPEND, Breaker, Count, Failure, Report, ReportKind, Share, Then
from backstay.kernel.breaker_window import Phase
from backstay.kernel.breakers import Watched
from backstay.kernel.control import Canary, Incident, InForce, Mode, Stage, Told
from backstay.kernel.scope import Scope, ScopeKind

SHARE = Breaker("shaky", ScopeKind.AGENT, Then.FREEZE, ("tool_failures",), share=Share(400, 6, 3, 1_000))
COUNT = Breaker("three", ScopeKind.TENANT, Then.WARN, ("tool_failures",), count=Count(3))
RULES = [SHARE, COUNT, RUNAWAY_SPEND]


def runs(failed: int, good: int = 0, first: int = 0) -> Report:
    failures = tuple(Failure(f"r{first + number}", ("tool_failures",), "f", good) for number in range(failed))
    return Report(ReportKind.RUN, "clerk", "acme", model="m", good=good, usd=20_000_000, failed=failures)


def tripped() -> Watched:
    """Watched after an agent failed for longer than it may."""
    watched, _ = Watched().told(RULES, "agents", [runs(4, 2)], 0)
    watched, trips = watched.ticked(1_000)
    assert [trip.then for trip in trips] == [Then.FREEZE]
    return watched


def test_reports_and_rules_pass_as_json() -> None:
    told = Reports(rules=RULES, queue="agents", reports=[runs(2, 1)])
    assert read_message(Reports, (plain(told),)) == told


@pytest.mark.parametrize(
    "rule",
    [
        replace(SHARE, share=Share(of_last=10**9)),
        replace(SHARE, share=Share(of_last=0)),
        replace(COUNT, count=Count(10**9)),
        replace(COUNT, name="a name"),
        replace(COUNT, name="x" * 65),
        replace(COUNT, name=""),
    ],
)
def test_a_rule_that_org_toml_cannot_say_is_refused(rule: Breaker) -> None:
    told = Reports.model_construct(rules=[rule], queue="agents", reports=[])
    assert isinstance(read_message(Reports, (plain(told),)), list)


def test_only_an_earlier_link_hands_on_what_is_watched() -> None:
    given = BreakersInput(watched=tripped(), stops=list(tripped().trips))
    assert BreakersInput.read((plain(given),), continued=True) == given
    assert BreakersInput.read(({},), continued=False) == BreakersInput()
    assert isinstance(BreakersInput.read((plain(given),), continued=False), list)


@pytest.mark.parametrize("args", [(), ({}, {}), ("all",), ({"watched": 3},)])
def test_anything_but_one_fitting_object_is_refused(args: tuple[Any, ...]) -> None:
    assert isinstance(BreakersInput.read(args, continued=True), list)


def test_people_read_each_rule_with_its_windows_those_that_are_not_well_first() -> None:
    watched, _ = tripped().told(RULES, "agents", [replace(runs(0, 3), agent="buyer")], 2_000)
    watched, _ = watched.told(RULES, "agents", [runs(1, 1, first=9)], 2_000)
    view = BreakersView.of(watched, 3_000)
    assert BreakersView.model_validate(plain(view)) == view
    spend, shaky, three = view.rules
    [trip, *others] = reversed(view.trips)
    assert [(one.scope, one.state, one.failed, one.of) for one in shaky.windows] == [
        ("agent:clerk", "open", 1, 2),
        ("agent:buyer", "closed", 0, 3),
    ]
    assert (shaky.windows[0].incident_id, shaky.windows[0].tripped_ms) == (trip.incident_id, 1_000)
    assert [(one.scope, one.state, one.failed, one.of) for one in three.windows] == [("tenant:acme", "open", 3, 3)]
    assert [(one.scope, one.usd_10m, one.usual_10m) for one in spend.windows] == [
        ("agent:clerk", 40_000_000, None),
        ("agent:buyer", 20_000_000, None),
    ]
    assert [(one.breaker, one.incident_id) for one in others] == [("three", None)]


@pytest.mark.parametrize(
    ("then", "said"),
    [
        (Then.FREEZE, "agent:clerk is frozen, incident shaky-"),
        (Then.STOP, "agent:clerk is stopped, incident shaky-"),
        (Then.WARN, "agent:clerk, nothing is stopped: 4 of the last 6 failed"),
    ],
)
def test_a_trip_says_what_follows_and_names_an_incident_where_there_is_one(then: Then, said: str) -> None:
    trip = replace(tripped().trips[-1], then=then)
    assert TripInput(trip=trip).words.startswith(f"breaker shaky tripped: {said}")
    assert (TripNotice.of(trip, "clerk").incident_id is None) is (then is Then.WARN)
    assert TripInput(trip=trip).order().freeze is (then is Then.FREEZE)


OLGA = Told("olga@example.com", "mended", 1)


@pytest.mark.parametrize(
    ("known", "change", "shown"),
    [
        (Phase.CLOSED, {}, Phase.OPEN),
        (Phase.OPEN, {}, Phase.OPEN),
        (Phase.HALF_OPEN, {"lifted": (OLGA, OLGA)}, Phase.OPEN),  # the runs that went first failed
        (Phase.OPEN, {"canary": Canary(frozenset({"r1"}), Stage.STARTS, 60)}, Phase.HALF_OPEN),
        (Phase.OPEN, {"open": frozenset({Stage.READS})}, Phase.HALF_OPEN),
        (Phase.OPEN, {"ended_ms": 5}, Phase.HALF_OPEN),
        (Phase.HALF_OPEN, {"ended_ms": 5}, Phase.HALF_OPEN),
        (Phase.CLOSED, {"ended_ms": 5}, Phase.CLOSED),
    ],
)
def test_people_read_a_breaker_as_its_incident_stands(known: Phase, change: dict[str, Any], shown: Phase) -> None:
    window = WindowView(scope="agent:clerk", state=known, incident_id="i1")
    other = WindowView(scope="agent:buyer", state=Phase.CLOSED)
    rule = RuleView(name="dear", digest="d", scope="agent", then="freeze", rule="", told_ms=1, windows=[window, other])
    incident = replace(Incident("i1", Scope.read("agent:clerk"), Mode.FREEZE, OLGA), **change)
    view = BreakersView(rules=[rule], trips=[], at_ms=1).beside(InForce(incidents={"i1": incident}))
    assert [one.state for one in view.rules[0].windows] == [shown, Phase.CLOSED]
