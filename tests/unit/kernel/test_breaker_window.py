"""The window of one scope: what it holds, when it trips, and how canaries close it or trip it again."""

from __future__ import annotations

from dataclasses import replace

from backstay.kernel.breaker import Breaker, Count, Failure, Report, ReportKind, Share, Then, Trip, alarm_of
from backstay.kernel.breaker_window import Phase, Window
from backstay.kernel.scope import Scope, ScopeKind

SMALL = Share(per_mille=400, of_last=6, min_runs=3, hold_ms=1_000)
RULE = Breaker("failing", ScopeKind.AGENT, Then.FREEZE, ("tool_failures",), share=SMALL)
COUNT = Breaker("three", ScopeKind.AGENT, Then.STOP, ("tool_failures",), count=Count(3, 60_000, 2))
CLERK = Scope(ScopeKind.AGENT, "clerk")


def report(ends: str, fingerprint: str = "refused", first: int = 0) -> Report:
    """What ended, one letter each: `g`ood, `f`ailed in a run of its own, `s`ame run, `k`illed."""
    failed: list[Failure] = []
    good = 0
    for number, end in enumerate(ends):
        good += end == "g"
        if end != "g":
            reasons = ("killed",) if end == "k" else ("tool_failures",)
            failed.append(Failure("same" if end == "s" else f"r{first + number}", reasons, fingerprint, good))
    return Report(ReportKind.RUN, "clerk", "acme", good=good, failed=tuple(failed))


def told(ends: str, at_ms: int, window: Window | None = None, rule: Breaker = RULE) -> tuple[Window, Trip | None]:
    return (window or Window()).told(rule, report(ends, first=at_ms), at_ms).judged(rule, CLERK, at_ms)


def open_window(rule: Breaker = RULE) -> Window:
    window, trip = told("ffff", 0, rule=rule)
    assert trip is None
    window, trip = window.judged(rule, CLERK, 1_000)
    assert trip is not None
    return window


def test_enough_failures_of_the_last_reports_trip_once_they_have_held_for_the_time() -> None:
    window, trip = told("ggfffg", 0)
    assert (trip, window.since_ms, window.due_ms(RULE)) == (None, 0, 1_000)
    window, trip = told("f", 999, window)
    assert trip is None
    window, trip = told("f", 1_000, window)
    assert trip is not None
    assert (trip.scope, trip.start_ms, trip.at_ms, trip.agents) == (CLERK, 0, 1_000, ("clerk",))
    assert trip.why.startswith("5 of the last 6 failed: 40 % of the last 6 with tool_failures")
    assert trip.runs[0] == "r1000"
    assert (window.phase, window.due_ms(RULE), window.total) == (Phase.OPEN, None, 0)


def test_failures_of_too_few_runs_do_not_count_and_killed_runs_tell_nothing() -> None:
    window, _ = told("ssssff", 0)
    assert window.since_ms == 0
    window, _ = told("sssssf", 0)
    assert window.since_ms is None
    window, _ = told("kkkkkk", 0)
    assert (window.total, window.since_ms) == (0, None)


def test_what_gets_better_is_forgotten_and_what_has_just_ended_trips_nothing() -> None:
    window, _ = told("fff", 0)
    better, _ = told("gggggg", 2_000, window)
    assert better.since_ms is None
    ended, trip = told("g", 1_500, window)
    assert (ended.since_ms, trip) == (0, None)
    assert told("f", 1_600, ended)[1] is not None


def test_where_many_come_within_the_time_all_of_them_count() -> None:
    window, _ = told("g" * 30, 0)
    assert (len(window.recent), window.total, window.failures) == (6, 30, 0)
    window, _ = told("ffffff", 500, window)
    assert (window.total, window.failures, window.since_ms) == (36, 6, None)
    window, _ = told("f", 1_010, window)
    assert (window.total, window.since_ms) == (7, 1_010)


def test_old_reports_do_not_count() -> None:
    rule = replace(RULE, share=replace(SMALL, within_ms=10_000))
    window, _ = told("fff", 0, rule=rule)
    window, trip = window.judged(rule, CLERK, 10_000)
    assert (trip, window.total) == (None, 0)


def test_a_scope_that_was_only_warned_of_is_judged_on_and_warned_of_again_when_it_has_been_well() -> None:
    warning = replace(RULE, then=Then.WARN)
    window = open_window(warning)
    assert (window.stopped, window.total) == (False, 4)
    window, trip = told("f", 5_000, window, warning)
    assert (trip, window.phase) == (None, Phase.OPEN)
    window, trip = told("gggggg", 10_000, window, warning)
    assert (trip, window.phase) == (None, Phase.CLOSED)
    window, _ = told("ffffff", 20_000, window, warning)
    assert window.judged(warning, CLERK, 30_000)[1] is not None


def test_while_a_scope_is_stopped_what_ends_in_it_is_only_kept() -> None:
    window, trip = told("ffffffffffffffff", 2_000, open_window())
    assert (trip, window.phase, len(window.trial), window.total) == (None, Phase.OPEN, 10, 0)


def test_as_many_canaries_as_the_rule_looks_at_close_it() -> None:
    window = open_window().lifted(2_000)
    assert window.phase is Phase.HALF_OPEN
    window, trip = told("ggggf", 3_000, window)
    assert (trip, window.phase) == (None, Phase.HALF_OPEN)
    window, trip = told("g", 4_000, window)
    assert (trip, window.phase, window.total) == (None, Phase.CLOSED, 0)
    assert window.trip is not None


def test_the_same_failure_of_a_few_canaries_trips_again_and_another_one_does_not() -> None:
    window = open_window().lifted(2_000)
    again, trip = told("ff", 3_000, window)
    assert trip is not None
    assert (again.phase, trip.start_ms, trip.why[:30]) == (Phase.OPEN, 3_000, "2 of 2 canaries failed again: ")
    other, trip = window.told(RULE, report("ffgggg", "another"), 3_000).judged(RULE, CLERK, 3_000)
    assert (other.phase, trip) == (Phase.CLOSED, None)


def test_a_stop_that_canaries_put_in_force_again_is_open_and_its_next_canaries_begin_anew() -> None:
    window, trip = told("f", 3_000, open_window().lifted(2_000))
    assert (trip, window.phase) == (None, Phase.HALF_OPEN)
    again = window.in_force_again()
    assert (again.phase, again.stopped, again.trial, again.trip) == (Phase.OPEN, True, (), window.trip)
    window, trip = told("fggggg", 5_000, again.lifted(4_000))
    assert (trip, window.phase) == (None, Phase.CLOSED)
    assert (window.in_force_again(), open_window().in_force_again()) == (window, open_window())


def test_where_no_half_of_the_failures_is_alike_any_failure_of_a_canary_counts() -> None:
    window = Window()
    for number in range(6):
        window = window.told(RULE, report("f", f"fault {number}", number), 0)
    window, _ = window.judged(RULE, CLERK, 0)
    window, trip = window.judged(RULE, CLERK, 1_000)
    assert trip is not None
    assert trip.fingerprint == ""
    assert told("ff", 3_000, window.lifted(2_000))[1] is not None


def test_a_count_trips_at_its_last_failure_within_the_time() -> None:
    window, trip = told("fgg", 0, rule=COUNT)
    assert (trip, window.due_ms(COUNT)) == (None, None)
    late, trip = told("ff", 60_000, window, COUNT)
    assert trip is None
    assert len(late.recent) == 2
    _, trip = told("ff", 59_000, window, COUNT)
    assert trip is not None
    assert (trip.start_ms, trip.why) == (0, "3 failed within 60 s: 3 with tool_failures in 60 s")
    _, trip = told("sss", 0, rule=COUNT)
    assert trip is None
    again = open_count().lifted(1)
    assert told("fff", 2, again, COUNT)[1] is not None


def open_count() -> Window:
    window, trip = told("fff", 0, rule=COUNT)
    assert trip is not None
    return window


def test_a_rule_without_a_condition_trips_at_the_first_failure() -> None:
    bare = Breaker("bare", ScopeKind.AGENT, Then.STOP, ("tool_failures",))
    window, trip = told("f", 0, rule=bare)
    assert trip is not None
    assert window.stopped


ALARMS = Breaker("alarms", ScopeKind.AGENT, Then.FREEZE, ("alarm",), count=Count(2))


def alarmed(run: str, at_ms: int, window: Window | None = None) -> tuple[Window, Trip | None]:
    alarm = alarm_of(run, "clerk", "acme", "pay", "m")
    return (window or Window()).told(ALARMS, alarm, at_ms).judged(ALARMS, CLERK, at_ms)


def test_alarms_within_the_time_trip_and_failures_do_not() -> None:
    window, trip = told("ffff", 0, rule=ALARMS)
    assert (trip, window.recent) == (None, ())
    window, trip = alarmed("r1", 1, window)
    assert trip is None
    window, trip = alarmed("r2", 2, window)
    assert trip is not None
    assert trip.why == "2 alarms within 60 s, the last in the run r2: 2 alarms in 60 s"
    assert (trip.runs, trip.agents) == (("r2", "r1"), ("clerk",))


def test_after_a_lift_as_many_alarms_trip_again_and_ten_ends_without_one_close_it() -> None:
    def lifted() -> Window:
        window, trip = alarmed("r2", 2, alarmed("r1", 1)[0])
        assert trip is not None
        return window.lifted(3)

    window, trip = alarmed("r3", 4, told("ggf", 4, lifted(), ALARMS)[0])
    assert (trip, window.phase) == (None, Phase.HALF_OPEN)
    window, trip = alarmed("r4", 5, window)
    assert trip is not None
    assert trip.why.startswith("2 of 5 canaries failed again")
    window, trip = told("gggggfgggg", 4, lifted(), ALARMS)
    assert (trip, window.phase) == (None, Phase.CLOSED)
