"""A copy of the checkout in which a test may break things."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("backstay", "workflows", "activities", "policies", "pyproject.toml")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The library, the application folders and the project's settings, copied."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def plant(checkout: Path) -> Callable[[str, str], None]:
    """Adds lines to the end of a file of the copy, or writes it."""

    def planted(file: str, lines: str) -> None:
        place = checkout / file
        before = place.read_text() if place.exists() else ""
        place.write_text(f"{before}\n{lines}\n")

    return planted
