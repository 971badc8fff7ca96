"""Each room imports from outside of the project only what is listed, inside functions too."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

VALUES = {"collections", "dataclasses", "enum", "functools", "hashlib", "json", "re", "typing"}
"""Of the standard library, what makes values of values: no I/O, no clock, no randomness."""

ALLOWED = {
    "backstay/kernel": VALUES,
    "backstay/contracts": VALUES - {"hashlib", "re"} | {"contextlib", "datetime", "pydantic"},
    "workflows": VALUES - {"functools", "hashlib", "re"}
    | {"asyncio", "contextlib", "datetime", "decimal", "temporalio"},
    "policies": VALUES - {"functools"} | {"cedarpy", "decimal", "difflib", "threading"},
    "activities": VALUES - {"enum", "functools", "json", "re"}
    | {"asyncio", "contextlib", "datetime", "rfc8785", "temporalio"},
}
"""An activity reaches the outside world through its ports only."""

OURS = {"backstay", "workflows", "activities", "policies"}
TOPMOST = {"worker", "agents", "tests", "benchmarks"}
"""Nothing below imports these."""


def imported(source: str) -> set[str]:
    """The top-level names that a module imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module)
    return {name.split(".")[0] for name in names}


def outside(room: str, source: str) -> set[str]:
    """The names that a module of a room imports, and may not."""
    return imported(source) - ALLOWED[room] - OURS


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_what_it_may_and_all_that_is_listed(room: str) -> None:
    sources = {file: file.read_text() for file in (ROOT / room).rglob("*.py")}
    assert {str(file): wrong for file, text in sources.items() if (wrong := outside(room, text))} == {}
    assert ALLOWED[room] <= set().union(*(imported(text) for text in sources.values()))


@pytest.mark.parametrize("room", ["backstay", "workflows", "activities", "policies"])
def test_nothing_imports_what_stands_on_top_of_all(room: str) -> None:
    wrong = {str(file) for file in (ROOT / room).rglob("*.py") if imported(file.read_text()) & TOPMOST}
    assert wrong == set()


@pytest.mark.parametrize(
    ("room", "line", "name"),
    [
        ("backstay/kernel", "import uuid", "uuid"),
        ("backstay/kernel", "import time", "time"),
        ("backstay/kernel", "import pydantic", "pydantic"),
        ("backstay/kernel", "def f():\n    import watchfiles", "watchfiles"),
        ("backstay/kernel", "from os import path", "os"),
        ("backstay/contracts", "import rfc8785", "rfc8785"),
        ("backstay/contracts", "import io, logging", "io"),
        ("backstay/contracts", "import temporalio", "temporalio"),
        ("workflows", "import random", "random"),
        ("workflows", "def f():\n    from logging import getLogger", "logging"),
        ("workflows", "import rfc8785", "rfc8785"),
        ("policies", "import httpx2", "httpx2"),
        ("activities", "import openai", "openai"),
        ("activities", "async def f():\n    import sqlite3", "sqlite3"),
    ],
)
def test_a_planted_import_is_caught(room: str, line: str, name: str) -> None:
    assert name in outside(room, f'"""A module."""\n{line}\n')


def test_an_import_of_the_worker_or_of_an_agent_is_caught() -> None:
    assert imported("import worker\nfrom agents.support import tools") == {"worker", "agents"}
