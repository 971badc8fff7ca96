"""A shop in a process of its own, where all effects happen: it keeps its books by idempotency key, and survives all.

    python -m tests.chaos.rig.shop BOOKS

It books a request before anything else, in one step, and answers afterwards: what it has not booked by the time that it
is asked about never comes later from the same request.
"""

import asyncio
import contextlib
import sqlite3
import sys
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from ..worker_process import ROOT

TABLE = """
CREATE TABLE effects (
    key TEXT, tool TEXT, run TEXT, call TEXT, tenant TEXT, agent TEXT, item TEXT, amount INTEGER, at REAL
)
"""
BOOK = "INSERT INTO effects VALUES (:key, :tool, :run, :call, :tenant, :agent, :item, :amount, :at)"


@dataclass(frozen=True, slots=True)
class Effect:
    """An effect as the shop booked it; `at` is in seconds since the epoch, `amount` whole USD."""

    key: str
    tool: str
    run: str
    call: str
    tenant: str
    agent: str
    item: str
    amount: int
    at: float


class Shop:
    """The books, and what answers about them."""

    def __init__(self, books: Path) -> None:
        self._books = sqlite3.connect(books, isolation_level=None)
        self._books.execute("PRAGMA journal_mode=WAL")
        self._books.execute("PRAGMA synchronous=OFF")
        self._books.execute(TABLE)

    async def effect(self, request: web.Request) -> web.Response:
        """Makes an effect happen: every time where it is told to ask nobody, else once for each key."""
        asked: dict[str, Any] = await request.json()
        if asked["always"] or not self._has(asked["key"]):
            self._books.execute(BOOK, {**asked, "at": time.time()})
        await asyncio.sleep(asked["pause"])
        return web.json_response({"text": f"{asked['tool']} {asked['item']}"})

    async def booked(self, request: web.Request) -> web.Response:
        """Tells whether an effect has happened under a key."""
        return web.json_response({"booked": self._has((await request.json())["key"])})

    def _has(self, key: str) -> bool:
        return self._books.execute("SELECT 1 FROM effects WHERE key = ?", (key,)).fetchone() is not None


def effects_in(books: Path) -> list[Effect]:
    """Returns all effects there were, in the order in which they happened."""
    with contextlib.closing(sqlite3.connect(books, timeout=30)) as db:
        return [Effect(*row) for row in db.execute("SELECT * FROM effects ORDER BY rowid")]


@contextlib.asynccontextmanager
async def serving(books: Path) -> AsyncGenerator[int]:
    """Serves the shop in a process of its own; yields its port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.chaos.rig.shop", str(books), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield int(await process.stdout.readline())
    finally:
        process.kill()
        await process.wait()


async def main(books: Path) -> None:
    """Serves until it is killed; says its port first."""
    shop, app = Shop(books), web.Application()
    app.router.add_post("/effect", shop.effect)
    app.router.add_post("/booked", shop.booked)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
