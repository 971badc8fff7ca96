"""A breaker's rule: what counts as a failure, what a report is about, how it reads, and what a trip is called."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backstay.kernel.breaker import (
    DEFAULT_ON,
    NAMES,
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
    alarm_of,
    likeness,
)
from backstay.kernel.scope import Scope, ScopeKind

RULE = Breaker("failing", ScopeKind.AGENT, Then.FREEZE, tuple(sorted(DEFAULT_ON)), share=Share())
RUN = Report(ReportKind.RUN, "clerk", "acme", model="gpt-5-mini")


@pytest.mark.parametrize(
    ("reasons", "failed"),
    [
        (("tool_failures",), True),
        (("no_progress", "forbidden"), True),
        (("completed",), False),
        (("completed", "forbidden"), False),
        (("killed",), None),
        (("policy_denied",), None),
        (("budget_exhausted",), None),
        (("incident_stop",), None),
        (("cancelled",), None),
        (("forbidden",), None),
        ((), None),
    ],
)
def test_what_people_rules_and_budgets_end_tells_nothing_of_the_scope(
    reasons: tuple[str, ...], failed: bool | None
) -> None:
    assert RULE.failed(reasons) is failed


@pytest.mark.parametrize("reason", ["killed", "policy_denied", "budget_exhausted", "incident_stop", "forbidden"])
def test_what_a_rule_names_counts_and_the_ends_that_it_leaves_out_are_good(reason: str) -> None:
    named = replace(RULE, on=(reason,))
    assert named.failed(("completed", reason)) is True
    assert named.failed(("tool_failures",)) is False


def test_a_rule_may_name_all_reasons_and_codes_but_those_of_success() -> None:
    assert {"tool_failures", "policy_denied", "forbidden", "schema_drift"} <= set(NAMES)
    assert not {"completed", "permitted", "needs_approval"} & set(NAMES)


def test_a_run_is_judged_by_agent_tenant_and_model_and_a_call_by_its_tool() -> None:
    call = replace(RUN, kind=ReportKind.CALL, tool="pay", usd=5)
    kinds = list(ScopeKind)
    assert [str(RUN.scope(kind)) for kind in kinds] == ["all", "tenant:acme", "agent:clerk", "None", "model:gpt-5-mini"]
    assert [str(call.scope(kind)) for kind in kinds] == ["None", "None", "None", "tool:pay", "None"]
    assert [str(call.spent_in(kind)) for kind in kinds] == [
        "all",
        "tenant:acme",
        "agent:clerk",
        "tool:pay",
        "model:gpt-5-mini",
    ]
    assert RUN.spent_in(ScopeKind.AGENT) is None
    assert replace(RUN, tenant=" ").scope(ScopeKind.TENANT) is None


def test_what_ended_is_told_in_its_order() -> None:
    first, second, third = (Failure(f"r{number}", ("x",), "f", after) for number, after in ((1, 2), (2, 2), (3, 5)))
    told = replace(RUN, good=9, failed=(first, second, third))
    assert list(told.in_order()) == [2, first, second, 3, third, 4]
    assert list(replace(RUN, failed=(Failure("r1", ("x",), "f"),)).in_order()) == [Failure("r1", ("x",), "f")]


def test_what_ended_later_comes_after_what_ended_before() -> None:
    one, other = Failure("r1", ("x",), "f", 1), Failure("r2", ("x",), "f", 2)
    both = replace(RUN, good=3, usd=5, failed=(one,)).with_more(replace(RUN, good=4, usd=6, failed=(other,)))
    assert (both.good, both.usd) == (7, 11)
    assert list(both.in_order()) == [1, one, 4, replace(other, after=5), 2]
    assert both.about == RUN.about != replace(RUN, tenant="globex").about


def test_failures_are_alike_where_numbers_ids_and_quoted_words_differ() -> None:
    first = likeness("Order `A17` of 2026 failed: no route to 0f3a9b2c-11")
    assert first == likeness("order `B4` of 1999 failed: no route to deadbeef-77")
    assert first != likeness("Order `A17` of 2026 failed: the shop is closed")


def test_a_rule_says_when_it_trips() -> None:
    named = replace(RULE, on=("no_progress", "tool_failures"))
    assert named.words() == "40 % of the last 20 with no_progress, tool_failures, in 5 runs, for 60 s"
    counted = Breaker("five", ScopeKind.TOOL, Then.STOP, ("outcome_unknown",), count=Count(5))
    assert counted.words() == "5 with outcome_unknown in 60 s"
    assert RUNAWAY_SPEND.words() == "10 minutes cost 3 times the usual, 5.00 USD at least"
    limited = replace(RUNAWAY_SPEND, spend=Spend(limit=50_000_000))
    assert limited.words() == "10 minutes cost 3 times the usual, 5.00 USD at least, or 50.00 USD"
    assert replace(RUNAWAY_SPEND, spend=None).words() == RUNAWAY_SPEND.words()


ALARMS = Breaker("alarms", ScopeKind.AGENT, Then.FREEZE, ("alarm",), count=Count(1))


def test_an_alarm_is_judged_in_every_kind_of_scope_by_the_rules_that_heed_it() -> None:
    alarm = alarm_of("run-1", "clerk", "acme", "pay", "gpt-5-mini")
    named = ["None", "tenant:acme", "agent:clerk", "tool:pay", "model:gpt-5-mini"]
    heeding = [replace(ALARMS, scope=kind) for kind in ScopeKind]
    assert [str(rule.judged_in(alarm)) for rule in heeding][1:] == named[1:]
    assert [RULE.judged_in(alarm), RUNAWAY_SPEND.judged_in(alarm)] == [None, None]
    [failure] = alarm.failed
    assert (failure.run, ALARMS.failed(failure.reasons), RULE.failed(failure.reasons)) == ("run-1", True, None)
    assert failure == alarm_of("run-1", "cook", "globex", "mail", "m").failed[0]


def test_a_rule_judges_ends_and_spend_in_its_own_kind_of_scope() -> None:
    assert str(RULE.judged_in(RUN)) == "agent:clerk"
    assert str(ALARMS.judged_in(RUN)) == "agent:clerk"
    assert RUNAWAY_SPEND.judged_in(RUN) is None
    assert str(RUNAWAY_SPEND.judged_in(replace(RUN, usd=5))) == "agent:clerk"


def test_a_rule_that_heeds_alarms_says_at_how_many_it_trips() -> None:
    assert ALARMS.words() == "1 alarm in 60 s"
    assert replace(ALARMS, count=Count(3, 600_000)).words() == "3 alarms in 600 s"


def test_the_same_trip_is_the_same_incident_and_another_rule_scope_or_start_another() -> None:
    trip = Trip("failing", RULE.digest, Scope(ScopeKind.AGENT, "clerk"), Then.FREEZE, 1_795_000_000_123, 5, "why")
    assert trip.incident_id.startswith("failing-20261118T")
    assert trip.incident_id == replace(trip, at_ms=9, why="again").incident_id
    others = [
        replace(trip, start_ms=1_795_000_000_124),
        replace(trip, scope=Scope(ScopeKind.AGENT, "other")),
        replace(trip, digest=replace(RULE, then=Then.STOP).digest),
    ]
    assert len({trip.incident_id, *(other.incident_id for other in others)}) == 4
    assert trip.by == "breaker failing"
