"""Puts servers and agents into a test's folder."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backstay.adapters.mcp.asking import ServerCall
from backstay.adapters.mcp.loop import server_loop
from backstay.adapters.mcp.pool import Pool
from backstay.adapters.mcp.server import Server
from backstay.kernel.mcp_pins import Listing
from backstay.tools.call import no_secret

RAW = Path(__file__).with_name("raw_server.py")
META = {"backstay/idempotency-key": "key-1", "backstay/run": "run-1"}


def raw_command(*options: str) -> tuple[str, ...]:
    """The command of the server that misbehaves."""
    return (sys.executable, "-S", str(RAW), *options)


class Place:
    """One server, and the book of what it did."""

    def __init__(self, folder: Path, *options: str, **server: Any) -> None:
        self.book = folder / "book"
        env = {"BOOK": str(self.book), **server.pop("env", {})}
        self.pool = Pool(Server("raw", raw_command(*options), env=env, **server))
        self.loop = server_loop()

    async def started(self, read: Callable[[str], str] = no_secret) -> Listing:
        """Lists the tools and pins them, as a worker does at its start."""
        listing = await self.loop.run(lambda: self.pool.list(read))
        self.pool.pins = listing.digests
        return listing

    async def call(self, tool: str, text: str = "", key: str = "acme", read: Callable[[str], str] = no_secret) -> Any:
        """Calls a tool, for a tenant."""
        given = {"text": text} if text else {}
        return await self.loop.run(lambda: self.pool.call(ServerCall(tool, given, META), key, read))

    async def says(self, tool: str, text: str = "") -> str:
        """The text of a tool's answer."""
        answer = await self.call(tool, text)
        return answer["content"][0]["text"]

    def done(self) -> list[str]:
        """What the server did."""
        return self.book.read_text().split("\n")[:-1] if self.book.exists() else []

    async def close(self) -> None:
        await self.loop.run(self.pool.close)


def alive(pid: int) -> bool:
    """Tells whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pid: int, seconds: float = 10.0) -> bool:
    """Tells whether a process goes in time."""
    until = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.05)
    return not alive(pid)
