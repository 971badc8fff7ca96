"""The tool `delegate` as a model, rules and a worker see it."""

from decimal import Decimal
from typing import Any, cast

import pytest

from backstay.adapters.tool.function import Tool, tool_of
from backstay.contracts.delegate import ChildBudget
from backstay.errors import ToolError
from backstay.tools.ready.delegate import UNBOUNDED, delegate, usd_of


@pytest.fixture
def made() -> Tool:
    return tool_of("delegate", delegate({"research": "Fetches pages,\nreads them.", "clerk": ""}))


def test_its_call_is_an_effect_that_happens_once(made: Tool) -> None:
    assert (made.spec.name, made.spec.effect, made.spec.roles.texts) == ("delegate", "once", ("goal",))
    assert made.spec.facts == {"agent": "String", "usd": "decimal"}


def test_it_takes_agent_goal_and_perhaps_a_budget(made: Tool) -> None:
    schema = cast("dict[str, Any]", made.spec.parameters)
    assert (list(schema["properties"]), schema["required"]) == (["agent", "goal", "budget"], ["agent", "goal"])
    given = {"agent": "research", "goal": "look", "budget": {"usd": "0.10", "steps": 3}}
    assert made.typed(given) == {**given, "budget": ChildBudget(usd="0.10", steps=3)}


@pytest.mark.parametrize(
    "given",
    [
        {"agent": "mallory", "goal": "x"},
        {"agent": "clerk", "goal": ""},
        {"agent": "clerk", "goal": "x", "budget": {"usd": 0.1}},
        {"agent": "clerk", "goal": "x", "budget": {"model_calls": 1}},
    ],
)
def test_other_agents_and_other_budgets_do_not_fit(made: Tool, given: dict[str, Any]) -> None:
    assert isinstance(made.typed(given), list)


def test_the_model_is_told_what_each_agent_is_for(made: Tool) -> None:
    lines = made.spec.description.splitlines()
    assert lines[-2:] == ["- research: Fetches pages, reads them.", "- clerk"]


def test_many_agents_do_not_make_a_description_that_servers_refuse() -> None:
    many = tool_of("delegate", delegate({f"agent-{n}": "what it does " * 20 for n in range(50)}))
    assert len(many.spec.description) <= 1_000


@pytest.mark.parametrize(
    ("budget", "usd"),
    [
        (None, UNBOUNDED),
        (ChildBudget(steps=1), UNBOUNDED),
        (ChildBudget(usd="0.10"), Decimal("0.1000")),
        (ChildBudget(usd="0.000001"), Decimal("0.0001")),
    ],
)
def test_rules_read_the_sum_that_is_asked_for_and_the_largest_where_none_is(
    budget: ChildBudget | None, usd: Decimal
) -> None:
    assert usd_of(budget) == usd


async def test_no_worker_executes_it(made: Tool) -> None:
    with pytest.raises(ToolError):
        await made.function(agent="clerk", goal="x")
