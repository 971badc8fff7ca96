"""Rules that read where values come from: always there, and free where nobody reads it."""

import json
from dataclasses import replace

import pytest

from backstay.contracts.policy import PolicyCall, RunFacts
from backstay.kernel.origins import Origins
from backstay.kernel.registers import register_of
from backstay.kernel.sourcing import Sourcing
from backstay.kernel.verdict import Code, Outcome
from policies.bundle.build import AgentPolicy, Bundle, build
from policies.bundle.problem import PolicyProblems
from policies.bundle.source import RuleFile
from policies.gate import Gate
from policies.judge import judge

from .conftest import GROUPS, TOOLS

READS = """@id("named") forbid(principal, action == Action::"send_email", resource)
unless { context.sources.to.contains("user") && context.targets.containsAny(["none", "trusted"]) };"""
CALL = PolicyCall(
    agent="shop",
    tenant="acme",
    tool=TOOLS["send_email"],
    arguments={"to": ["ann@acme.com"], "body": "hello"},
    facts={"recipient_domains": [], "named_by_user": [], "named_weakly": [], "local_addresses": []},
    run=RunFacts(step=1, spent_usd=0, tool_calls=0),
    now=1,
    digest="sha256:call",
)


def bundle(rules: str = READS, org: str = "", sourcing: Sourcing | None = None) -> Bundle:
    own = RuleFile("policy.cedar", rules) if rules else None
    known = sourcing or Sourcing()
    policy = AgentPolicy("shop", list(TOOLS.values()), own, groups=GROUPS, sourcing=known)
    return build(policy, [RuleFile("org.cedar", org)] if org else [])


def outcome(origins: Origins | None, rules: str = READS) -> Outcome:
    return judge(bundle(rules), replace(CALL, origins=origins)).outcome


def test_a_rule_reads_the_sources_of_arguments_and_of_roles() -> None:
    assert outcome(Origins({"to": ("user",)}, targets=("trusted", "user"))) is Outcome.ALLOW
    assert outcome(Origins({"to": ("user",)}, targets=("user",))) is Outcome.DENY
    assert outcome(Origins({"to": ("model",)}, targets=("trusted",))) is Outcome.DENY


@pytest.mark.parametrize(
    "part", ["sources.to", "sources.body", "targets", "items", "texts", "carries", "parts", "accepted"]
)
def test_each_part_is_always_there_and_says_nothing_where_nobody_asked(part: str) -> None:
    rule = (
        f'@id("x") forbid(principal, action == Action::"send_email", resource) unless {{ context.{part}.isEmpty() }};'
    )
    assert outcome(None, rule) is Outcome.ALLOW


def test_an_argument_that_is_left_out_is_none() -> None:
    rule = READS.replace('contains("user")', 'contains("none")')
    assert outcome(Origins({}, targets=("none",)), rule) is Outcome.ALLOW


@pytest.mark.parametrize("value", ["list", "text"])
def test_objects_have_no_sources_and_all_other_arguments_have(value: str) -> None:
    named = {"list": ("send_email", "to"), "text": ("issue_refund", "note")}[value]
    bundle(
        f'@id("x") forbid(principal, action == Action::"{named[0]}", resource)'
        f' when {{ context.sources.{named[1]}.contains("model") }};'
    )
    with pytest.raises(PolicyProblems, match=r"there is no `context\.sources\.extra`"):
        bundle(
            '@id("x") forbid(principal, action == Action::"issue_refund", resource)'
            ' when { context.sources.extra.contains("model") };'
        )


def test_a_rule_of_the_organisation_may_ask_for_an_argument_that_other_agents_have() -> None:
    org = (
        '@id("o") forbid(principal, action in Action::"group:external", resource) when'
        ' { context.sources has payee && context.sources.payee.contains("model") };'
    )
    assert judge(bundle("", org), CALL).outcome is Outcome.ALLOW


class TestCost:
    """Nobody pays for what no rule reads."""

    def test_a_gate_knows_whether_a_rule_reads_where_values_come_from(self) -> None:
        staff = Sourcing((register_of("staff", ["@acme.com"], org=True),))
        gate = Gate()
        assert gate.sourcing("shop") is None
        gate.put(bundle("", sourcing=staff), GROUPS)
        assert gate.sourcing("shop") is None
        gate.put(bundle(sourcing=staff), GROUPS)
        assert gate.sourcing("shop") == staff

    def test_what_no_rule_reads_is_not_put_to_cedar(self) -> None:
        lean = bundle("")
        assert not lean.reads_origins
        assert "sources" not in lean.schema.tools["send_email"].context.attributes
        assert "sources" in json.dumps(json.loads(lean.schema.text))
        assert judge(lean, replace(CALL, origins=Origins())).code is Code.PERMITTED


class TestVersion:
    """A register is part of the rules."""

    def test_another_value_in_a_register_is_another_version(self) -> None:
        one, two = (Sourcing((register_of("staff", [domain], org=True),)) for domain in ("@acme.com", "@acme.org"))
        versions = [bundle().version, bundle(sourcing=one).version, bundle(sourcing=two).version]
        assert len(set(versions)) == 3
        assert bundle(sourcing=one).version == versions[1]

    def test_so_is_another_source_that_the_agent_accepts(self) -> None:
        doors = [Sourcing((), {"send_email": {"to": frozenset(words)}}) for words in (["document"], ["tool:x.y"])]
        assert len({bundle(sourcing=one).version for one in doors}) == 2
