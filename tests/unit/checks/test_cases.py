"""Cases about meters: what was counted before, within the run and in all runs of the tenant."""

from collections.abc import Callable
from pathlib import Path

import pytest

from backstay.adapters.agent.folder import load_agent
from backstay.adapters.agent.organisation import load_organisation
from backstay.app.application import policy_folders
from backstay.app.rules import gate_of
from backstay.checks.cases import check_cases, read_cases
from backstay.settings import Settings

TOOLS = '''
from decimal import Decimal
from backstay.tools import tool

@tool(effect="write", exposure={"refunds_usd": lambda amount: amount})
def refund(amount: Decimal) -> str:
    """Refunds."""
    return "refunded"
'''
DAY = """
@id("day") forbid(principal, action == Action::"refund", resource)
when { context.exposure.refunds_usd.day.greaterThan(decimal("100.0")) };
"""


@pytest.mark.parametrize(
    ("exposure", "expect"),
    [
        ('{ refunds_usd = { day = "51" } }', "allow"),
        ('{ refunds_usd = { day = "51.01" } }', "deny"),
        ('{ refunds_usd = { run = "60", day = "51" } }', "allow"),
        ('{ refunds_usd = "51" }', "allow"),
        ('{ refunds_usd = "51.01" }', "deny"),
        ("{}", "allow"),
    ],
)
def test_a_case_says_what_was_counted_before_by_period_and_a_text_alone_is_the_least_of_all(
    agent_folder: Callable[..., Path], exposure: str, expect: str
) -> None:
    folder = agent_folder("clerk", "[exposure.refunds_usd]\nday = true\n", TOOLS) / "clerk"
    (folder / "policy.cedar").write_text(DAY)
    case = f'[[case]]\ntool = "refund"\nargs = {{ amount = 49 }}\nexposure = {exposure}\nexpect = "{expect}"\n'
    (folder / "cases.toml").write_text(case)
    agent = load_agent(folder)
    gate = gate_of([agent], load_organisation(policy_folders(Settings())))
    [checked] = check_cases(gate, agent, read_cases(agent))
    assert checked.differences == ()
