"""Each room imports from outside of the project only what is listed, inside functions too."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

VALUES = {"collections", "dataclasses", "enum", "functools", "hashlib", "json", "re", "typing"}
"""Of the standard library, what makes values of values: no I/O, no clock, no randomness."""

NARROW = {
    "pathlib.PurePath",
    "subprocess.CalledProcessError",
    "time.thread_time",
    "urllib.parse.quote",
    "urllib.parse.unquote",
}
"""Of modules that do input and output, names that do none; they are imported one by one."""

ALLOWED = {
    "backstay/kernel": VALUES
    | {
        "base64",
        "bisect",
        "datetime",
        "decimal",
        "difflib",
        "hmac",
        "html",
        "itertools",
        "types",
        "unicodedata",
        "urllib.parse.quote",
        "urllib.parse.unquote",
    },
    "backstay/contracts": VALUES - {"hashlib"}
    | {"base64", "contextlib", "datetime", "decimal", "pydantic", "shlex", "types", "zlib"},
    "workflows": VALUES - {"functools", "hashlib", "re"}
    | {"asyncio", "contextlib", "contextvars", "datetime", "decimal", "shlex", "temporalio"},
    "policies": VALUES | {"cedarpy", "decimal", "threading"},
    "activities": VALUES - {"enum"}
    | {"asyncio", "contextlib", "contextvars", "datetime", "errno", "rfc8785", "sys", "temporalio"}
    | {"threading", "traceback", "pathlib.PurePath", "queue", "subprocess.CalledProcessError", "time.thread_time"},
}
"""An activity reaches the outside world through its ports only."""

OURS = {"backstay", "workflows", "activities", "policies"}
TOPMOST = {"worker", "agents", "tests", "benchmarks"}
"""Nothing below imports these."""


def imported(source: str) -> set[str]:
    """The top-level names that a module imports, anywhere in it; those of `NARROW` as they are."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name if name in NARROW else name.split(".")[0] for name in names}


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
        ("activities", "from subprocess import CalledProcessError, run", "subprocess"),
        ("activities", "import subprocess", "subprocess"),
        ("backstay/kernel", "from urllib.request import urlopen", "urllib"),
        ("activities", "async def f():\n    import sqlite3", "sqlite3"),
    ],
)
def test_a_planted_import_is_caught(room: str, line: str, name: str) -> None:
    assert name in outside(room, f'"""A module."""\n{line}\n')


def test_an_import_of_the_worker_or_of_an_agent_is_caught() -> None:
    assert imported("import worker\nfrom agents.support import tools") == {"worker", "agents"}
