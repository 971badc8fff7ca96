"""Workers die by SIGKILL in the middle of effects that must happen once: none is doubled, none is lost."""

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from backstay.adapters.engine.dev_server import DevServer
from backstay.contracts.names import AGENT_RUN
from backstay.testing import Call, Reply, ScriptedModel

from .worker_process import SOAK, supervised, worker_environment

POINTS = ("before", "after", "returned", "never")
AT_A_TIME = 10
WORKERS = 3

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
@pytest.mark.parametrize(
    ("tools", "kills"), [(TOOLS, 100 if SOAK else 4), (IDEMPOTENT, 100 if SOAK else 3)], ids=["once", "write"]
)
async def test_no_refund_is_doubled_or_lost_when_workers_are_killed_at_the_worst_moments(
    client: Client, temporal_server: DevServer, agent_folder: Callable[..., Path], tools: str, kills: int
) -> None:
    agents = agent_folder(tools=tools)
    queue = f"chaos-{uuid.uuid4()}"
    numbers = iter(range(10 * kills))
    scripts: dict[str, Any] = {
        f"<{n}>": [Reply(calls=[Call("refund", {"amount": n, "point": POINTS[n % len(POINTS)]})]), Reply("done")]
        for n in range(10 * kills)
    }
    statuses: list[str] = []
    async with (
        ScriptedModel(scripts) as model,
        supervised(worker_environment(agents, queue, model, temporal_server.address), WORKERS) as deaths,
    ):

        async def refund_until_enough_died() -> None:
            while len(deaths) < kills:
                number = next(numbers)
                request = {"goal": f"<{number}>", "agent": "clerk"}
                result = await client.execute_workflow(AGENT_RUN, request, id=f"{queue}-{number}", task_queue=queue)
                statuses.append(result["status"])

        await asyncio.gather(*(refund_until_enough_died() for _ in range(min(AT_A_TIME, kills))))
    booked = refunds(agents / "clerk")
    assert statuses == ["completed"] * len(statuses)
    assert sorted(amount for _, amount in booked) == list(range(len(statuses)))
    assert len({key for key, _ in booked}) == len(statuses)
    assert set(deaths) == {-9}
    print(f"{len(deaths)} workers killed in {len(statuses)} runs")
