"""What CONTRIBUTING.md names exists, so that its lists stay true."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text().replace("`tests/workflow/\nrecord", "`tests/workflow/record")
FOLDERS = ("backstay", "workflows", "activities", "policies", "tests", "agents")
NAMED = [name for name in re.findall(r"`([\w./-]+)`", TEXT) if name.split("/")[0] in FOLDERS]
PATHS = [name for name in NAMED if "NAME" not in name]


@pytest.mark.parametrize("path", sorted(set(PATHS)))
def test_a_file_or_folder_that_is_named_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("name", ["ToolOptions", "ToolSpec", "BudgetLimits", "DIMENSIONS", "COMMANDS", "shortfall"])
def test_a_name_stands_in_the_file_that_it_is_said_to_be_in(name: str) -> None:
    line = next(line for line in TEXT.splitlines() if f"`{name}`" in line and re.search(r"`[\w/]+\.py`", line))
    (file, *_) = re.findall(r"`([\w/]+\.py)`", line)
    assert re.search(rf"\b{name}\b", (ROOT / file).read_text())


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in re.findall(r"make (\w+)", TEXT))


def test_the_files_of_the_example_option_are_those_that_speak_of_it() -> None:
    files = [file for folder in FOLDERS[:4] for file in (ROOT / folder).rglob("*.py")]
    using = [file for file in files if re.search(r"\.repeatable|repeatable[:=]", file.read_text())]
    unlisted = {str(file.relative_to(ROOT)) for file in using} - set(PATHS) - {"workflows/run/calls.py"}
    assert unlisted == set()
