"""What the README prints is what the commands print, and stands where a reader sees it first."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.docs.place import not_printed

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
FIRST_LINES = 40
LONGEST = 118


def block(beginning: str) -> str:
    """The text block that begins so."""
    (found,) = re.findall(rf"```text\n({re.escape(beginning)}.*?)```", README, re.DOTALL)
    return found


async def run(*arguments: str, **environment: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "backstay", *arguments),
        env={**os.environ, "COLUMNS": "118", **environment},
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    return said.decode()


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[str]:
    """Returns the output of `backstay demo --keep`, while its engine is up."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "BACKSTAY_"))}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "backstay", "demo", "--keep"),
        env={**environment, "PYTHONUNBUFFERED": "1", "COLUMNS": "400"},
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    said = ""
    while "runs ended as" not in said:
        line = (await process.stdout.readline()).decode()
        assert line, f"the demo ended early:\n{said}"
        said += line
    try:
        yield said
    finally:
        process.send_signal(signal.SIGINT)
        await process.communicate()


def test_no_line_is_longer_than_a_terminal() -> None:
    assert [line for line in README.splitlines() if len(line) > LONGEST] == []


def test_both_outputs_begin_within_the_first_lines() -> None:
    first = "\n".join(README.splitlines()[:FIRST_LINES])
    assert all(
        line in first for line in (block("1. A lookup").splitlines()[0], block("run     demo-1").splitlines()[0])
    )


@pytest.mark.timeout(240)
async def test_the_demo_and_show_print_what_the_readme_shows(demo: str) -> None:
    address = re.search(r"Temporal\s+(\S+:\d+)", demo)
    assert address is not None
    assert not_printed(block("1. A lookup"), demo) == []
    shown = await run("show", "demo-1-refund", TEMPORAL_ADDRESS=address[1])
    assert not_printed(block("run     demo-1"), shown) == [], shown
