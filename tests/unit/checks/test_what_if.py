"""A what-if is judged by the check that a run's calls pass, and by no other."""

import datetime
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.authorize import Authorize
from activities.conversation import Conversations
from activities.review import Reviewer
from backstay.adapters.agent.catalog import Catalog
from backstay.adapters.agent.folder import Agent, load_agent
from backstay.adapters.agent.organisation import load_organisation
from backstay.app.application import policy_folders
from backstay.app.rules import gate_of, put_in_force
from backstay.checks.what_if import WhatIf, judged
from backstay.contracts.decision import DecideInput, Decision, ProposedCall
from backstay.contracts.history import RunRef
from backstay.contracts.policy import AuthorizeInput, Consent, RunFacts
from backstay.errors import ConfigurationError
from backstay.kernel.verdict import Code, Verdict
from backstay.ports import Tool
from backstay.settings import Settings
from policies.gate import Gate
from tests.unit.activities.fakes import FakeHistory, opening

TOOLS = '''
from datetime import date
from decimal import Decimal
from backstay.tools import tool

def country(to: str) -> str:
    if to == "nowhere":
        raise RuntimeError("no such place: " + to)
    return "DE"

@tool(effect="write", groups=["payments"], facts={"country": ("String", country)})
def pay(to: str, amount: Decimal, on: date | None = None) -> str:
    """Pays somebody."""
    raise AssertionError("a what-if executes nothing")
'''
TOML = """
[approval]
groups = { finance = ["alice", "bob"], owner = ["olga"] }
"""
RULES = """
@id("above-100") @approval("finance") @reason("large") forbid(principal, action == Action::"pay", resource)
when { context.input.amount.greaterThan(decimal("100.0")) };
@id("above-500") @approval("finance:2") forbid(principal, action == Action::"pay", resource)
when { context.input.amount.greaterThan(decimal("500.0")) };
@id("cap") forbid(principal, action == Action::"pay", resource)
when { context.input.amount.greaterThan(decimal("5000.0")) };
@id("unnamed") @approval("owner") forbid(principal, action == Action::"pay", resource)
when { context.run.taint.contains("untrusted") } unless { context.facts.named_by_user.contains("to") };
@id("rate") forbid(principal, action == Action::"pay", resource) when { context.run.tool_calls_60s >= 3 };
@id("abroad") forbid(principal, action == Action::"pay", resource) unless { context.facts.country == "DE" };
@id("tenant") forbid(principal, action, resource == Tenant::"closed");
"""


@dataclass(frozen=True)
class OneAgent:
    """The tools of one agent, for a run's own check."""

    agent: Agent

    def serves(self, agent: str) -> bool:
        return agent == self.agent.name

    def tool(self, agent: str, name: str, version: str = "") -> Tool | None:
        return self.agent.tools.get(name) if agent == self.agent.name else None


@pytest.fixture
def clerk(agent_folder: Callable[..., Path]) -> Path:
    """The folder of an agent that pays."""
    folder = agent_folder(toml=TOML, tools=TOOLS) / "clerk"
    (folder / "policy.cedar").write_text(RULES)
    return folder


def in_force(folder: Path, extra: str = "") -> tuple[Gate, Agent]:
    (folder / "policy.cedar").write_text(RULES + extra)
    agent = load_agent(folder)
    return gate_of([agent], load_organisation(policy_folders(Settings()))), agent


async def of_a_run(gate: Gate, agent: Agent, what_if: WhatIf, arguments: str, people: list[str]) -> Verdict:
    """The verdict that `authorize` gives a run over the same call."""
    given = AuthorizeInput(
        run_id="run",
        run_key="key",
        agent=agent.name,
        tenant=what_if.tenant,
        requested_by=what_if.requested_by,
        goal=what_if.goal,
        facts=RunFacts(
            step=what_if.step,
            spent_usd=what_if.spent_usd,
            tool_calls=what_if.tool_calls,
            tool_calls_60s={what_if.tool: what_if.tool_calls_60s},
            taint=list(what_if.taint),
        ),
        now=1_760_000_000,
        calls=[ProposedCall(call_id="1-0", tool=what_if.tool, arguments=arguments)],
        consents={"1-0": Consent(approved_by=people)},
        tools={name: tool.spec.digest for name, tool in agent.tools.items()},
    )
    worker = ActivityEnvironment()
    run = RunRef(worker.info.workflow_id or "", worker.info.workflow_run_id or "")
    history = FakeHistory({run: opening(*(tool.spec for tool in agent.tools.values()), goal=what_if.goal)})
    for step in range(1, what_if.step + 1):
        history.inputs[step] = DecideInput(step=step, run_key="key", max_output_tokens=50, attempts=2)
        history.decisions[step] = Decision(calls=given.calls)
    authorize = Authorize(Conversations(history, 0), Reviewer(OneAgent(agent), gate))
    worker.info = replace(worker.info, is_local=True)
    (verdict,) = (await worker.run(authorize.authorize, given)).verdicts
    return verdict


def call(amount: Any, to: str = "ann", **more: Any) -> WhatIf:
    return WhatIf("pay", {"to": to, "amount": amount}, now=1_760_000_000, **more)


@pytest.mark.parametrize(
    ("what_if", "people", "code"),
    [
        (call(100), [], "permitted"),
        (call("100.01"), [], "needs_approval"),
        (call(200, approvals=["finance"]), ["alice"], "permitted"),
        (call(200, approvals=["finance"], requested_by="alice"), ["bob"], "permitted"),
        (call(600), [], "needs_approval"),
        (call(600, approvals=["finance:2"]), ["alice", "bob"], "permitted"),
        (call(6000), [], "forbidden"),
        (call(5, taint=["untrusted"]), [], "needs_approval"),
        (call(5, taint=["untrusted"], goal="pay Ann 5"), [], "permitted"),
        (call(600, taint=["untrusted"], approvals=["finance:2", "owner"]), ["olga", "bob", "alice"], "permitted"),
        (call(5, tool_calls_60s=3), [], "forbidden"),
        (call(5, tenant="closed"), [], "forbidden"),
        (call(5, to="nowhere"), [], "policy_error"),
        (call("much"), [], "invalid_args"),
        (call(1e300), [], "policy_error"),
        (call(float("nan")), [], "invalid_args"),
        (call(2**60), [], "policy_error"),
        (call(2**64), [], "invalid_args"),
        (call(5, to="half \ud800"), [], "invalid_args"),
        (WhatIf("pay", {"to": "ann"}), [], "invalid_args"),
        (WhatIf("pay", {"to": "ann", "amount": 5, "approvals": ["finance"]}), [], "invalid_args"),
    ],
)
async def test_a_what_if_and_a_run_come_to_the_same_verdict(
    clerk: Path, what_if: WhatIf, people: list[str], code: str
) -> None:
    gate, agent = in_force(clerk)
    found = judged(gate, agent, what_if).verdict
    run = await of_a_run(gate, agent, what_if, json.dumps(what_if.args, ensure_ascii=False), people)
    assert found.code.value == code
    assert replace(found, digest="") == replace(run, digest="")
    assert found.policy_version == gate.version("clerk")


def test_supposed_approvals_lift_rules_even_where_they_do_not_release_the_call(clerk: Path) -> None:
    gate, agent = in_force(clerk)
    assert judged(gate, agent, call(6000)).verdict.rules == ("above-100", "above-500", "cap")
    assert judged(gate, agent, call(6000, approvals=["finance:2"])).verdict.rules == ("cap",)


def test_a_what_if_may_suppose_an_incident(clerk: Path) -> None:
    gate, agent = in_force(clerk)
    assert judged(gate, agent, call(5, incident=True)).verdict.rules == ("org-incident-reads-only",)


def test_the_explanation_is_of_the_verdict_and_shows_what_rules_saw(clerk: Path) -> None:
    found = judged(*in_force(clerk), call(600, approvals=["finance"], goal="pay Ann"))
    assert (found.verdict.rules, found.verdict.groups) == (("above-500",), ("finance:2",))
    assert found.explanation.context["approvals"] == ["finance"]
    assert found.facts == {"country": "DE", "named_by_user": ["to"], "named_weakly": [], "local_addresses": []}
    assert found.explanation.changes == ("allowed once approved by `finance:2`",)


def test_a_fact_that_fails_is_named_to_the_author_of_the_tool_and_not_in_the_verdict(clerk: Path) -> None:
    found = judged(*in_force(clerk), call(5, to="nowhere"))
    assert found.verdict.message == "policy failed: RuntimeError"
    assert found.explanation.errors == ("RuntimeError: no such place: nowhere",)
    assert found.explanation.changes == ("policy failed: RuntimeError: no rule was asked",)


def test_a_date_is_no_json(clerk: Path) -> None:
    found = judged(*in_force(clerk), WhatIf("pay", {"to": "ann", "amount": 5, "on": datetime.date(2030, 1, 1)}))
    assert (found.verdict.code, found.facts) == (Code.INVALID_ARGS, {})
    assert "write it as text" in found.verdict.message


@pytest.mark.parametrize(
    ("what_if", "why"),
    [
        (WhatIf("buy", {}), "lists no tool `buy`"),
        (call(5, approvals=["finance:3"]), "takes 3 of `finance`, and 2 may give it"),
        (call(5, approvals=["finance:2"], requested_by=" Alice"), "takes 2 of `finance`, and 1 may give it"),
        (call(5, approvals=["nobody"]), "takes 1 of `nobody`, and 0 may give it"),
    ],
)
def test_what_could_never_be_is_no_what_if(clerk: Path, what_if: WhatIf, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        judged(*in_force(clerk), what_if)


@pytest.mark.parametrize("spec", ["finance:0", "finance:", "finance:x", "finance:100", ":2", "finance:2:2", "fin ance"])
def test_a_spec_that_cannot_be_read_is_refused_wherever_it_is_written(clerk: Path, spec: str) -> None:
    gate, agent = in_force(clerk)
    org = load_organisation(policy_folders(Settings()))
    with pytest.raises(ConfigurationError, match="names no approval"):
        judged(gate, agent, call(5, approvals=[spec]))
    with pytest.raises(ConfigurationError, match="names no group"):
        in_force(clerk, f'@id("more") @approval("{spec}") forbid(principal, action, resource);')
    (clerk / "policy.cedar").write_text(RULES)
    (clerk / "agent.toml").write_text(f'instructions = "x"\n{TOML}require = {{ pay = "{spec}" }}\n')
    with pytest.raises(ConfigurationError, match="names no group"):
        put_in_force(gate, load_agent(clerk), org)
    (clerk / "agent.toml").write_text(f'instructions = "x"\n{TOML}unknown = "{spec}"\n')
    with pytest.raises(ConfigurationError, match="names no group"):
        Catalog({"clerk": load_agent(clerk)}, Settings.model_validate({"openai_api_key": "none"}), org)
