"""The verdicts over a shop's calls: allowed, denied, or asked about."""

from decimal import Decimal
from typing import Any

import pytest

from backstay.contracts.policy import PolicyCall
from backstay.kernel.verdict import Code, Outcome, Verdict
from policies.bundle.build import AgentPolicy, Bundle, build
from policies.bundle.problem import PolicyProblems
from policies.explain import explained
from policies.judge import judge

from .conftest import Ask, Rules, spec

ALLOW, DENY, APPROVAL = Outcome.ALLOW, Outcome.DENY, Outcome.REQUIRE_APPROVAL


def _refund(ask: Ask, amount: Any, **more: Any) -> PolicyCall:
    return ask("issue_refund", {"order_id": "A17", "amount": amount}, **more)


def _mail(ask: Ask, domains: set[str], **more: Any) -> PolicyCall:
    return ask("send_email", {"to": ["x@y"], "body": "hi"}, facts={"recipient_domains": domains}, **more)


def _short(verdict: Verdict) -> tuple[Outcome, Code, tuple[str, ...], tuple[str, ...]]:
    return verdict.outcome, verdict.code, verdict.rules, verdict.groups


@pytest.mark.parametrize(
    ("amount", "approvals", "expected"),
    [
        (100, (), (ALLOW, Code.PERMITTED, ("listed-tools",), ())),
        ("100.00", (), (ALLOW, Code.PERMITTED, ("listed-tools",), ())),
        (100.01, (), (APPROVAL, Code.NEEDS_APPROVAL, ("refund-over-100",), ("finance",))),
        (100.01, ("finance",), (ALLOW, Code.PERMITTED, ("listed-tools",), ())),
        (100.01, ("owner",), (APPROVAL, Code.NEEDS_APPROVAL, ("refund-over-100",), ("finance",))),
        (1500, (), (APPROVAL, Code.NEEDS_APPROVAL, ("refund-over-100", "refund-over-1000"), ("finance:2",))),
        (1500, ("finance",), (APPROVAL, Code.NEEDS_APPROVAL, ("refund-over-1000",), ("finance:2",))),
        (1500, ("finance:2",), (ALLOW, Code.PERMITTED, ("listed-tools",), ())),
        (1500, ("finance:3",), (ALLOW, Code.PERMITTED, ("listed-tools",), ())),
        (6000, (), (DENY, Code.FORBIDDEN, ("refund-cap", "refund-over-100", "refund-over-1000"), ())),
        (6000, ("finance:2",), (DENY, Code.FORBIDDEN, ("refund-cap",), ())),
        (
            100.01,
            ("", "finance:", "finance:0", "Finance", "finance:1:1", "x" * 9_999),
            (APPROVAL, Code.NEEDS_APPROVAL, ("refund-over-100",), ("finance",)),
        ),
    ],
)
def test_a_refund_is_decided_by_its_amount(shop: Bundle, ask: Ask, amount: Any, approvals: Any, expected: Any) -> None:
    assert _short(judge(shop, _refund(ask, amount, approvals=frozenset(approvals)))) == expected


def test_several_groups_may_be_needed_at_once(shop: Bundle, ask: Ask) -> None:
    verdict = judge(shop, _refund(ask, 200, taint=frozenset({"untrusted"})))
    assert verdict.groups == ("finance", "owner")
    assert verdict.rules == ("org-after-untrusted-content", "refund-over-100")


def test_mail_leaves_only_for_known_domains(shop: Bundle, ask: Ask) -> None:
    assert judge(shop, _mail(ask, {"acme.example"})).outcome is ALLOW
    assert judge(shop, _mail(ask, {"acme.example", "evil.example"})).rules == ("mail-inside-only",)


def test_a_rate_denies_the_call_over_it(shop: Bundle, ask: Ask) -> None:
    counts = {"send_email": 4, "issue_refund": 9}
    assert judge(shop, _mail(ask, {"acme.example"}, tool_calls_60s=counts)).outcome is ALLOW
    assert judge(shop, _mail(ask, {"acme.example"}, tool_calls_60s={"send_email": 5})).rules == ("mail-rate",)


def test_an_incident_leaves_reading_only(shop: Bundle, ask: Ask) -> None:
    assert judge(shop, ask("lookup_order", {"order_id": "A"}, incident=True)).outcome is ALLOW
    assert judge(shop, ask("mcp:files/read-file.v2", {"path": "/"}, incident=True)).outcome is ALLOW
    assert judge(shop, _refund(ask, 1, incident=True)).rules == ("org-incident",)


def test_money_spent_is_seen_by_rules(shop: Bundle, ask: Ask) -> None:
    assert judge(shop, _refund(ask, 1, spent_usd=25_000_000)).outcome is ALLOW
    assert judge(shop, _refund(ask, 1, spent_usd=25_000_001)).rules == ("org-run-cost",)


def test_a_rule_for_one_tenant_leaves_the_others_alone(shop: Bundle, ask: Ask) -> None:
    call = {"order_id": "A", "amount": 1, "note": "for a VIP"}
    assert judge(shop, ask("issue_refund", call)).outcome is ALLOW
    assert judge(shop, ask("issue_refund", call, tenant="test")).outcome is DENY
    assert judge(shop, ask("issue_refund", {**call, "note": None}, tenant="test")).outcome is ALLOW


@pytest.mark.parametrize("tenant", ['"', "\\", 'x" || true', "a\nb\u202e\x00", "", "\U0001f600", 'Tenant::"test"'])
def test_a_tenant_may_have_any_name(shop: Bundle, ask: Ask, rules: Rules, tenant: str) -> None:
    assert judge(shop, _refund(ask, 1, tenant=tenant)).outcome is ALLOW


@pytest.mark.parametrize("agent", ['"', 'a"b\\c', "a\nb", "\U0001f600"])
def test_an_agent_may_have_any_name(rules: Rules, ask: Ask, agent: str) -> None:
    bundle = build(AgentPolicy(agent, [spec("t")]))
    assert judge(bundle, ask(spec("t"), {}, agent=agent)).outcome is ALLOW


@pytest.mark.parametrize(
    "name", ["mcp:files/read_file", "a-b.c", 'q"t', "back\\slash", "tab\there", "ünïcode", "policy0"]
)
def test_a_tool_may_have_any_name(rules: Rules, ask: Ask, name: str) -> None:
    tool = spec(name, groups=("g",))
    text = '@id("lid") @approval("owner") forbid(principal, action in Action::"group:g", resource);'
    bundle = rules(text, tool)
    assert judge(bundle, ask(tool, {})).groups == ("owner",)
    assert judge(bundle, ask(tool, {}, approvals=frozenset({"owner"}))).rules == ("listed-tools",)


def test_without_a_permit_the_answer_is_no(rules: Rules, ask: Ask) -> None:
    tools = (spec("a"), spec("b"))
    text = """
    @id("only-acme") permit(principal, action, resource == Tenant::"acme");
    @id("ask") @approval("owner") forbid(principal, action == Action::"b", resource);
    """
    bundle = rules(text, *tools, permit="explicit")
    assert _short(judge(bundle, ask(tools[0], {}))) == (ALLOW, Code.PERMITTED, ("only-acme",), ())
    assert _short(judge(bundle, ask(tools[0], {}, tenant="x"))) == (DENY, Code.NOT_PERMITTED, (), ())
    assert _short(judge(bundle, ask(tools[1], {}))) == (APPROVAL, Code.NEEDS_APPROVAL, ("ask",), ("owner",))
    nobody_is_asked = judge(bundle, ask(tools[1], {}, tenant="x"))
    assert _short(nobody_is_asked) == (DENY, Code.NOT_PERMITTED, (), ())


def test_an_agent_without_rules_or_tools_may_do_nothing(rules: Rules, ask: Ask) -> None:
    bundle = build(AgentPolicy("support", []))
    assert judge(bundle, ask("lookup_order", {"order_id": "A"})).code is Code.UNKNOWN_TOOL


def test_an_unknown_tool_is_denied(shop: Bundle, ask: Ask) -> None:
    assert judge(shop, ask(spec("Issue_Refund"), {})).code is Code.UNKNOWN_TOOL
    assert judge(shop, ask(spec("effect:read"), {})).code is Code.UNKNOWN_TOOL


def test_a_tool_that_differs_from_the_one_its_rules_were_checked_against_is_denied(shop: Bundle, ask: Ask) -> None:
    assert judge(shop, ask(spec("issue_refund", "read"), {})).code is Code.SCHEMA_DRIFT


def test_arguments_that_do_not_fit_are_denied_without_their_values(shop: Bundle, ask: Ask) -> None:
    verdict = judge(shop, ask("lookup_order", {"order_id": {"secret": 1}}))
    assert verdict.code is Code.INVALID_ARGS
    assert verdict.message == "`input.order_id` does not fit the tool's schema"


def test_the_message_names_rules_and_reasons_and_no_limits(shop: Bundle, ask: Ask) -> None:
    denied = judge(shop, _refund(ask, 6000)).message
    assert denied == (
        "denied by `refund-cap` (refunds end at the cap; split nothing); "
        "`refund-over-100` (large refunds are looked at first); `refund-over-1000`"
    )
    asked = judge(shop, _refund(ask, 150)).message
    assert asked == "needs approval by `finance`: `refund-over-100` (large refunds are looked at first)"
    mail = judge(shop, _mail(ask, {"evil.example"})).message
    assert "acme.example" not in mail


def test_a_description_is_for_people_only(rules: Rules, ask: Ask) -> None:
    tool = spec("t")
    bundle = rules('@id("a") @description("the secret why") forbid(principal, action, resource);', tool)
    assert judge(bundle, ask(tool, {})).message == "denied by `a`"


def test_the_short_way_to_ask_generates_a_rule(rules: Rules, ask: Ask) -> None:
    bundle = rules("", require={"issue_refund": "finance:2"})
    verdict = judge(bundle, _refund(ask, 1))
    assert _short(verdict) == (APPROVAL, Code.NEEDS_APPROVAL, ("approval-issue_refund",), ("finance:2",))
    assert '@id("approval-issue_refund")' in bundle.normalised()


def test_observed_rules_are_recorded_and_not_enforced(rules: Rules, ask: Ask) -> None:
    own = '@id("no-refunds") forbid(principal, action == Action::"issue_refund", resource);'
    over = 'context.input.amount.greaterThan(decimal("9.0"))'
    org = f'@id("org-cap") forbid(principal, action == Action::"issue_refund", resource) when {{ {over} }};'
    bundle = rules(own, org=org, mode="observe", require={"issue_refund": "finance"})
    bundle = bundle
    allowed = judge(bundle, _refund(ask, 1, approvals=frozenset({"finance"})))
    assert _short(allowed) == (ALLOW, Code.PERMITTED, ("listed-tools",), ())
    assert allowed.observed == "deny: no-refunds"
    assert judge(bundle, _refund(ask, 10)).rules == ("approval-issue_refund", "org-cap")
    assert '// observed, not enforced\n@id("no-refunds")' in bundle.normalised()
    assert bundle.version != rules(own, org=org, require={"issue_refund": "finance"}).version


def test_an_observed_permit_permits_nothing(rules: Rules) -> None:
    with pytest.raises(PolicyProblems, match="no rule can ever permit the tool `t`"):
        rules('@id("a") permit(principal, action, resource);', spec("t"), permit="explicit", mode="observe")


def test_org_rules_for_tools_of_other_agents_are_idle_here(shop: Bundle) -> None:
    assert shop.idle == ("org-payroll-is-manual",)
    assert shop.unknown == ("run_payroll",)
    assert "org-payroll-is-manual" not in shop.normalised()


def test_an_org_rule_may_name_groups_that_only_other_agents_have(rules: Rules, ask: Ask) -> None:
    org = """
    @id("org-a") forbid(principal, action in [Action::"lookup_order", Action::"elsewhere"], resource)
    unless { action in Action::"group:elsewhere" };
    @id("org-b") forbid(principal, action, resource) when { context.input has salary && context.input.salary > 5 };
    """
    bundle = rules("", org=org)
    assert bundle.unknown == ("elsewhere", "group:elsewhere")
    assert judge(bundle, ask("lookup_order", {"order_id": "A"})).rules == ("org-a",)


def test_the_version_follows_rules_and_tools_and_not_layout(rules: Rules) -> None:
    rule = '@id("a") forbid(principal, action, resource) when { context.run.step > 5 };'
    tool = spec("t")
    first = rules(rule, tool).version
    assert first.startswith("sha256:")
    assert rules("// a remark\n" + rule.replace(" when", "\n\n  when"), tool).version == first
    assert rules(rule.replace("5", "6"), tool).version != first
    assert rules(rule, spec("t", groups=("g",))).version != first
    assert rules(rule, tool, require={"t": "owner"}).version != first


def test_the_order_of_rules_changes_nothing(rules: Rules, ask: Ask) -> None:
    tool = spec("t")
    texts = [f'@id("r{n}") forbid(principal, action, resource);' for n in range(9)]
    one, other = rules("\n".join(texts), tool), rules("\n".join(reversed(texts)), tool)
    assert one.normalised() == other.normalised()
    expected = tuple(f"r{n}" for n in range(9))
    assert {judge(bundle, ask(tool, {})).rules for bundle in (one, other) for _ in range(5)} == {expected}


def test_an_explanation_says_what_would_change_the_outcome(shop: Bundle, ask: Ask) -> None:
    asked = explained(shop, _refund(ask, Decimal("150.5")))
    assert asked.verdict.groups == ("finance",)
    assert (asked.permits, asked.forbids, asked.permitted) == (("listed-tools",), ("refund-over-100",), True)
    assert asked.liftable == {"refund-over-100": "finance"}
    assert asked.context["input"]["amount"] == {"__extn": {"fn": "decimal", "arg": "150.5000"}}
    assert asked.changes == ("allowed once approved by `finance`",)
    assert explained(shop, _refund(ask, 1)).changes == ()
    assert explained(shop, _refund(ask, 6000)).changes == ("`refund-cap` must not apply; no approval lifts it",)
    assert explained(shop, ask("issue_refund", {"order_id": "A"})).changes == (
        "`input.amount` does not fit the tool's schema: no rule was asked",
    )
    lost = explained(shop, _refund(ask, "1e3"))
    assert lost.left_out == ("input.amount",)
    assert lost.changes[0] == "`input.amount` must be a value that rule `refund-cap` can weigh"


def test_an_explanation_shows_a_permit_missing_behind_a_forbid(rules: Rules, ask: Ask) -> None:
    tool = spec("t")
    text = """
    @id("p") permit(principal, action, resource) when { context.run.step > 3 };
    @id("f") @approval("owner") forbid(principal, action, resource);
    """
    found = explained(rules(text, tool, permit="explicit"), ask(tool, {}))
    assert (found.permitted, found.forbids) == (False, ("f",))
    assert found.changes == ("a rule must permit it",)
