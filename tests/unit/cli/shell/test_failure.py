"""What a command says of an error: what, why, what to do."""

import pytest

from backstay.cli.shell.failure import explain
from backstay.contracts.problems import Problem
from backstay.errors import (
    BackstayError,
    CodecError,
    ConfigurationError,
    InvalidInputError,
    NoResultError,
    NoWorkerError,
    RefusedError,
    RunClosedError,
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
        RunClosedError("r"),
        NoResultError("r", "terminated"),
        NoWorkerError("r"),
        RefusedError("r", "InvalidMessage", "it is not open"),
        CodecError("a payload is encrypted with the key `a`"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_said_in_three_lines(error: BackstayError, capsys: pytest.CaptureFixture[str]) -> None:
    explain(error)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0].strip() for line in lines] == ["backstay", "why", "do"]
    assert all(line.partition(": ")[2] for line in lines)


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


def test_what_others_wrote_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    explain(RefusedError("r", "InvalidMessage", "no \x1b[2Jway"))
    assert "\x1b" not in capsys.readouterr().err
