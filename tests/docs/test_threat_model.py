"""Tests that the threat model names exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMED = sorted(set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "threat-model.md").read_text())))
TESTS = "\n".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("name", NAMED)
def test_a_test_that_is_named_exists(name: str) -> None:
    assert re.search(rf"^(?:async )?def {name}\(", TESTS, re.MULTILINE)


def test_some_are_named() -> None:
    assert len(NAMED) > 15
