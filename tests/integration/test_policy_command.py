"""`backstay policy` and `backstay show --agent`: no server, no model, no key."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cedarpy
import pytest

from backstay.cli import execute

ROOT = Path(__file__).resolve().parents[2]
TOOLS = '''
from decimal import Decimal
from backstay.tools import tool

@tool(effect="write", timeout="30s", groups=["money"])
def pay(to: str, amount: Decimal) -> str:
    """Pays somebody."""
    return "paid"
'''
TOML = """
[budget]
steps = 7

[approval]
groups = { finance = ["alice@example.com", "bob@example.com"] }
requester_required = true
"""
RULES = """
@id("pay-above-100")
@approval("finance")
@reason("large")
forbid(principal, action == Action::"pay", resource)
when { context.input.amount.greaterThan(decimal("100.0")) };

@id("pay-nobody-unasked")
forbid(principal, action in Action::"group:money", resource)
when { context.run.taint.contains("untrusted") }
unless { context.facts.named_by_user.contains("to") };
"""


@pytest.fixture
def clerk(agent_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an agent with one tool and two rules; the environment names it, and no key."""
    agents = agent_folder(toml=TOML, tools=TOOLS)
    (agents / "clerk" / "policy.cedar").write_text(RULES)
    for name in list(os.environ):
        if name.startswith(("BACKSTAY_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("BACKSTAY_AGENTS", str(agents))
    monkeypatch.setenv("COLUMNS", "400")  # lines stand as they are, whatever another test has set
    return agents / "clerk"


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert execute([*arguments, "-o", "json"]) == code
    return json.loads(capsys.readouterr().out)


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int) -> str:
    capsys.readouterr()
    assert execute([*arguments]) == code
    captured = capsys.readouterr()
    return captured.out + captured.err


def cases(clerk: Path, text: str) -> Path:
    (clerk / "cases.toml").write_text(text)
    return clerk / "cases.toml"


def case(amount: object, expect: str, more: str = "") -> str:
    return f'[[case]]\ntool = "pay"\nargs = {{ to = "ann", amount = {amount} }}\nexpect = "{expect}"\n{more}\n'


def test_exit_codes_of_a_process_that_has_no_key_and_no_server(clerk: Path) -> None:
    cases(clerk, case(100, "allow"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TEMPORAL_ADDRESS": "127.0.0.1:1", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "backstay", "policy"]
    passed = subprocess.run([*command, "test", "clerk"], env=environment, capture_output=True, text=True, check=False)
    assert (passed.returncode, passed.stdout) == (0, "clerk: 1 passed\n")
    unknown = subprocess.run([*command, "show", "nobody"], env=environment, capture_output=True, text=True, check=False)
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "there is no agent `nobody`\n      do: known are `clerk`, `default`" in unknown.stderr


def test_show_prints_every_rule_in_force_and_where_it_is_from(clerk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "policy", "show", "clerk", code=0)
    assert f"// agent: {clerk}/policy.cedar:2\n" in text
    assert 'unless{(context.approvals).contains("finance")}' in "".join(text.split())
    shown = as_json(capsys, "policy", "show", "clerk")
    assert set(shown) == {"agent", "policy_version", "mode", "rules"}
    assert [rule["id"] for rule in shown["rules"]] == sorted(rule["id"] for rule in shown["rules"])
    assert {"listed-tools", "pay-above-100", "org-incident-reads-only"} <= {rule["id"] for rule in shown["rules"]}


def test_schema_is_one_that_cedar_holds_the_agents_rules_against_even_while_they_are_broken(
    clerk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (clerk / "policy.cedar").write_text("forbid(")
    written = json.loads(said(capsys, "policy", "schema", "clerk", code=0))
    assert written[""]["actions"]["pay"]["memberOf"] == [{"id": "effect:write"}, {"id": "group:money"}]
    for name, valid in (("amount", True), ("amont", False)):
        when = f'context.input.{name}.greaterThan(decimal("1.0"))'
        rule = f'forbid(principal, action == Action::"pay", resource) when {{ {when} }};'
        assert cedarpy.validate_policies(rule, json.dumps(written)).validation_passed is valid
    assert "there is no agent `nobody`" in said(capsys, "policy", "schema", "nobody", code=2)


def test_check_finds_all_that_is_wrong_with_its_line(clerk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "0 problems" in said(capsys, "policy", "check", code=0)
    (clerk / "policy.cedar").write_text(RULES.replace("input.amount", "input.amont") + "\nforbid(principal, action);\n")
    (clerk / "agent.toml").write_text('instructions = "x"\n\n[approval]\nrequire = { buy = "finance" }\n')
    found = as_json(capsys, "policy", "check", "clerk", code=1)
    assert set(found) == {"agents", "problems", "warnings"}
    places = {one["where"] for one in found["problems"]}
    assert {f"{clerk}/policy.cedar:2", f"{clerk}/agent.toml:4"} <= places
    assert any("amont" in one["problem"] for one in found["problems"])
    assert any("the agent lists no tool `buy`" in one["problem"] for one in found["problems"])


def test_check_warns_of_a_rule_that_another_spelling_evades(clerk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = 'forbid(principal, action == Action::"pay", resource) when'
    evaded = f'@id("not-eve") {head} {{ context.input.to == "eve" }};\n@id("not-tmp") {head}'
    (clerk / "policy.cedar").write_text(f'{RULES}{evaded} {{ context.input.to like "/tmp/*" }};\n')
    found = as_json(capsys, "policy", "check", "clerk")
    lines = RULES.count("\n")
    assert found["problems"] == []
    assert [(one["where"], one["problem"].split(":")[0], bool(one["mend"])) for one in found["warnings"]] == [
        (f"{clerk}/policy.cedar:{lines + 1}", "`not-eve`", True),
        (f"{clerk}/policy.cedar:{lines + 2}", "`not-tmp`", True),
    ]


ASKS = {
    "a rule": ('[approval]\ngroups = { finance = ["ann"] }\n', RULES),
    "a setting": ('[approval]\nrequire = { pay = "finance" }\ngroups = { finance = ["ann"] }\n', ""),
    "unknown outcomes": ('[approval]\nunknown = "ops"\ngroups = { ops = ["ann"] }\n', ""),
}


@pytest.mark.parametrize(("toml", "rules"), ASKS.values(), ids=ASKS)
def test_check_and_doctor_warn_of_approvals_of_runs_that_nobody_need_have_asked_for(
    clerk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], toml: str, rules: str
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    (clerk / "agent.toml").write_text(f'instructions = "x"\n{toml}')
    (clerk / "policy.cedar").write_text(rules)
    (warning,) = as_json(capsys, "policy", "check")["warnings"]
    assert warning["where"] == f"{clerk}/agent.toml:2"
    assert "need not say who asked" in warning["problem"]
    assert "requester_required = true" in warning["mend"]
    assert "need not say who asked" in said(capsys, "doctor", code=5)
    (clerk / "agent.toml").write_text(f'instructions = "x"\n{toml}requester_required = true\n')
    assert as_json(capsys, "policy", "check")["warnings"] == []
    assert "need not say who asked" not in said(capsys, "doctor", code=5)


def test_check_does_not_warn_of_an_agent_that_asks_nobody(clerk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (clerk / "agent.toml").write_text('instructions = "x"\n')
    (clerk / "policy.cedar").unlink()
    assert as_json(capsys, "policy", "check")["warnings"] == []


def test_check_warns_of_an_org_rule_about_an_action_that_nobody_has(
    clerk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "rules"
    own.mkdir()
    rule = '\n@id("no-wires")\nforbid(principal, action in [Action::"pay", Action::"wyre"], resource);\n'
    (own / "own.cedar").write_text(rule)
    monkeypatch.setenv("BACKSTAY_POLICIES", str(own))
    text = said(capsys, "policy", "check", code=0)
    assert f"warning: {own}/own.cedar:2: no agent has the action `wyre`" in text
    assert text.count("warning") == 1


def test_cases_count_what_passes_and_show_the_first_that_does_not(
    clerk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = 'approvals = ["finance"]\n'
    tainted = 'taint = ["untrusted"]\nrules = ["pay-nobody-unasked"]\n'
    good = [
        case(100, "allow"),
        case(101, "require_approval", 'groups = ["finance"]\nrules = ["pay-above-100"]\n'),
        case(101, "allow", more),
        case(101, "allow", f'{more}requested_by = "alice@example.com"\n'),
        case(5, "deny", tainted),
        case(5, "allow", 'taint = ["untrusted"]\ngoal = "pay Ann 5"\n'),
        case('"much"', "deny", 'code = "invalid_args"\n'),
    ]
    cases(clerk, "".join(good))
    assert said(capsys, "policy", "test", "clerk", code=0) == "clerk: 7 passed\n"
    file = cases(clerk, "".join(good) + case(101, "allow") + case(1, "deny"))
    text = said(capsys, "policy", "test", code=1)
    assert "clerk: 7 passed, 2 failed" in text
    line = file.read_text()[: -len(case(101, "allow") + case(1, "deny"))].count("\n") + 1
    assert f"{file}:{line}: pay(to='ann', amount=101)" in text
    assert "outcome  expected allow, got require_approval" in text
    assert "needs approval by `finance`: `pay-above-100` (large)" in text


def test_a_case_denied_for_a_slip_in_its_own_arguments_does_not_pass(
    clerk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases(clerk, case('"much"', "deny"))
    assert "expected a rule's word, got invalid_args" in said(capsys, "policy", "test", "clerk", code=1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (case(1, "allow") + case(1, "allow", "grups = []"), ":10 cannot be used\n     why: `grups`: unknown field"),
        (case(1, "maybe"), ":4 cannot be used\n     why: `expect`:"),
        ("cases = 1\n", ":1 cannot be used\n     why: `cases`: unknown field"),
        (
            case(1, "allow").replace('"pay"', '"buy"'),
            ":1 cannot be used\n     why: the agent `clerk` lists no tool",
        ),
        (case(1, "allow", 'approvals = ["ops"]'), "why: the approval `ops` takes 1 of `ops`, and 0 may give it"),
        ("[[case]\n", "no valid TOML"),
        ("", "the agent `clerk` has no cases"),
    ],
)
def test_cases_that_cannot_be_used_are_named_with_their_line(
    clerk: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    cases(clerk, text)
    assert message in said(capsys, "policy", "test", "clerk", code=2)


def test_explain_says_why_and_what_would_change_it(clerk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["policy", "explain", "clerk", "pay", "--args", '{"to": "ann", "amount": 200}']
    found = as_json(capsys, *call, "--goal", "pay Ann")
    assert (found["outcome"], found["code"]) == ("require_approval", "needs_approval")
    assert (found["groups"], found["deciding"]) == (["finance"], ["pay-above-100"])
    assert found["facts"] == {"named_by_user": ["to"], "named_weakly": [], "local_addresses": []}
    assert found["changes"] == ["allowed once approved by `finance`"]
    assert as_json(capsys, *call, "--approval", "finance")["outcome"] == "allow"
    tainted = as_json(capsys, *call, "--taint", "untrusted")
    assert (tainted["outcome"], tainted["deciding"]) == ("deny", ["pay-above-100", "pay-nobody-unasked"])
    assert "must not apply" in said(capsys, *call, "--taint", "untrusted", code=0)
    assert "no tool `buy`" in said(capsys, "policy", "explain", "clerk", "buy", code=2)
    assert "no JSON object" in said(capsys, "policy", "explain", "clerk", "pay", "--args", "[1]", code=2)


def test_an_agent_is_shown_with_the_source_of_every_setting(
    clerk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "limits"
    own.mkdir()
    (own / "org.toml").write_text('[budget]\nusd = "0.20"\n')
    monkeypatch.setenv("BACKSTAY_POLICIES", str(own))
    monkeypatch.setenv("BACKSTAY_MODEL", "gpt-5")
    shown = as_json(capsys, "show", "--agent", "clerk")
    assert set(shown) == {"agent", "folder", "agent_version", "policy_version", "settings", "tools"}
    found = {one["key"]: (one["value"], one["source"]) for one in shown["settings"]}
    assert found["budget.steps"] == (7, f"{clerk}/agent.toml:4")
    assert found["budget.usd"] == ("0.20", f"{own}/org.toml:2")
    assert found["budget.tool_calls"] == (40, "default")
    assert found["model.name"] == ("gpt-5", "BACKSTAY_MODEL")
    assert found["approval.groups.security"][1].endswith("policies/org/org.toml:7")
    (tool,) = shown["tools"]
    assert (tool["name"], tool["effect"], tool["timeout_seconds"], tool["groups"]) == ("pay", "write", 30, ["money"])
    assert tool["arguments"]["to"] == "string"
    assert tool["permits"] == ["listed-tools"]
    assert {"id": "pay-above-100", "approval": "finance"} in tool["forbids"]
    assert "pay-above-100 (lifted by finance)" in said(capsys, "show", "-a", "clerk", code=0)
    assert "either a run, or an agent" in said(capsys, "show", code=2)


def test_an_agent_is_shown_in_blocks_on_60_columns(
    clerk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    lines = said(capsys, "show", "--agent", "clerk", code=0).splitlines()
    at = lines.index("budget.tool_calls")
    assert lines[at + 1] == "  value 40 · from default"
    assert any(line.startswith("  effect write · timeout 30 s · permitted by") for line in lines)
    assert not [line for line in lines[2:] if len(line) > 60]
