"""A verdict: whether it lets a call through, and whether the call fitted its tool at all."""

from dataclasses import replace

import pytest

from backstay.kernel.grantable import Cap, Grantable
from backstay.kernel.verdict import Code, Outcome, Verdict, narrower


@pytest.mark.parametrize("outcome", Outcome)
def test_a_call_may_be_executed_only_where_its_verdict_allows(outcome: Outcome) -> None:
    verdict = Verdict(outcome, Code.PERMITTED, "d", "v")
    assert verdict.allowed == (outcome == "allow")


@pytest.mark.parametrize("code", Code)
def test_only_bad_arguments_make_a_call_unusable(code: Code) -> None:
    assert Verdict(Outcome.DENY, code, "d", "v").unusable == (code == "invalid_args")


def said(outcome: Outcome, *groups: str, rule: str = "r", version: str = "v") -> Verdict:
    return Verdict(outcome, Code.PERMITTED, "d", version, (rule,), groups=groups, reasons=groups)


@pytest.mark.parametrize(
    ("one", "other", "outcome"),
    [
        (Outcome.ALLOW, Outcome.ALLOW, Outcome.ALLOW),
        (Outcome.ALLOW, Outcome.DENY, Outcome.DENY),
        (Outcome.DENY, Outcome.REQUIRE_APPROVAL, Outcome.DENY),
        (Outcome.REQUIRE_APPROVAL, Outcome.ALLOW, Outcome.REQUIRE_APPROVAL),
        (Outcome.DENY, Outcome.DENY, Outcome.DENY),
    ],
)
def test_two_sets_of_rules_let_through_what_both_let_through(one: Outcome, other: Outcome, outcome: Outcome) -> None:
    assert narrower(said(one), said(other)).outcome is outcome
    assert narrower(said(other), said(one)).outcome is outcome


def test_the_rules_that_are_stricter_are_named_under_the_runs_own_version() -> None:
    found = narrower(said(Outcome.ALLOW), said(Outcome.DENY, rule="theirs", version="w"))
    assert (found.rules, found.policy_version) == (("theirs",), "v")


def test_where_both_want_people_those_of_both_are_asked_and_no_grant_stands_for_them() -> None:
    one = replace(said(Outcome.REQUIRE_APPROVAL, "finance", rule="z"), grantable=Grantable(Cap(1, 1), ()))
    found = narrower(one, said(Outcome.REQUIRE_APPROVAL, "ops", "finance", rule="a"))
    assert (found.rules, found.groups, found.reasons) == (("a", "z"), ("finance", "ops"), ("finance", "ops"))
    assert found.grantable is None
