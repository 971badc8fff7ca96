"""Workers die by SIGKILL in the middle of effects that must happen once: none is doubled, none is lost."""

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from backstay.adapters.dev_server import DevServer
from backstay.contracts.names import AGENT_RUN
from backstay.testing import Call, Reply, ScriptedModel

from .worker_process import SOAK, supervised, worker_environment

POINTS = ("before", "after", "returned", "never")
KILLS = 100 if SOAK else 10

TOOLS = '''
import os
import signal
import sqlite3
import threading
from pathlib import Path
from backstay.tools import NOT_HAPPENED, Happened, ToolCall, tool

HERE = Path(__file__).parent

def books() -> sqlite3.Connection:
    db = sqlite3.connect(HERE / "books.sqlite3", timeout=30, isolation_level=None)
    db.execute("CREATE TABLE IF NOT EXISTS refunds (key TEXT, amount INTEGER)")
    return db

def die(point: str, wanted: str, call: ToolCall) -> None:
    """Kills the worker at a point, once for each run."""
    mark = HERE / f"died-{call.run_id}"
    if point != wanted or mark.exists():
        return
    mark.write_text(point)
    if point == "returned":
        threading.Timer(0.02, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
    else:
        os.kill(os.getpid(), signal.SIGKILL)

def happened(call: ToolCall, amount: int, point: str):
    db = books()
    rows = db.execute("SELECT amount FROM refunds WHERE key = ?", (call.idempotency_key,)).fetchall()
    db.close()
    return Happened(f"refunded {amount}") if rows else NOT_HAPPENED

@tool(effect="once", timeout="10s", reconcile=happened)
def refund(call: ToolCall, amount: int, point: str) -> str:
    """Refunds an amount."""
    die("before", point, call)
    db = books()
    db.execute("INSERT INTO refunds VALUES (?, ?)", (call.idempotency_key, amount))
    db.close()
    die("after", point, call)
    die("returned", point, call)
    return f"refunded {amount}"
'''


def refunds(folder: Path) -> list[tuple[str, int]]:
    """The shop's books."""
    import sqlite3

    with contextlib.closing(sqlite3.connect(folder / "books.sqlite3")) as db:
        return list(db.execute("SELECT key, amount FROM refunds"))


IDEMPOTENT = (
    TOOLS.replace('effect="once"', 'effect="write"')
    .replace(", reconcile=happened", "")
    .replace("(key TEXT,", "(key TEXT PRIMARY KEY,")
    .replace("INSERT INTO", "INSERT OR IGNORE INTO")
)


@pytest.mark.soak
@pytest.mark.timeout(3600 if SOAK else 400)
@pytest.mark.parametrize("tools", [TOOLS, IDEMPOTENT], ids=["once", "write"])
async def test_no_refund_is_doubled_or_lost_when_workers_are_killed_at_the_worst_moments(
    client: Client, temporal_server: DevServer, agent_folder: Callable[..., Path], tools: str
) -> None:
    agents = agent_folder(tools=tools)
    queue = f"chaos-{uuid.uuid4()}"
    points = [POINTS[n % len(POINTS)] for n in range(KILLS)]
    scripts: dict[str, Any] = {
        f"<{n}>": [Reply(calls=[Call("refund", {"amount": n, "point": point})]), Reply("done")]
        for n, point in enumerate(points)
    }
    async with (
        ScriptedModel(scripts) as model,
        supervised(worker_environment(agents, queue, model, temporal_server.address)) as deaths,
    ):
        # A decision is given up when its third attempt is lost: with all runs at once every kill would hit many.
        room = asyncio.Semaphore(10)

        async def run(number: int) -> Any:
            async with room:
                request = {"goal": f"<{number}>", "agent": "clerk"}
                return await client.execute_workflow(AGENT_RUN, request, id=f"{queue}-{number}", task_queue=queue)

        results = await asyncio.gather(*(run(number) for number in range(KILLS)))
    assert [result["status"] for result in results] == ["completed"] * KILLS
    booked = refunds(agents / "clerk")
    assert sorted(amount for _, amount in booked) == list(range(KILLS))
    assert len({key for key, _ in booked}) == KILLS
    assert deaths
    assert set(deaths) == {-9}
