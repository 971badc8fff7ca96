"""The gate: which bundle is in force, what consent is worth under it, and what an incident changes."""

import threading
from dataclasses import replace
from typing import Any

import cedarpy
import pytest

from backstay.contracts.policy import Consent
from backstay.errors import ConfigurationError
from backstay.kernel.grantable import Cap, Grantable, GrantRef
from backstay.kernel.standing import Use
from backstay.kernel.verdict import Code, Outcome
from policies.bundle.build import AgentPolicy, Bundle, build
from policies.bundle.problem import PolicyProblems
from policies.gate import Gate

from .conftest import GROUPS, Ask, Rules, spec

ALLOW, DENY, APPROVAL = Outcome.ALLOW, Outcome.DENY, Outcome.REQUIRE_APPROVAL
ANN, BO, OLGA = "ann@shop.example", "bo@shop.example", "olga@shop.example"


def gate_with(bundle: Bundle, **groups: list[str]) -> Gate:
    gate = Gate()
    gate.put(bundle, groups or GROUPS)
    return gate


@pytest.mark.parametrize(
    ("amount", "consent", "requested_by", "outcome"),
    [
        (100, Consent(), None, ALLOW),
        (200, Consent(), None, APPROVAL),
        (200, Consent(approved_by=[ANN]), None, ALLOW),
        (200, Consent(approved_by=[OLGA]), None, APPROVAL),
        (200, Consent(approved_by=["somebody"]), None, APPROVAL),
        (200, Consent(approved_by=[ANN]), ANN, APPROVAL),
        (200, Consent(approved_by=[ANN]), f" {ANN.upper()} ", APPROVAL),
        (200, Consent(approved_by=[ANN], editors=[ANN]), None, APPROVAL),
        (200, Consent(approved_by=[ANN, BO], editors=[ANN]), None, ALLOW),
        (1500, Consent(approved_by=[ANN]), None, APPROVAL),
        (1500, Consent(approved_by=[ANN, ANN]), None, APPROVAL),
        (1500, Consent(approved_by=[ANN, BO]), None, ALLOW),
        (1500, Consent(approved_by=[ANN, BO]), BO, APPROVAL),
        (6000, Consent(approved_by=[ANN, BO]), None, DENY),
    ],
)
def test_the_yes_of_enough_different_people_releases_a_call(
    shop: Bundle, ask: Ask, amount: int, consent: Consent, requested_by: str | None, outcome: Outcome
) -> None:
    call = ask("issue_refund", {"order_id": "A", "amount": amount}, consent=consent, requested_by=requested_by)
    assert gate_with(shop).judge(call).outcome is outcome


def test_a_person_in_two_groups_fills_one_seat(rules: Rules, ask: Ask) -> None:
    tool = spec("t")
    two = """
    @id("a") @approval("finance") forbid(principal, action, resource);
    @id("b") @approval("owner") forbid(principal, action, resource);
    """
    gate = gate_with(rules(two, tool), finance=["ann", "bo"], owner=["ann"])
    assert gate.judge(ask(tool, {}, consent=Consent(approved_by=["ann"]))).groups == ("finance", "owner")
    assert gate.judge(ask(tool, {}, consent=Consent(approved_by=["ann", "bo"]))).outcome is ALLOW


def test_a_call_cannot_bring_its_own_approvals_or_deny_an_incident(shop: Bundle, ask: Ask) -> None:
    smuggled = ask("issue_refund", {"order_id": "A", "amount": 200}, approvals=frozenset({"finance"}))
    assert gate_with(shop).judge(smuggled).outcome is APPROVAL
    gate = Gate(lambda agent, tenant, tool: (agent, tenant, tool) == ("support", "acme", "issue_refund"))
    gate.put(shop, GROUPS)
    assert gate.judge(ask("issue_refund", {"order_id": "A", "amount": 1}, incident=False)).rules == ("org-incident",)
    assert gate.judge(ask("issue_refund", {"order_id": "A", "amount": 1}, tenant="other")).outcome is ALLOW


def test_the_verdict_is_over_the_exact_call_and_says_who_could_release_it(shop: Bundle, ask: Ask) -> None:
    verdict = gate_with(shop).judge(ask("issue_refund", {"order_id": "A", "amount": 200}, digest="sha256:this"))
    assert (verdict.digest, verdict.policy_version) == ("sha256:this", shop.version)
    assert verdict.reasons == (verdict.message,)
    assert gate_with(shop).judge(ask("issue_refund", {"order_id": "A", "amount": 1})).reasons == ()


def test_without_rules_the_answer_is_no(ask: Ask) -> None:
    gate = Gate()
    gate.put(build(AgentPolicy("support", [])), {})
    assert gate.judge(ask("lookup_order", {"order_id": "A"})).code is Code.UNKNOWN_TOOL
    other = ask("lookup_order", {"order_id": "A"}, agent="supportx")
    assert (gate.judge(other).outcome, gate.judge(other).code) == (DENY, Code.NOT_PERMITTED)
    assert (gate.version("supportx"), gate.members("supportx", "finance")) == ("", ())
    with pytest.raises(ConfigurationError, match="no rules are in force"):
        gate.bundle("supportx")


def test_members_are_those_of_the_groups_in_force(shop: Bundle) -> None:
    gate = gate_with(shop)
    assert gate.members("support", "finance") == (ANN, BO)
    assert gate.members("support", "nobody") == ()
    gate.put(shop, {"finance": ["zoe"]})
    assert gate.members("support", "finance") == ("zoe",)


def test_new_rules_take_the_place_of_the_old_while_calls_go_on(rules: Rules, ask: Ask) -> None:
    tool = spec("t")
    yes, no = rules("", tool), rules('@id("no") forbid(principal, action, resource);', tool)
    gate, seen, stop = gate_with(yes), set[tuple[Outcome, str]](), threading.Event()

    def judge_on() -> None:
        while not stop.is_set():
            verdict = gate.judge(ask(tool, {}))
            seen.add((verdict.outcome, verdict.policy_version))

    threads = [threading.Thread(target=judge_on) for _ in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(200):
        gate.put(no if turn % 2 else yes, GROUPS)
    stop.set()
    for thread in threads:
        thread.join()
    assert seen <= {(ALLOW, yes.version), (DENY, no.version)}
    gate.put(no, GROUPS)
    assert gate.version("support") == no.version
    with pytest.raises(PolicyProblems):
        gate.put(rules("not cedar", tool), GROUPS)
    assert gate.bundle("support") is no


def test_the_facts_that_some_rule_reads_are_known_and_no_others(rules: Rules) -> None:
    text = '@id("eu") forbid(principal, action, resource) when { context.facts.named_by_user.contains("to") };'
    gate = gate_with(rules(text))
    assert gate.reads_fact("support", "named_by_user")
    assert not gate.reads_fact("support", "named_weakly")
    assert not gate.reads_fact("nobody", "named_by_user")


GRANTABLE = """
@id("large") @approval("finance") @grantable("uses:5,hours:2")
forbid(principal, action == Action::"issue_refund", resource)
when { context.input.amount.greaterThan(decimal("100.0")) };
@id("many") @approval("finance")
forbid(principal, action == Action::"issue_refund", resource) when { context.run.tool_calls_60s > 3 };
@id("never")
forbid(principal, action == Action::"issue_refund", resource)
when { context.input.amount.greaterThan(decimal("900.0")) };
"""
REFUND = {"order_id": "A", "amount": 200}


def use_of(bundle: Bundle, *rules: str, by: str = ANN) -> Use:
    texts = tuple(bundle.enforced.rules[name].text for name in rules)
    return Use("grt_1", by, 7_000, texts, 1, 5)


def test_a_use_of_a_grant_for_the_rule_that_asks_stands_for_the_yes_and_the_verdict_names_it(
    rules: Rules, ask: Ask
) -> None:
    bundle = rules(GRANTABLE)
    verdict = gate_with(bundle).judge(ask("issue_refund", REFUND, now=6))
    assert verdict.grantable == Grantable(Cap(5, 2), (bundle.enforced.rules["large"].text,))
    released = gate_with(bundle).judge(ask("issue_refund", REFUND, now=6, consent=Consent(use=use_of(bundle, "large"))))
    assert (released.outcome, released.grant, released.grantable) == (ALLOW, GrantRef("grt_1", ANN), None)
    assert gate_with(bundle).judge(ask("issue_refund", {**REFUND, "amount": 5})).grant is None


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"now": 7}, APPROVAL),
        ({"requested_by": f" {ANN.upper()}"}, APPROVAL),
        ({"tool_calls_60s": {"issue_refund": 4}}, APPROVAL),
        ({"requested_by": BO}, ALLOW),
    ],
)
def test_a_use_counts_in_time_for_its_own_rules_and_never_for_the_requester(
    rules: Rules, ask: Ask, change: dict[str, object], outcome: Outcome
) -> None:
    bundle = rules(GRANTABLE)
    call = ask("issue_refund", REFUND, **{"now": 6, "consent": Consent(use=use_of(bundle, "large")), **change})
    verdict = gate_with(bundle).judge(call)
    assert (verdict.outcome, verdict.grant is not None) == (outcome, outcome is ALLOW)


def test_a_use_lifts_no_rule_that_forbids_or_changed_its_text_and_none_of_somebody_who_left_the_group(
    rules: Rules, ask: Ask
) -> None:
    bundle = rules(GRANTABLE)
    consent = Consent(use=use_of(bundle, "large"))
    assert gate_with(bundle).judge(ask("issue_refund", {**REFUND, "amount": 901}, consent=consent)).outcome is DENY
    assert gate_with(bundle, finance=[BO]).judge(ask("issue_refund", REFUND, consent=consent)).outcome is APPROVAL
    edited = Consent(use=use_of(bundle, "large"), editors=[ANN])
    assert gate_with(bundle).judge(ask("issue_refund", REFUND, consent=edited)).outcome is APPROVAL
    changed = rules(GRANTABLE.replace("hours:2", "hours:1"))
    assert gate_with(changed).judge(ask("issue_refund", REFUND, consent=consent)).outcome is APPROVAL
    same = rules(GRANTABLE.replace("\n@id", "\n// a remark\n\n@id").replace("forbid(", "forbid (\n"))
    assert gate_with(same).judge(ask("issue_refund", REFUND, consent=consent)).outcome is ALLOW


def test_where_one_rule_that_asks_allows_no_grant_or_two_people_are_asked_nothing_is_grantable(
    rules: Rules, ask: Ask
) -> None:
    both = gate_with(rules(GRANTABLE)).judge(ask("issue_refund", REFUND, tool_calls_60s={"issue_refund": 4}))
    assert (both.rules, both.grantable) == (("large", "many"), None)
    bundle = rules(GRANTABLE.replace('"finance"', '"finance:2"'))
    call = ask("issue_refund", REFUND)
    assert gate_with(bundle).judge(call).grantable is None
    assert gate_with(bundle).judge(replace(call, consent=Consent(use=use_of(bundle, "large")))).outcome is APPROVAL


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Lists the questions that are put to Cedar."""
    asked: list[Any] = []
    real = cedarpy.is_authorized

    def counted(*given: Any) -> Any:
        asked.append(given)
        return real(*given)

    monkeypatch.setattr(cedarpy, "is_authorized", counted)
    return asked


def test_a_question_is_put_to_cedar_once_and_anything_else_about_it_is_a_new_question(
    shop: Bundle, rules: Rules, ask: Ask, asked: list[Any]
) -> None:
    gate, call = gate_with(shop), ask("lookup_order", {"order_id": "asked twice"})
    assert gate.judge(call).outcome is ALLOW
    assert gate.judge(call).outcome is ALLOW
    assert len(asked) == 1
    changed = [
        replace(call, now=call.now + 1),
        replace(call, tenant="another"),
        replace(call, run=call.run.model_copy(update={"step": call.run.step + 1})),
        replace(call, arguments={"order_id": "asked once"}),
    ]
    assert [gate.judge(one).outcome for one in changed] == [ALLOW] * 4
    assert len(asked) == 5
    gate.put(rules('@id("none") forbid(principal, action, resource);', call.tool), GROUPS)
    assert gate.judge(call).outcome is DENY


def test_a_long_question_is_put_to_cedar_each_time_because_it_would_fill_the_memory(
    shop: Bundle, ask: Ask, asked: list[Any]
) -> None:
    gate, call = gate_with(shop), ask("lookup_order", {"order_id": 5_000 * "9"})
    assert [gate.judge(call).outcome for _ in range(2)] == [ALLOW, ALLOW]
    assert len(asked) == 2
