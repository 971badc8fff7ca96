"""What Cedar alone would let through, or trip over, and what the gate makes of it."""

import json
from typing import Any

import cedarpy
import pytest

from backstay.kernel.verdict import Code, Outcome
from policies.bundle.problem import PolicyProblems
from policies.call import ToolRules
from policies.cedar_gate import Gate

from .conftest import DECIMAL, Ask, Rules

PERMIT = '@id("yes") permit(principal, action, resource);\n'


def _cedar(rules: str, context: dict[str, Any], **more: Any) -> cedarpy.AuthzResult:
    request = {"principal": 'Agent::"a"', "action": 'Action::"t"', "resource": 'Tenant::"x"', "context": context}
    return cedarpy.is_authorized(request, rules, more.pop("entities", []), **more)


def _tool(**properties: Any) -> ToolRules:
    return ToolRules(
        "t", groups=("g",), parameters={"type": "object", "properties": properties, "required": [*properties]}
    )


def test_a_forbid_that_fails_is_skipped_by_cedar_and_denies_here(rules: Rules, ask: Ask) -> None:
    forbid = '@id("f") forbid(principal, action, resource) when { context.input.n + 1 > 5 };'
    plain = _cedar(PERMIT + forbid, {"input": {"n": 2**63 - 1}})
    assert plain.allowed
    assert plain.diagnostics.errors
    tool = _tool(n={"type": "integer"})
    ruling = Gate([rules(forbid, tool)]).decide(ask(tool, {"n": 2**63 - 1}))
    assert (ruling.outcome, ruling.code, ruling.rules) == (Outcome.DENY, Code.POLICY_ERROR, ("f",))
    assert str(2**63 - 1) not in ruling.message


def test_an_approval_does_not_hide_a_rule_that_fails(rules: Rules, ask: Ask) -> None:
    forbid = '@id("f") @approval("owner") forbid(principal, action, resource) when { context.input.n + 1 > 5 };'
    tool = _tool(n={"type": "integer"})
    gate = Gate([rules(forbid, tool)])
    assert gate.decide(ask(tool, {"n": 2**63 - 1}, approvals=frozenset({"owner"}))).code is Code.POLICY_ERROR


@pytest.mark.parametrize(
    "disguise",
    [{"__entity": {"type": "Agent", "id": "admin"}}, {"__extn": {"fn": "decimal", "arg": "1.0"}}, {"__expr": "1"}],
)
def test_an_argument_never_becomes_an_entity_or_an_extension_value(rules: Rules, ask: Ask, disguise: Any) -> None:
    forbid = '@id("f") forbid(principal, action, resource) when { context.input has who && context.input.who == "x" };'
    text = {"type": "string"}
    tool = ToolRules(
        "t", parameters={"properties": {"who": text, "any": {}, "in": {"type": "object", "properties": {"a": text}}}}
    )
    gate = Gate([rules(forbid, tool)])
    assert gate.decide(ask(tool, {"who": disguise})).code is Code.INVALID_ARGS
    assert gate.decide(ask(tool, {"in": {"a": disguise}})).code is Code.INVALID_ARGS
    assert gate.decide(ask(tool, {"any": disguise})).outcome is Outcome.ALLOW
    assert gate.decide(ask(tool, {"in": disguise})).outcome is Outcome.ALLOW
    assert gate.explain(ask(tool, {"in": disguise, "any": disguise})).context["input"] == {"in": {}}


def test_raw_arguments_would_have_become_an_entity(ask: Ask) -> None:
    rule = 'permit(principal, action, resource) when { context.who == Agent::"admin" };'
    assert _cedar(rule, {"who": {"__entity": {"type": "Agent", "id": "admin"}}}).allowed


@pytest.mark.parametrize("value", [0.12345, 2**63, 1e300, "1e3", "x"])
def test_a_number_that_cedar_cannot_hold_denies_where_a_rule_reads_it(rules: Rules, ask: Ask, value: Any) -> None:
    forbid = '@id("f") forbid(principal, action, resource) when { context.input.amount.greaterThan(decimal("5.0")) };'
    tool = _tool(amount=DECIMAL)
    ruling = Gate([rules(forbid, tool)]).decide(ask(tool, {"amount": value}))
    assert (ruling.outcome, ruling.code, ruling.rules) == (Outcome.DENY, Code.POLICY_ERROR, ("f",))
    assert ruling.message == "`input.amount` has a value that rules cannot weigh: `f`"
    unread = '@id("f") forbid(principal, action, resource) when { context.run.step > 50 };'
    assert Gate([rules(unread, tool)]).decide(ask(tool, {"amount": value})).outcome is Outcome.ALLOW


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
    tool = ToolRules("t", parameters={"type": "object", "properties": properties})
    gate = Gate([rules(f'@id("f") {effect}(principal, action, resource) when {{ {condition} }};', tool)])
    broken = "bad \ud800"
    arguments = {"box": {"note": broken}} if "box" in condition else {"note": broken}
    ruling = gate.decide(ask(tool, arguments))
    assert (ruling.outcome, ruling.code, ruling.rules) == (Outcome.DENY, Code.POLICY_ERROR, ("f",))


def test_asking_for_a_record_does_not_depend_on_a_part_that_was_left_out(rules: Rules, ask: Ask) -> None:
    properties = {"a": {"type": "integer"}, "b": {"type": "integer"}}
    tool = ToolRules("t", parameters={"properties": {"box": {"type": "object", "properties": properties}}})
    condition = "context.input has box && context.input.box has a && context.input.box.a > 5"
    gate = Gate([rules(f'@id("f") forbid(principal, action, resource) when {{ {condition} }};', tool)])
    assert gate.decide(ask(tool, {"box": {"a": 1, "b": 2**63}})).outcome is Outcome.ALLOW
    assert gate.decide(ask(tool, {"box": {"a": 6, "b": 2**63}})).outcome is Outcome.DENY
    assert gate.decide(ask(tool, {"box": {"a": 2**63, "b": 1}})).code is Code.POLICY_ERROR


def test_an_argument_that_the_schema_does_not_show_cannot_slip_past_a_general_rule(rules: Rules, ask: Ask) -> None:
    org = '@id("f") forbid(principal, action, resource) when { context.input has amount && context.input.amount > 5 };'
    tool = ToolRules("t", parameters={"type": "object", "properties": {}})
    gate = Gate([rules("", tool, org=org)])
    assert gate.decide(ask(tool, {"other": 1})).outcome is Outcome.ALLOW
    assert gate.decide(ask(tool, {"amount": 6})).code is Code.POLICY_ERROR


def test_a_rule_for_another_tenant_does_not_stumble_over_a_value_left_out(rules: Rules, ask: Ask) -> None:
    tool = _tool(n={"type": "integer"})
    gate = Gate(
        [rules('@id("f") forbid(principal, action, resource == Tenant::"t2") when { context.input.n > 5 };', tool)]
    )
    assert gate.decide(ask(tool, {"n": 2**63})).outcome is Outcome.ALLOW
    assert gate.decide(ask(tool, {"n": 2**63}, tenant="t2")).code is Code.POLICY_ERROR


def test_a_fact_that_is_missing_denies_where_a_rule_reads_it(rules: Rules, ask: Ask) -> None:
    tools = (ToolRules("t", facts={"safe": "Bool"}), ToolRules("u", facts={"safe": "Bool"}))
    gate = Gate(
        [rules('@id("f") forbid(principal, action == Action::"t", resource) unless { context.facts.safe };', *tools)]
    )
    assert gate.decide(ask(tools[0], {}, facts={"safe": True})).outcome is Outcome.ALLOW
    assert gate.decide(ask(tools[0], {}, facts={"safe": "yes"})).code is Code.POLICY_ERROR
    assert gate.decide(ask(tools[0], {})).code is Code.POLICY_ERROR
    assert gate.decide(ask(tools[1], {})).outcome is Outcome.ALLOW


def test_text_is_no_number_unless_the_tool_takes_numbers_as_text(rules: Rules, ask: Ask) -> None:
    forbid = '@id("f") forbid(principal, action, resource) when { context.input.amount.greaterThan(decimal("5.0")) };'
    number, numeral = _tool(amount={"type": "number"}), _tool(amount=DECIMAL)
    assert Gate([rules(forbid, number)]).decide(ask(number, {"amount": "1.0"})).code is Code.INVALID_ARGS
    assert Gate([rules(forbid, numeral)]).decide(ask(numeral, {"amount": "1.0"})).outcome is Outcome.ALLOW
    assert Gate([rules(forbid, numeral)]).decide(ask(numeral, {"amount": "5.01"})).outcome is Outcome.DENY


def test_broken_rules_are_refused_when_they_are_read_and_not_when_a_call_comes(rules: Rules) -> None:
    assert _cedar("forbid(", {}).decision is cedarpy.Decision.NoDecision
    with pytest.raises(PolicyProblems, match=r"policy\.cedar:1: not a Cedar rule"):
        rules("forbid(", ToolRules("t"))


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
    gate = Gate([rules('@id("f") ' + forbid, tool)])
    assert gate.decide(ask(tool, {"n": 1})).rules == ("f",)
    assert gate.decide(ask(tool, {"n": 2**63})).rules == ("f",)


def test_a_smuggled_approval_or_tenant_is_nothing_but_an_argument(rules: Rules, ask: Ask) -> None:
    text = """
    @id("a") @approval("owner") forbid(principal, action, resource);
    @id("b") forbid(principal, action, resource) unless { resource == Tenant::"acme" };
    """
    tool = ToolRules(
        "t", parameters={"type": "object", "properties": {"approvals": {"type": "array", "items": {"type": "string"}}}}
    )
    gate = Gate([rules(text, tool)])
    smuggled = {"approvals": ["owner"], "tenant": "acme", "context": {"approvals": ["owner"]}}
    assert gate.decide(ask(tool, smuggled)).outcome is Outcome.REQUIRE_APPROVAL
    assert gate.decide(ask(tool, smuggled, tenant="other", approvals=frozenset({"owner"}))).rules == ("b",)


def test_a_tenant_that_is_no_text_denies(rules: Rules, ask: Ask) -> None:
    tool = ToolRules("t")
    assert Gate([rules("", tool)]).decide(ask(tool, {}, tenant="\ud800")).code is Code.POLICY_ERROR


def test_a_request_that_cedar_refuses_denies(rules: Rules, ask: Ask) -> None:
    tool = ToolRules("t")
    ruling = Gate([rules("", tool)]).decide(ask(tool, {}, now=2**63))
    assert (ruling.outcome, ruling.code, ruling.rules) == (Outcome.DENY, Code.POLICY_ERROR, ())
    assert ruling.message == "rules cannot judge this call"
