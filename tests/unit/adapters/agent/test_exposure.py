"""The limits of an agent's meters: its own and the organisation's hold both, and misspelt ones are named."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from backstay.adapters.agent.exposure import check_exposure, counted_of, exposure_of, unfed
from backstay.adapters.agent.folder import Agent, load_agent
from backstay.adapters.agent.organisation import Organisation, load_organisation
from backstay.contracts.exposure import ExposureLimits
from backstay.errors import ConfigurationError
from backstay.kernel.ledger_period import Period

TOOLS = '''
from backstay.tools import tool

@tool(exposure={"refunds_usd": lambda amount: amount})
def refund(amount: int) -> str:
    """Refunds."""
    return "refunded"

@tool(exposure={"refunds_usd": lambda amount: amount, "vouchers": lambda: 1})
def voucher(amount: int) -> str:
    """Sends a voucher."""
    return "sent"
'''
TOML = """instructions = "x"

[approval]
groups = { finance = ["ann", "bob"] }

[exposure.refunds_usd]
run = "500"
day = "5000"
month = true
on_exceed = "ask:finance"
"""
Load = Callable[..., tuple[Agent, Organisation]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def loaded(toml: str = "", *orgs: str) -> tuple[Agent, Organisation]:
        folder = tmp_path / "clerk"
        folder.mkdir()
        (folder / "agent.toml").write_text(TOML + toml)
        (folder / "tools.py").write_text(TOOLS)
        places = [tmp_path / f"org-{number}" for number, _ in enumerate(orgs)]
        for place, text in zip(places, orgs, strict=True):
            place.mkdir()
            (place / "org.toml").write_text(text)
        return load_agent(folder), load_organisation(places)

    return loaded


def test_every_meter_that_a_tool_adds_to_is_counted_with_its_limits_and_the_people_who_are_asked(load: Load) -> None:
    org = '[groups]\nboard = ["ben"]\n[exposure.refunds_usd]\nrun = "600"\non_exceed = "ask:board"\n'
    found = exposure_of(*load("", org, '[exposure.refunds_usd]\nmonth = "9"\n'), "acme")
    assert list(found) == ["refunds_usd", "vouchers"]
    refunds = found["refunds_usd"]
    own = ExposureLimits(run="500", day="5000", month=True, on_exceed="ask:finance")
    assert refunds.levels == [ExposureLimits(run="600", on_exceed="ask:board"), ExposureLimits(month="9"), own]
    assert refunds.members == {"board": ["ben"], "finance": ["ann", "bob"]}
    assert [bound.group for bound in refunds.bounds()] == ["board", "finance"]
    assert found["vouchers"].levels == []
    assert (refunds.counted, found["vouchers"].counted) == ([Period.DAY, Period.MONTH], [])


def test_a_meter_is_counted_over_many_runs_where_any_level_sets_a_period(load: Load) -> None:
    agent, org = load(
        "",
        '[limits.tenants.acme]\nexposure = { vouchers = { month = true, day = "5" } }\n'
        '[limits.agents.clerk]\nexposure = { vouchers = { day = "9" } }\n',
    )
    assert exposure_of(agent, org, "acme")["vouchers"].counted == [Period.DAY, Period.MONTH]
    assert exposure_of(agent, org, "other")["vouchers"].counted == [Period.DAY]
    assert counted_of(agent, org) == {
        "refunds_usd": {Period.DAY: True, Period.MONTH: True},
        "vouchers": {Period.DAY: True, Period.MONTH: False},
    }


@pytest.mark.parametrize(
    ("on_exceed", "told"),
    [
        ("ask:nobody", "asks 1 of the group `nobody`, which has 0"),
        ("ask:finance:3", "asks 3 of the group `finance`, which has 2"),
    ],
)
def test_people_who_are_not_there_cannot_be_asked(load: Load, on_exceed: str, told: str) -> None:
    agent, org = load(f'[exposure.vouchers]\nrun = "1"\non_exceed = "{on_exceed}"\n')
    with pytest.raises(ConfigurationError, match=told) as refused:
        check_exposure(agent, org)
    assert refused.value.where == str(agent.folder / "agent.toml")


def test_the_organisation_asks_people_who_are_there_or_a_vacant_group_that_lets_nothing_through(load: Load) -> None:
    asks = '[exposure.vouchers]\nrun = "1"\non_exceed = "ask:owners"\n'
    with pytest.raises(ConfigurationError, match=r"exposure\.vouchers\.on_exceed.*`owners`"):
        load("", asks)


def test_a_vacant_group_lets_nothing_through(load: Load) -> None:
    org = 'vacant = ["owners"]\n[exposure.vouchers]\nrun = "1"\non_exceed = "ask:owners"\n'
    found = exposure_of(*load("", org), "acme")
    assert [bound.group for bound in found["vouchers"].bounds()] == [None]


def test_a_limit_of_a_meter_that_no_tool_adds_to_is_named(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    agent, org = load('[exposure.refund_usd]\nrun = "1"\n')
    assert unfed(agent) == ["refund_usd"]
    with caplog.at_level(logging.WARNING, "backstay.agents"):
        check_exposure(agent, org)
    assert "`exposure.refund_usd` limits nothing: no tool of the agent adds to it" in caplog.text


@pytest.mark.parametrize("name", ['"refunds usd"', '"1st"', '""'])
def test_a_meter_has_a_name_that_rules_can_write(load: Load, name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"exposure\."):
        load(f'[exposure.{name}]\nrun = "1"\n')
