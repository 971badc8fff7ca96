"""What a command says of an error: what, why, what to do."""

import json
import sys

import pytest

from backstay import extras
from backstay.cli.shell.failure import code_of_error, explain, interrupted, report
from backstay.contracts.problems import Problem
from backstay.errors import (
    BackstayError,
    CodecError,
    ConfigurationError,
    ControlUnansweredError,
    InvalidInputError,
    NoResultError,
    NoWorkerError,
    OrderRefusedError,
    RefusedError,
    RunClosedError,
    RunConflictError,
    RunExistsError,
    RunNotFoundError,
    UnreachableError,
)

TYPO = ConfigurationError("unknown field `stepz`", where="agent.toml:4", mend="did you mean `steps`?")


@pytest.mark.parametrize(
    "error",
    [
        TYPO,
        UnreachableError("localhost:1"),
        InvalidInputError([Problem(field="goal", problem="required")]),
        RunNotFoundError("r", "default"),
        RunExistsError("r"),
        RunConflictError("r"),
        RunClosedError("r"),
        NoResultError("r", "terminated"),
        NoWorkerError("r"),
        RefusedError("r", "InvalidMessage", "it is not open"),
        ControlUnansweredError(),
        OrderRefusedError("incident_ended", "the incident has been lifted whole"),
        CodecError("a payload is encrypted with the key `a`"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_said_in_three_lines(error: BackstayError, capsys: pytest.CaptureFixture[str]) -> None:
    explain(error)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0].strip() for line in lines] == ["backstay", "why", "do"]
    assert all(line.partition(": ")[2] for line in lines)


def test_an_order_about_an_incident_that_nobody_knows_ends_as_not_found() -> None:
    assert code_of_error(OrderRefusedError("unknown_incident", "there is no incident of that id")) == 4
    assert code_of_error(OrderRefusedError("incident_ended", "the incident has been lifted whole")) == 1


def test_an_error_of_a_file_names_its_line_what_is_wrong_there_and_the_mend(
    capsys: pytest.CaptureFixture[str],
) -> None:
    explain(TYPO)
    assert capsys.readouterr().err == (
        "backstay: agent.toml:4 cannot be used\n     why: unknown field `stepz`\n      do: did you mean `steps`?\n"
    )


def test_every_problem_stands_on_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    explain(InvalidInputError([Problem(field="goal", problem="required"), Problem(field="id", problem="too long")]))
    _, first, second, _ = capsys.readouterr().err.splitlines()
    assert (first, second) == ("     why: `goal`: required", "          `id`: too long")


@pytest.mark.parametrize(
    ("problems", "mend"),
    [
        ([("requested_by", "required by this agent")], "add --requested-by NAME, then try again"),
        ([("agent", "no agent of that name")], "mend these (`--agent`), then try again"),
        ([("budget.usd", "too much"), ("budget.steps", "odd")], "mend these (`--budget`), then try again"),
        ([("requested_by", "required"), ("tenant", "long")], "add --requested-by NAME and mend these (`--tenant`), "),
        ([("goal", "required")], "mend these, then try again"),
    ],
)
def test_an_input_is_mended_by_options_that_are_named(
    problems: list[tuple[str, str]], mend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    explain(InvalidInputError([Problem(field=field, problem=problem) for field, problem in problems]))
    assert f"      do: {mend}" in capsys.readouterr().err


@pytest.mark.parametrize("as_json", [True, False])
def test_the_commands_in_a_mend_are_written_as_this_program_was_called(
    as_json: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [".venv/bin/backstay", "list"])
    explain(NoWorkerError("r"), as_json=as_json)
    said = capsys.readouterr()
    assert "start one with `.venv/bin/backstay worker`, or `.venv/bin/backstay dev`" in said.out + said.err


def test_where_dev_is_not_installed_its_part_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "EXTRAS", {"dev": frozenset({"no_such_module"})})
    explain(UnreachableError("localhost:1"))
    assert "do: start one with `backstay dev` (pip install 'backstay[dev]'), or set it" in capsys.readouterr().err


def test_a_refusal_that_knows_its_mend_says_it(capsys: pytest.CaptureFixture[str]) -> None:
    explain(RefusedError("r", "NotInGroup", "only members of finance may answer", "let ann answer"))
    assert capsys.readouterr().err.splitlines()[1:] == [
        "     why: only members of finance may answer",
        "      do: let ann answer",
    ]


def test_a_closed_run_is_named_with_how_it_closed(capsys: pytest.CaptureFixture[str]) -> None:
    explain(RunClosedError("r", "terminated"))
    assert capsys.readouterr().err.startswith("backstay: the run `r` has closed already: terminated\n")


def test_what_others_wrote_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    explain(RefusedError("r", "InvalidMessage", "no \x1b[2Jway"))
    assert "\x1b" not in capsys.readouterr().err


def test_a_line_break_in_the_id_of_a_run_makes_no_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    explain(RunNotFoundError("run\nbackstay: all is well", "default"))
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0].strip() for line in lines] == ["backstay", "why", "do"]
    assert r"run\u000abackstay" in lines[0]


@pytest.mark.parametrize("error", [TYPO, NoResultError("r", "terminated"), ValueError("odd")], ids=str)
def test_where_json_is_asked_for_an_error_is_one_line_of_it_on_stdout(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    code = report(error, as_json=True)
    found = json.loads(capsys.readouterr().out)["error"]
    assert code in (1, 2)
    assert all(isinstance(found[part], str) and found[part] for part in ("code", "what", "why", "do"))


def test_a_program_is_told_of_an_interruption_and_a_person_knows(capsys: pytest.CaptureFixture[str]) -> None:
    interrupted(as_json=False)
    assert capsys.readouterr().out == ""
    interrupted(as_json=True)
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "Interrupted"
