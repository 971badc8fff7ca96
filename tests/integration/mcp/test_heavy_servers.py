"""Real servers that are heavy, for hours of testing: a spreadsheet's, and one that drives a browser."""

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from .place import alive
from .real import node_server, python_server
from .test_real_servers import Real, names_in, opened

__all__ = ["opened"]

CHROMIUM = shutil.which("chromium") or ""
ROUNDS = 20
PAGE = "data:text/html,<title>House</title><h1>Welcome</h1><button>Round {n}</button>"

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(280),
    pytest.mark.skipif(not os.environ.get("BACKSTAY_SOAK"), reason="takes minutes: make soak"),
]


def browsers() -> set[int]:
    """The processes of browsers that run without a head."""
    found: set[int] = set()
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if b"--headless" in (place / "cmdline").read_bytes():
                found.add(int(place.name))
        except OSError:
            continue
    return {pid for pid in found if alive(pid)}


async def test_a_spreadsheet_is_written_and_read(opened: Callable[..., Real], tmp_path: Path) -> None:
    program = python_server("excel-mcp-server", "excel-mcp-server==2.2.2")
    excel = opened("excel", program, "stdio")
    assert set((await excel.started()).tools) == names_in("excel")
    book = str(tmp_path / "house.xlsx")
    await excel.says("create_workbook", path=book)
    for n in range(1, ROUNDS + 1):
        await excel.says("write_range", path=book, sheet="Sheet1", at=f"A{n}", rows=[[f"row {n}", n]])
    read = await excel.says("read_range", path=book, sheet="Sheet1")
    assert all(f'row {n}"' in read for n in range(1, ROUNDS + 1))


@pytest.mark.skipif(not CHROMIUM, reason="there is no chromium")
async def test_a_browser_is_driven_and_leaves_nothing_behind(opened: Callable[..., Real]) -> None:
    before = browsers()
    node, program = node_server("playwright-mcp", "@playwright/mcp@0.0.83")
    options = ("--headless", "--isolated", "--no-sandbox", "--executable-path", CHROMIUM)
    browser = opened("playwright", node, program, *options)
    assert set((await browser.started()).tools) == names_in("playwright")
    for n in range(ROUNDS):
        await browser.says("browser_navigate", url=PAGE.format(n=n))
        assert f"Round {n}" in await browser.says("browser_snapshot")
    assert browsers() - before, "a browser was running"
    await browser.close()
    async with asyncio.timeout(20):
        while browsers() - before:
            await asyncio.sleep(0.2)
