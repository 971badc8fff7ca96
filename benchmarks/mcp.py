"""Measures what a call over MCP costs beyond its server; run `python -m benchmarks.mcp` on a quiet machine.

The server's own time is that of the same bytes sent by hand: a line written and read, or one HTTP request over a
connection that stays open.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

from backstay.adapters.agent.mcp_table import McpTable
from backstay.adapters.agent.mcp_tools import servers_of
from backstay.adapters.mcp.arguments import Checker
from backstay.adapters.mcp.tool import McpTool
from backstay.contracts.admission import ToolSpec
from backstay.kernel.mcp_pins import Listing
from backstay.tools import ToolCall
from backstay.tools.call import no_secret

SERVER = Path(__file__).with_name("mcp_server.py")
TEXT = "hello from the bench"
META = {"backstay/idempotency-key": "key-1", "backstay/run": "run-1"}
REQUEST = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "echo", "arguments": {"text": TEXT}, "_meta": META},
}
BOUNDS = {"stdio": 3.0, "HTTP": 20.0}
WARM = 30

Timed = Callable[[], Awaitable[object]]


async def p50(once: Timed, calls: int) -> float:
    """Returns the median of some calls, in milliseconds, after some that warm up."""
    for _ in range(WARM):
        await once()
    taken: list[float] = []
    for _ in range(calls):
        began = time.perf_counter()
        await once()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1e3


async def through(table: McpTable, calls: int) -> float:
    """Returns the time of a call by its tool: arguments checked, sent over the loop of servers, and read as text."""
    servers = servers_of({"bench": table})
    try:
        listings = await asyncio.to_thread(servers.list, no_secret)
        listing = listings["bench"]
        assert isinstance(listing, Listing), listing
        listed = listing.tools["echo"]
        spec = ToolSpec(
            name="mcp:bench/echo",
            description=listed.description,
            parameters=listed.parameters,
            digest=listed.digest,
            effect="once",
            timeout=60,
        )
        tool = McpTool(spec, "", (), "echo", Checker(listed.schema), None, servers.pools["bench"], servers.loop)
        call = ToolCall(run_id="run-1", step=1, call_id="c1", idempotency_key="key-1", agent="bench", tenant="acme")

        async def once() -> None:
            values = tool.typed({"text": TEXT})
            assert isinstance(values, dict)
            assert await tool.run(call, values) == TEXT

        return await p50(once, calls)
    finally:
        await servers.close()


async def pipes(command: list[str], calls: int) -> float:
    """Returns the time of the same call, written and read by hand."""
    program = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert program.stdin
    assert program.stdout
    stdin, stdout, line = program.stdin, program.stdout, json.dumps(REQUEST).encode() + b"\n"

    async def once() -> None:
        stdin.write(line)
        assert TEXT.encode() in await stdout.readline()

    try:
        return await p50(once, calls)
    finally:
        program.kill()
        await program.wait()


async def request(url: str, calls: int) -> float:
    """Returns the time of the same call as one HTTP request."""
    async with aiohttp.ClientSession() as session:

        async def once() -> None:
            async with session.post(url, json=REQUEST) as response:
                assert TEXT.encode() in await response.read()

        return await p50(once, calls)


async def measured(modern: bool, over: str, calls: int) -> tuple[float, float]:
    """Returns the time of a call, and of the server alone."""
    command = [sys.executable, str(SERVER), *(["--modern"] if modern else [])]
    if over == "stdio":
        return await through(McpTable(command=command), calls), await pipes(command, calls)
    program = await asyncio.create_subprocess_exec(*command, "--http", stdout=subprocess.PIPE)
    assert program.stdout
    try:
        url = (await program.stdout.readline()).decode().strip()
        return await through(McpTable(url=url), calls), await request(url, calls)
    finally:
        program.kill()
        await program.wait()


async def table(calls: int) -> list[dict[str, Any]]:
    """Returns a row for each transport and protocol."""
    rows: list[dict[str, Any]] = []
    for over, bound in BOUNDS.items():
        for modern in (False, True):
            call, server = await measured(modern, over, calls)
            era = "2026-07-28" if modern else "2025-11-25"
            rows.append({"over": over, "era": era, "call": call, "server": server, "bound": bound})
    return rows


def main() -> int:
    """Prints the table; returns 1 where a bound is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=500)
    rows = asyncio.run(table(parser.parse_args().calls))
    print(f"{'':<20}{'call ms':>9}{'server ms':>11}{'beyond ms':>11}{'bound ms':>10}")
    for row in rows:
        beyond = row["call"] - row["server"]
        figures = f"{row['call']:>9.2f}{row['server']:>11.2f}{beyond:>11.2f}{row['bound']:>10.0f}"
        print(f"{row['over'] + ' ' + row['era']:<20}{figures}")
    return int(any(row["call"] - row["server"] > row["bound"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
