"""What is typed after `backstay run`, as a request."""

import pytest
import typer

from backstay.cli.shell.request import read_budget, read_metadata, read_request
from backstay.errors import InvalidInputError


def test_a_budget_is_read_with_the_limits_of_tools() -> None:
    assert read_budget("usd=0.10, steps=5,tools.send_email.calls=1,tools.mcp:files/read.me.per_minute=2,") == {
        "usd": "0.10",
        "steps": 5,
        "tools": {"send_email": {"calls": 1}, "mcp:files/read.me": {"per_minute": 2}},
    }


@pytest.mark.parametrize("text", ["steps", "steps=", "=5", "steps=many", "tools.send_email=1", "seconds=1.5"])
def test_a_budget_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        read_budget(text)


def test_metadata_keeps_every_sign_after_the_first_equals() -> None:
    assert read_metadata(["ticket=4711", "query=a=b", "empty="]) == {"ticket": "4711", "query": "a=b", "empty": ""}


def test_a_request_lists_every_problem_without_its_values() -> None:
    with pytest.raises(InvalidInputError) as refused:
        read_request("", "no agent", "acme", None, "dollars=5", [])
    assert [problem.field for problem in refused.value.problems] == ["goal", "agent", "budget.dollars"]
    assert "no agent" not in str(refused.value)
