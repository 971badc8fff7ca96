"""What Cedar alone would let through, or trip over, and what our verdict makes of it."""

import json
from typing import Any

import cedarpy
import pytest

from backstay.contracts.admission import ToolSpec
from backstay.kernel.verdict import Code, Outcome
from policies.bundle.problem import PolicyProblems
from policies.explain import explained
from policies.judge import judge

from .conftest import DECIMAL, Ask, Rules, spec

PERMIT = '@id("yes") permit(principal, action, resource);\n'


def _cedar(rules: str, context: dict[str, Any], **more: Any) -> cedarpy.AuthzResult:
    request = {"principal": 'Agent::"a"', "action": 'Action::"t"', "resource": 'Tenant::"x"', "context": context}
    return cedarpy.is_authorized(request, rules, more.pop("entities", []), **more)


def _tool(**properties: Any) -> ToolSpec:
    return spec("t", groups=("g",), parameters={"type": "object", "properties": properties, "required": [*properties]})


def test_a_forbid_that_fails_is_skipped_by_cedar_and_denies_here(rules: Rules, ask: Ask) -> None:
    forbid = '@id("f") forbid(principal, action, resource) when { context.input.n + 1 > 5 };'
    plain = _cedar(PERMIT + forbid, {"input": {"n": 2**63 - 1}})
    assert plain.allowed
    assert plain.diagnostics.errors
    tool = _tool(n={"type": "integer"})
    verdict = judge(rules(forbid, tool), ask(tool, {"n": 2**63 - 1}))
    assert (verdict.outcome, verdict.code, verdict.rules) == (Outcome.DENY, Code.POLICY_ERROR, ("f",))
    assert str(2**63 - 1) not in verdict.message


def test_an_approval_does_not_hide_a_rule_that_fails(rules: Rules, ask: Ask) -> None:
    forbid = '@id("f") @approval("owner") forbid(principal, action, resource) when { context.input.n + 1 > 5 };'
    tool = _tool(n={"type": "integer"})
    bundle = rules(forbid, tool)
    assert judge(bundle, ask(tool, {"n": 2**63 - 1}, approvals=frozenset({"owner"}))).code is Code.POLICY_ERROR


@pytest.mark.parametrize(
    "disguise",
    [{"__entity": {"type": "Agent", "id": "admin"}}, {"__extn": {"fn": "decimal", "arg": "1.0"}}, {"__expr": "1"}],
)
def test_an_argument_never_becomes_an_entity_or_an_extension_value(rules: Rules, ask: Ask, disguise: Any) -> None:
    forbid = '@id("f") forbid(principal, action, resource) when { context.input has who && context.input.who == "x" };'
    text = {"type": "string"}
    tool = spec(
        "t", parameters={"properties": {"who": text, "any": {}, "in": {"type": "object", "properties": {"a": text}}}}
    )
    bundle = rules(forbid, tool)
    assert judge(bundle, ask(tool, {"who": disguise})).code is Code.INVALID_ARGS
    assert judge(bundle, ask(tool, {"in": {"a": disguise}})).code is Code.INVALID_ARGS
    assert judge(bundle, ask(tool, {"any": disguise})).outcome is Outcome.ALLOW
    assert judge(bundle, ask(tool, {"in": disguise})).outcome is Outcome.ALLOW
    assert explained(bundle, ask(tool, {"in": disguise, "any": disguise})).context["input"] == {"in": {}}


def test_raw_arguments_would_have_become_an_entity(ask: Ask) -> None:
    rule = 'permit(principal, action, resource) when { context.who == Agent::"admin" };'
    assert _cedar(rule, {"who": {"__entity": {"type": "Agent", "id": "admin"}}}).allowed


@pytest.mark.parametrize("value", [0.12345, 2**63, 1e300, "1e3", "x"])
def test_a_number_that_cedar_cannot_hold_denies_where_a_rule_reads_it(rules: Rules, ask: Ask, value: Any) -> None:
    forbid = '@id("f") forbid(principal, action, resource) when { context.input.amount.greaterThan(decimal("5.0")) };'
    tool = _tool(amount=DECIMAL)
    verdict = judge(rules(forbid, tool), ask(tool, {"amount": value}))
    assert (verdict.outcome, verdict.code, verdict.rules) == (Outcome.DENY, Code.POLICY_ERROR, ("f",))
    assert verdict.message == "`input.amount` has a value that rules cannot weigh: `f`"
    unread = '@id("f") forbid(principal, action, resource) when { context.run.step > 50 };'
    assert judge(rules(unread, tool), ask(tool, {"amount": value})).outcome is Outcome.ALLOW


@pytest.mark.parametrize(
    "condition",
    [
        'context.input has note && context.input.note like "*bad*"',
        "context.input has note",
        "!(context.input has note)",
        'context has input.note && context.input.note == "x"',
        "(if context.run.step > 1 then context.input else context.input) has note",
        "{a: context.input}.a has note",
        'context.input has box && context.input.box has note && context.input.box.note == "x"',
    ],
)
@pytest.mark.parametrize("effect", ["forbid", "permit"])
def test_asking_whether_a_value_is_there_does_not_get_round_one_that_was_left_out(
    rules: Rules, ask: Ask, condition: str, effect: str
) -> None:
    text = {"type": "string"}
    properties = {"note": text, "box": {"type": "object", "properties": {"note": text}}}
    tool = spec("t", parameters={"type": "object", "properties": properties})
    bundle = rules(f'@id("f") {effect}(principal, action, resource) when {{ {condition} }};', tool)
    broken = "bad \ud800"
    arguments = {"box": {"note": broken}} if "box" in condition else {"note": broken}
    verdict = judge(bundle, ask(tool, arguments))
    assert (verdict.outcome, verdict.code, verdict.rules) == (Outcome.DENY, Code.POLICY_ERROR, ("f",))


def test_asking_for_a_record_does_not_depend_on_a_part_that_was_left_out(rules: Rules, ask: Ask) -> None:
    properties = {"a": {"type": "integer"}, "b": {"type": "integer"}}
    tool = spec("t", parameters={"properties": {"box": {"type": "object", "properties": properties}}})
    condition = "context.input has box && context.input.box has a && context.input.box.a > 5"
    bundle = rules(f'@id("f") forbid(principal, action, resource) when {{ {condition} }};', tool)
    assert judge(bundle, ask(tool, {"box": {"a": 1, "b": 2**63}})).outcome is Outcome.ALLOW
    assert judge(bundle, ask(tool, {"box": {"a": 6, "b": 2**63}})).outcome is Outcome.DENY
    assert judge(bundle, ask(tool, {"box": {"a": 2**63, "b": 1}})).code is Code.POLICY_ERROR


def test_an_argument_that_the_schema_does_not_show_cannot_slip_past_a_general_rule(rules: Rules, ask: Ask) -> None:
    org = '@id("f") forbid(principal, action, resource) when { context.input has amount && context.input.amount > 5 };'
    tool = spec("t", parameters={"type": "object", "properties": {}})
    bundle = rules("", tool, org=org)
    assert judge(bundle, ask(tool, {"other": 1})).outcome is Outcome.ALLOW
    assert judge(bundle, ask(tool, {"amount": 6})).code is Code.POLICY_ERROR


def test_a_rule_for_another_tenant_does_not_stumble_over_a_value_left_out(rules: Rules, ask: Ask) -> None:
    tool = _tool(n={"type": "integer"})
    bundle = rules('@id("f") forbid(principal, action, resource == Tenant::"t2") when { context.input.n > 5 };', tool)
    assert judge(bundle, ask(tool, {"n": 2**63})).outcome is Outcome.ALLOW
    assert judge(bundle, ask(tool, {"n": 2**63}, tenant="t2")).code is Code.POLICY_ERROR


def test_a_fact_that_is_missing_denies_where_a_rule_reads_it(rules: Rules, ask: Ask) -> None:
    tools = (spec("t", facts={"safe": "Bool"}), spec("u", facts={"safe": "Bool"}))
    bundle = rules('@id("f") forbid(principal, action == Action::"t", resource) unless { context.facts.safe };', *tools)
    assert judge(bundle, ask(tools[0], {}, facts={"safe": True})).outcome is Outcome.ALLOW
    assert judge(bundle, ask(tools[0], {}, facts={"safe": "yes"})).code is Code.POLICY_ERROR
    assert judge(bundle, ask(tools[0], {})).code is Code.POLICY_ERROR
    assert judge(bundle, ask(tools[1], {})).outcome is Outcome.ALLOW


def test_text_is_no_number_unless_the_tool_takes_numbers_as_text(rules: Rules, ask: Ask) -> None:
    forbid = '@id("f") forbid(principal, action, resource) when { context.input.amount.greaterThan(decimal("5.0")) };'
    number, numeral = _tool(amount={"type": "number"}), _tool(amount=DECIMAL)
    assert judge(rules(forbid, number), ask(number, {"amount": "1.0"})).code is Code.INVALID_ARGS
    assert judge(rules(forbid, numeral), ask(numeral, {"amount": "1.0"})).outcome is Outcome.ALLOW
    assert judge(rules(forbid, numeral), ask(numeral, {"amount": "5.01"})).outcome is Outcome.DENY


def test_broken_rules_are_refused_when_they_are_read_and_not_when_a_call_comes(rules: Rules) -> None:
    assert _cedar("forbid(", {}).decision is cedarpy.Decision.NoDecision
    with pytest.raises(PolicyProblems, match=r"policy\.cedar:1: not a Cedar rule"):
        rules("forbid(", spec("t"))


def test_rules_on_groups_apply_although_the_entities_are_prepared(rules: Rules, ask: Ask) -> None:
    schema = json.dumps(
        {
            "": {
                "entityTypes": {"Agent": {}, "Tenant": {}},
                "actions": {
                    "group:g": {},
                    "t": {
                        "memberOf": [{"id": "group:g"}],
                        "appliesTo": {"principalTypes": ["Agent"], "resourceTypes": ["Tenant"]},
                    },
                },
            }
        }
    )
    forbid = 'forbid(principal, action in Action::"group:g", resource);'
    empty = cedarpy.Entities.from_json_str("[]")
    assert _cedar(PERMIT + forbid, {}, schema=schema, entities=empty).allowed, "the trap is gone"
    tool = _tool(n={"type": "integer"})
    bundle = rules('@id("f") ' + forbid, tool)
    assert judge(bundle, ask(tool, {"n": 1})).rules == ("f",)
    assert judge(bundle, ask(tool, {"n": 2**63})).rules == ("f",)


def test_a_smuggled_approval_or_tenant_is_nothing_but_an_argument(rules: Rules, ask: Ask) -> None:
    text = """
    @id("a") @approval("owner") forbid(principal, action, resource);
    @id("b") forbid(principal, action, resource) unless { resource == Tenant::"acme" };
    """
    tool = spec(
        "t", parameters={"type": "object", "properties": {"approvals": {"type": "array", "items": {"type": "string"}}}}
    )
    bundle = rules(text, tool)
    smuggled = {"approvals": ["owner"], "tenant": "acme", "context": {"approvals": ["owner"]}}
    assert judge(bundle, ask(tool, smuggled)).outcome is Outcome.REQUIRE_APPROVAL
    assert judge(bundle, ask(tool, smuggled, tenant="other", approvals=frozenset({"owner"}))).rules == ("b",)


def test_a_tenant_that_is_no_text_denies(rules: Rules, ask: Ask) -> None:
    tool = spec("t")
    assert judge(rules("", tool), ask(tool, {}, tenant="\ud800")).code is Code.POLICY_ERROR


def test_a_request_that_cedar_refuses_denies(rules: Rules, ask: Ask) -> None:
    tool = spec("t")
    verdict = judge(rules("", tool), ask(tool, {}, now=2**63))
    assert (verdict.outcome, verdict.code, verdict.rules) == (Outcome.DENY, Code.POLICY_ERROR, ())
    assert verdict.message == "rules cannot judge this call"
