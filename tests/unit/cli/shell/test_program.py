"""A command that is shown can be typed as it stands: the program is called as the person called it."""

import sys
from pathlib import Path

import pytest

from backstay.cli.shell.program import as_typed, spelled

PYTHON = "/usr/bin/python3"


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A program in a folder of its own."""
    program = tmp_path / "bin" / "backstay"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("typed", [".venv/bin/backstay", "./backstay", "../a/.venv/bin/backstay"])
def test_a_path_that_was_typed_is_shown_as_it_was_typed(typed: str, installed: Path) -> None:
    line = [PYTHON, typed, "list"]
    assert spelled(line, typed, {"PATH": ""}) == typed
    assert spelled(line, typed, {"PATH": str(installed.parent)}) == typed


def test_a_program_that_the_shell_found_is_shown_by_its_name(installed: Path) -> None:
    line = [PYTHON, str(installed), "list"]
    assert spelled(line, str(installed), {"PATH": f"/nowhere:{installed.parent}"}) == "backstay"


def test_a_whole_path_that_no_shell_finds_by_its_name_is_shown_whole(installed: Path, tmp_path: Path) -> None:
    assert spelled([PYTHON, str(installed)], str(installed), {"PATH": str(tmp_path)}) == str(installed)
    assert spelled([PYTHON, str(installed)], str(installed), {}) == str(installed)


def test_a_path_with_a_blank_is_quoted() -> None:
    assert spelled([PYTHON, "my env/backstay"], "my env/backstay", {}) == "'my env/backstay'"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (["python", "-m", "backstay", "list"], "python -m backstay"),
        ([".venv/bin/python", "-m", "backstay"], ".venv/bin/python -m backstay"),
        (["python3", "-X", "dev", "-m", "backstay", "run", "-m"], "python3 -X dev -m backstay"),
    ],
)
def test_a_module_is_shown_with_the_interpreter_as_it_was_typed(line: list[str], shown: str) -> None:
    assert spelled(line, "/lib/backstay/__main__.py", {}) == shown


def test_under_uv_run_it_is_shown_with_uv_run(installed: Path) -> None:
    environment = {"PATH": str(installed.parent), "UV_RUN_RECURSION_DEPTH": "1"}
    assert spelled([PYTHON, str(installed)], str(installed), environment) == "uv run backstay"
    assert spelled(["python", "-m", "backstay"], "/lib/backstay/__main__.py", environment) == (
        "uv run python -m backstay"
    )


@pytest.mark.parametrize("argv0", ["/usr/bin/pytest", "", "-c", "worker.py", "/app/__main__.py"])
def test_where_nobody_typed_a_command_it_has_its_plain_name(argv0: str) -> None:
    assert spelled([PYTHON, argv0], argv0, {}) == "backstay"


def test_the_commands_in_a_text_are_written_as_they_are_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [".venv/bin/backstay", "list"])
    text = "start one with `backstay worker`, or set it: backstay show r1; pip install 'backstay[dev]' of backstay"
    assert as_typed(text) == (
        "start one with `.venv/bin/backstay worker`, or set it: .venv/bin/backstay show r1; "
        "pip install 'backstay[dev]' of backstay"
    )
