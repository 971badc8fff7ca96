"""Workers and the server die while runs refund against a tenant's day: what it covers is refunded and never more."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from backstay.kernel.meter import read_amount
from backstay.testing import Call, Reply

from .fleet import fleet
from .worker_process import SOAK

RUNS, REFUNDS, DAY, COVERED = (30, 10, "5000", 50) if SOAK else (6, 4, "1000", 10)
KILLS = 5 if SOAK else 1
PATIENCE = 600.0 if SOAK else 100.0

TOOLS = '''
import os
import signal
import sqlite3
from decimal import Decimal
from pathlib import Path

from backstay.tools import ToolCall, tool

BOOKS = Path(__file__).with_name("books.sqlite3")

@tool(effect="write", exposure={"refunds_usd": lambda amount: amount})
def refund(call: ToolCall, order: str, amount: Decimal) -> str:
    """Refunds an order once for each key; the first few times it dies before or after."""
    here, key = Path(call.metadata["here"]), call.idempotency_key
    dies = False
    for death in range(KILLS):
        if not dies:
            try:
                (here / f"death-{death}").touch(exist_ok=False)
                dies = True
            except FileExistsError:
                pass
    db = sqlite3.connect(BOOKS, timeout=30, isolation_level=None)
    db.execute("CREATE TABLE IF NOT EXISTS refunds (key TEXT PRIMARY KEY, amount TEXT)")
    db.execute("INSERT OR IGNORE INTO refunds VALUES (?, ?)", (key, str(amount)))
    db.close()
    if dies:
        os.kill(os.getpid(), signal.SIGKILL)
    return "refunded"
'''.replace("KILLS", str(KILLS))
TOML = f"""
[budget]
tool_calls = 100
[exposure.refunds_usd]
day = "{DAY}"
"""


@pytest.mark.soak
@pytest.mark.timeout(1200 if SOAK else 300)
async def test_exactly_what_the_day_covers_is_refunded_while_workers_and_the_server_die(
    tmp_path: Path, agent_folder: Callable[..., Path]
) -> None:
    agents = agent_folder("clerk", TOML, TOOLS)
    half = [Call("refund", {"order": f"A{number}", "amount": 99}) for number in range(REFUNDS // 2)]
    script = [Reply(calls=half), Reply(calls=half), Reply("done")]
    async with fleet(tmp_path, agents, script, RUNS) as runs, asyncio.timeout(PATIENCE):
        while not runs.deaths:
            await asyncio.sleep(0.1)
        await runs.restart()
        await runs.until_closed(RUNS)
        results, books = await runs.results(), await runs.books()
    assert {one.stop_reason for one in results} == {"completed"}
    assert refunded(agents / "clerk" / "books.sqlite3") == COVERED
    assert sum(read_amount(one.exposure["refunds_usd"]["run"]) for one in results) == read_amount(99 * COVERED)
    sums = books.sums.by_account["tenant"]["exposure:refunds_usd"].values()
    assert {(one.spent, one.held) for one in sums} == {(read_amount(99 * COVERED), 0)}


def refunded(books: Path) -> int:
    db = sqlite3.connect(books)
    (count,) = db.execute("SELECT count(*) FROM refunds").fetchone()
    db.close()
    return int(count)
