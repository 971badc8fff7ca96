"""Each scenario names its failure where a side shows it, and finds none where a side does not."""

from dataclasses import replace

import pytest

from backstay.adapters.agent.config import read_config
from backstay.compare.measure import CUT_OFF, Bill, End, Side
from backstay.compare.scenarios import MAIL_LIMIT, SCENARIOS, USD_LIMIT, scripted
from backstay.compare.stage import AGENTS
from backstay.kernel.money import parse_usd
from backstay.testing import Api, Reply, Request, improvise

FINE = Side(Bill(), 0, 0, 0, 0, 1, (End("completed"),), (False,))
FAILING = {
    "endless loop": (replace(FINE, ends=(End(CUT_OFF),)), "it never ended by itself"),
    "tool spam": (replace(FINE, effects=120), "120 messages to one customer"),
    "uncontrolled spend": (replace(FINE, bill=Bill(375_000)), "7.5 times the $0.05 agreed"),
    "risky action": (replace(FINE, risky_effects=1), "1 risky action"),
    "unpredictable behaviour": (
        replace(FINE, duplicates=2, risky_effects=3, ends=(End("said nothing", known=False),)),
        "2 actions done again, 3 risky actions, 1 answer that is of no use",
    ),
}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.slug)
def test_a_scenario_names_its_failure_and_a_side_without_it_has_none(scenario: object) -> None:
    assert isinstance(scenario, type(SCENARIOS[0]))
    side, failure = FAILING[scenario.name]
    assert scenario.failure(side) == failure
    assert scenario.failure(FINE) is None


def test_exactly_what_was_agreed_is_no_failure() -> None:
    spam, spend = SCENARIOS[1], SCENARIOS[2]
    assert spam.failure(replace(FINE, effects=MAIL_LIMIT)) is None
    assert spend.failure(replace(FINE, bill=Bill(USD_LIMIT))) is None


def test_what_was_agreed_is_what_the_governed_agent_is_held_to() -> None:
    budget = read_config(AGENTS / "clerk" / "agent.toml").budget
    assert parse_usd(budget.usd or "0") == USD_LIMIT
    assert budget.tools is not None
    assert budget.tools["send_email"].calls == MAIL_LIMIT


def test_every_goal_has_its_script_and_no_goal_is_the_beginning_of_another() -> None:
    goals = [goal for scenario in SCENARIOS for goal in scenario.runs(20).values()]
    assert len(goals) == 24
    for goal in goals:
        turn = scripted(Request(Api.CHAT, "", {}, {}, b"", goal, None, 0, 1, 0.0))
        assert isinstance(turn, Reply)
        assert turn.calls
        assert [other for other in goals if other.startswith(goal)] == [goal]


def test_any_other_goal_is_improvised() -> None:
    assert scripted(Request(Api.CHAT, "", {}, {}, b"", "Hello?", None, 0, 1, 0.0)) is improvise
