"""Rules that read what all runs of a tenant add to a meter in a day or a month."""

from typing import Any

import pytest

from backstay.kernel.ledger_period import Period
from backstay.kernel.verdict import Code, Outcome
from policies.bundle.build import Bundle
from policies.bundle.problem import PolicyProblems
from policies.judge import judge

from .conftest import Rules, call_of, spec

REFUND = spec("refund", exposure=["refunds"])
DAY = """@id("day") forbid(principal, action == Action::"refund", resource)
when { context.exposure.refunds.day.greaterThan(decimal("100.0")) };"""
ASKED_FIRST = """@id("day") forbid(principal, action == Action::"refund", resource)
when { context.exposure.refunds has day && context.exposure.refunds.day.greaterThan(decimal("100.0")) };"""


def judged(bundle: Bundle, **more: Any) -> tuple[Outcome, Code]:
    verdict = judge(bundle, call_of(REFUND, {}, **more))
    return verdict.outcome, verdict.code


def test_a_rule_over_a_day_refuses_the_call_that_takes_it_above(rules: Rules) -> None:
    bundle = rules(DAY, REFUND, counted={"refunds": {Period.DAY: True}})
    assert judged(bundle, counted={"refunds": {Period.DAY: 1_000_000}}) == (Outcome.ALLOW, Code.PERMITTED)
    assert judged(bundle, counted={"refunds": {Period.DAY: 1_000_001}}) == (Outcome.DENY, Code.FORBIDDEN)


def test_a_rule_over_a_day_that_nobody_told_of_refuses_every_call(rules: Rules) -> None:
    bundle = rules(DAY, REFUND, counted={"refunds": {Period.DAY: True}})
    assert judged(bundle)[0] is Outcome.DENY


def test_a_rule_that_asks_first_lets_tenants_through_that_have_no_sum(rules: Rules) -> None:
    bundle = rules(ASKED_FIRST, REFUND, counted={"refunds": {Period.DAY: False}})
    assert judged(bundle) == (Outcome.ALLOW, Code.PERMITTED)
    assert judged(bundle, counted={"refunds": {Period.DAY: 1_000_001}}) == (Outcome.DENY, Code.FORBIDDEN)


def test_a_rule_over_a_day_that_only_some_tenants_have_must_ask_first(rules: Rules) -> None:
    with pytest.raises(PolicyProblems, match="may be absent"):
        rules(DAY, REFUND, counted={"refunds": {Period.DAY: False}})


@pytest.mark.parametrize("rule", [DAY, ASKED_FIRST])
def test_a_rule_over_a_day_that_is_not_counted_is_a_problem_that_says_how_to_count_it(rules: Rules, rule: str) -> None:
    with pytest.raises(PolicyProblems, match="not counted by day") as caught:
        rules(rule, REFUND, counted={"refunds": {Period.MONTH: True}})
    assert "`day = true` to count without a limit" in str(caught.value)


def test_an_org_rule_may_ask_for_a_day_that_an_agent_does_not_count(rules: Rules) -> None:
    assert judged(rules("", REFUND, org=ASKED_FIRST)) == (Outcome.ALLOW, Code.PERMITTED)
