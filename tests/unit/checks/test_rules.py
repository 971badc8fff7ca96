"""What a check of the rules warns of."""

from collections.abc import Callable
from pathlib import Path

import pytest

from backstay.checks.rules import Findings, linted
from backstay.settings import Settings

TOOLS = '''
from backstay.tools import tool

@tool(exposure={"refunds_usd": lambda amount: amount})
def refund(amount: int) -> str:
    """Refunds."""
    return "refunded"
'''
Lint = Callable[..., Findings]


@pytest.fixture
def lint(tmp_path: Path) -> Lint:
    def checked(toml: str = "", org: str = "", rules: str = "") -> Findings:
        folder, place = tmp_path / "agents" / "clerk", tmp_path / "org"
        folder.mkdir(parents=True)
        place.mkdir()
        (folder / "agent.toml").write_text(f'instructions = "x"\n{toml}')
        (folder / "tools.py").write_text(TOOLS)
        (folder / "policy.cedar").write_text(rules)
        (place / "org.toml").write_text(org)
        return linted(Settings(agents=[folder.parent], policies=[place]), ["clerk"])

    return checked


def test_limits_of_meters_that_nothing_adds_to_are_warned_of(lint: Lint) -> None:
    org = '[exposure.refunds]\nrun = "1"\n[limits.organisation]\nexposure = { vouchers = { day = "1" } }\n'
    found = lint('[exposure.refund_usd]\nrun = "1"\n', org)
    assert found.problems == []
    warned = {one.what: Path(one.where).name for one in found.warnings if "limits nothing" in one.what}
    assert warned == {
        "`exposure.refund_usd` limits nothing": "agent.toml:2",
        "`exposure.refunds` limits nothing": "org.toml",
        "`exposure.vouchers` limits nothing": "org.toml",
    }


def test_limits_of_agents_that_are_not_there_are_warned_of(lint: Lint) -> None:
    found = lint("", "[limits.agents.clerk]\nruns_at_once = 5\n[limits.agents.klerk]\nruns_at_once = 5\n")
    assert found.problems == []
    warned = [one.what for one in found.warnings if one.where == "org.toml"]
    assert warned == ["`limits.agents.klerk` limits nothing"]


def test_a_group_without_people_that_a_limit_asks_is_a_problem(lint: Lint) -> None:
    [problem] = lint('[exposure.refunds_usd]\nrun = "1"\non_exceed = "ask:finance"\n').problems
    assert "asks 1 of the group `finance`, which has 0" in problem.what


RULE = '@id("r") forbid(principal, action == Action::"refund", resource) when {{ {} }};'


def test_a_rule_may_read_the_sum_of_a_meter(lint: Lint) -> None:
    assert lint(rules=RULE.format('context.exposure.refunds_usd.run.greaterThan(decimal("1.0"))')).problems == []


def test_a_rule_may_read_the_sum_of_a_day_that_is_counted(lint: Lint) -> None:
    rule = RULE.format('context.exposure.refunds_usd.day.greaterThan(decimal("1.0"))')
    assert lint("[exposure.refunds_usd]\nday = true\n", rules=rule).problems == []


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ('context.exposure.refund.run.greaterThan(decimal("1.0"))', "no tool of the agent counts a meter `refund`"),
        (
            'context.exposure.refunds_usd.day.greaterThan(decimal("1.0"))',
            "there is no `context.exposure.refunds_usd.day`",
        ),
        ("context.exposure has refund", "no tool of the agent counts a meter `refund`"),
        ("context.exposure.refunds_usd.run > 1", "`.greaterThan(decimal("),
    ],
)
def test_a_rule_that_reads_what_is_not_counted_is_a_problem(lint: Lint, condition: str, told: str) -> None:
    problems = lint(rules=RULE.format(condition)).problems
    assert told in " ".join(f"{one.what} {one.mend}" for one in problems)
