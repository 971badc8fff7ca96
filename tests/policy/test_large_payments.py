"""The rule about large amounts, which is shipped as a comment: as it stands there and on its page, it works."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backstay.contracts.policy import PolicyCall, RunFacts
from backstay.kernel.origins import Origins
from backstay.kernel.verdict import Outcome
from policies.bundle.build import AgentPolicy, Bundle, build
from policies.bundle.problem import PolicyProblems
from policies.bundle.source import RuleFile
from policies.judge import judge

from .conftest import DECIMAL, spec

ROOT = Path(__file__).resolve().parents[2]
GROUPS = {"security": ["sue@shop.example"]}
PAY = spec("pay", "once", ("payments",))


def shipped() -> str:
    """The comment of the shipped rules, without its slashes."""
    text = (ROOT / "policies" / "org" / "origins.cedar").read_text("utf-8")
    found = re.search(r'^// @id\("org-large-payments"\)\n(?://.*\n)+', text, re.MULTILINE)
    assert found
    return re.sub(r"^// ", "", found[0], flags=re.MULTILINE)


def documented() -> str:
    """The block of the page that tells how to turn it on."""
    page = (ROOT / "docs" / "how-to" / "follow-values.md").read_text("utf-8")
    found = re.search(r"^// policies/large-payments\.cedar\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def bundle(amount: dict[str, Any] | None, rule: str) -> Bundle:
    parameters = {"type": "object", "properties": {"amount": amount} if amount else {}}
    tool = PAY.model_copy(update={"parameters": parameters})
    return build(AgentPolicy("office", [tool], groups=GROUPS), [RuleFile("org.cedar", rule)])


def outcome(rules: Bundle, amount: object, *sources: str) -> Outcome:
    call = PolicyCall(
        agent="office",
        tenant="acme",
        tool=rules.tools["pay"],
        arguments={} if amount is None else {"amount": amount},
        facts={"named_by_user": [], "named_weakly": [], "local_addresses": []},
        run=RunFacts(step=1, spent_usd=0, tool_calls=0),
        now=1,
        digest="",
    )
    return judge(rules, replace(call, origins=Origins({"amount": sources} if sources else {}))).outcome


def test_the_page_shows_the_rule_that_is_shipped() -> None:
    assert documented() == shipped()


@pytest.mark.parametrize("amount", [{"type": "number"}, DECIMAL, {"anyOf": [{"type": "number"}, {"type": "null"}]}])
def test_a_large_amount_that_the_user_did_not_name_needs_approval(amount: dict[str, Any]) -> None:
    rules = bundle(amount, shipped())
    assert outcome(rules, 500.01, "model") is Outcome.REQUIRE_APPROVAL
    assert outcome(rules, 500.01, "tool:pay.total") is Outcome.REQUIRE_APPROVAL
    assert outcome(rules, 500.01, "trusted", "user") is Outcome.ALLOW
    assert outcome(rules, 500, "model") is Outcome.ALLOW


def test_a_tool_without_such_an_argument_is_none_of_its_business() -> None:
    assert outcome(bundle(None, shipped()), None) is Outcome.ALLOW


def test_an_amount_of_another_type_is_an_error_which_is_why_it_is_not_on() -> None:
    with pytest.raises(PolicyProblems, match="`org-large-payments`: a Long stands where a decimal must"):
        bundle({"type": "integer"}, shipped())
    with pytest.raises(PolicyProblems, match="`org-large-payments`: a String stands where a decimal must"):
        bundle({"type": "string"}, shipped())


def test_whole_numbers_are_compared_as_the_page_says() -> None:
    rule = shipped().replace('context.input.amount.greaterThan(decimal("500.0"))', "context.input.amount > 500")
    assert outcome(bundle({"type": "integer"}, rule), 501, "model") is Outcome.REQUIRE_APPROVAL
