"""Calls that block are found in async tools, however they were imported, and nowhere else."""

from collections.abc import Callable
from pathlib import Path

import pytest

from backstay.adapters.agent.folder import load_agent
from backstay.adapters.tool.blocking import blocking_calls

HEAD = """
import asyncio, subprocess, time
import httpx2 as http
from time import sleep as nap
from backstay.tools import tool
"""
BLOCKS = {
    "time.sleep": "async def look() -> str:\n    time.sleep(3)\n    return 'x'",
    "nap": "async def look() -> str:\n    for _ in range(3):\n        nap(1)\n    return 'x'",
    "subprocess.run": "async def look() -> str:\n    return subprocess.run(['ls']).stdout",
    "http.get": "async def look() -> str:\n    return http.get('http://example.com').text",
}
FINE = [
    "def look() -> str:\n    time.sleep(3)\n    return 'x'",
    "async def look() -> str:\n    await asyncio.sleep(3)\n    return 'x'",
    "async def look() -> str:\n    await asyncio.to_thread(time.sleep, 3)\n    return 'x'",
    "async def look() -> str:\n    def slow(): time.sleep(3)\n    await asyncio.to_thread(slow)\n    return 'x'",
    "async def look() -> str:\n    async with http.AsyncClient() as c:\n        return (await c.get('http://x')).text",
]


@pytest.mark.parametrize(("call", "code"), BLOCKS.items(), ids=BLOCKS)
def test_a_call_that_blocks_is_found_with_its_line(agent_folder: Callable[..., Path], call: str, code: str) -> None:
    folder = agent_folder(tools=f"{HEAD}@tool\n{code}\n") / "clerk"
    [found] = blocking_calls(load_agent(folder).tools["look"])
    line = (folder / "tools.py").read_text().splitlines()[int(found.where.rpartition(":")[2]) - 1]
    assert (found.tool, found.call, call in line) == ("look", call, True)


@pytest.mark.parametrize("code", FINE)
def test_what_runs_in_a_thread_or_is_awaited_is_fine(agent_folder: Callable[..., Path], code: str) -> None:
    folder = agent_folder(tools=f"{HEAD}@tool\n{code}\n") / "clerk"
    assert blocking_calls(load_agent(folder).tools["look"]) == []
