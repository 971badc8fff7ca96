"""A command line that wants JSON is known before it is parsed, so that its mistakes are JSON too."""

import json

import pytest

from backstay.cli import execute
from backstay.cli.shell.usage import wants_json


@pytest.mark.parametrize(
    "line",
    ["list -o json", "list -ojson", "list -o=json", "list --output json", "list --output=json", "approve r -yo json"],
)
def test_json_is_asked_for_in_each_way_that_a_shell_knows(line: str) -> None:
    assert wants_json(line.split())


@pytest.mark.parametrize("line", ["", "list", "list -o table", "run json", "run -- -o json", "run --no json"])
def test_other_words_ask_for_no_json(line: str) -> None:
    assert not wants_json(line.split())


@pytest.mark.parametrize(
    ("line", "do"),
    [
        ("lst", "`backstay --help`"),
        ("list --agnt x", "did you mean `--agent`"),
        ("server-codec", "did you mean `codec-server`?"),
        ("codec", "did you mean `codec-server`?"),
        ("run x --by-requested ann", "did you mean `--requested-by`?"),
        ("run x --wait-no", "did you mean `--no-wait`?"),
        ("policy chek", "`backstay policy --help`"),
        ("run", "`backstay run --help`"),
        ("list --limit many", "`backstay list --help`"),
        ("run x --budget stepz=3", "mend these"),
        ("run x --budget steps", "`backstay run --help`"),
        ("list --state runing", "did you mean `running`? states are: queued, "),
        ("list --stop-reason budget", "did you mean `budget_exhausted`? stop reasons are: "),
    ],
)
def test_a_mistake_is_one_line_of_json_with_the_mend_where_json_is_asked_for(
    line: str, do: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute([*line.split(), "-o", "json"]) == 2
    out, err = capsys.readouterr()
    error = json.loads(out)["error"]
    assert (err, out.count("\n"), set(error)) == ("", 1, {"code", "what", "why", "do"})
    assert do in error["do"]
    assert execute(line.split()) == 2
    out, err = capsys.readouterr()
    assert (out, err.splitlines()[-1].partition(": ")[2]) == ("", error["do"])


def test_a_mistyped_command_is_told_which_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["lst"]) == 2
    assert "no such command 'lst'. Did you mean 'list'?" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["", "run", "list", "policy", "policy check", "keys new"])
def test_every_command_takes_a_short_h(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute([*command.split(), "-h"]) == 0
    assert f"Usage: backstay {command}".strip() in capsys.readouterr().out
