"""What is typed after `backstay run`, as a request."""

import io
import sys

import pytest
import typer

from backstay.cli.shell.request import read_arguments, read_budget, read_goal, read_metadata, read_request
from backstay.errors import ConfigurationError, InvalidInputError


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


@pytest.mark.parametrize("text", ["5", "steps=many", "tools.send_email=1"])
def test_what_a_grant_adds_is_refused_without_naming_an_option_that_grants_lack(text: str) -> None:
    with pytest.raises(typer.BadParameter) as refused:
        read_budget(text, "NAME=AMOUNT")
    assert "--budget" not in refused.value.format_message()


def test_metadata_keeps_every_sign_after_the_first_equals() -> None:
    assert read_metadata(["ticket=4711", "query=a=b", "empty="]) == {"ticket": "4711", "query": "a=b", "empty": ""}


def test_a_request_lists_every_problem_without_its_values() -> None:
    with pytest.raises(InvalidInputError) as refused:
        read_request({"goal": "", "agent": "no agent", "requested_by": None}, "dollars=5", [])
    assert [problem.field for problem in refused.value.problems] == ["goal", "agent", "budget.dollars"]
    assert "no agent" not in str(refused.value)


def test_a_request_has_the_fields_that_were_typed_and_the_defaults_of_the_others() -> None:
    request = read_request({"goal": "add", "agent": "clerk", "requested_by": None}, "steps=5", ["ticket=4711"])
    assert (request.goal, request.agent, request.tenant, request.requested_by) == ("add", "clerk", "default", None)
    assert "requested_by" not in request.model_fields_set
    assert request.budget is not None
    assert (request.budget.steps, request.metadata) == (5, {"ticket": "4711"})


def test_arguments_are_a_json_object() -> None:
    assert read_arguments('{"amount": 50}') == {"amount": 50}


@pytest.mark.parametrize("text", ["", "50", "[1]", "null", "amount=50", "{"])
def test_arguments_in_another_form_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigurationError, match="`--args` is no JSON object; write all arguments"):
        read_arguments(text)


def _standard_input(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_a_goal_of_a_dash_is_read_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    _standard_input(monkeypatch, "zwei Wörter\nund mehr\n".encode())
    assert read_goal("-") == "zwei Wörter\nund mehr"
    assert read_goal("--x") == "--x"


@pytest.mark.parametrize(("data", "what"), [(b" \n", "is empty"), (b"\xff", "holds no text")])
def test_standard_input_without_a_goal_is_refused(monkeypatch: pytest.MonkeyPatch, data: bytes, what: str) -> None:
    _standard_input(monkeypatch, data)
    with pytest.raises(ConfigurationError, match=what):
        read_goal("-")
