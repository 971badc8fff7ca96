"""Servers and workers die by SIGKILL in calls that must happen once: none is doubled or lost, and people are asked."""

import asyncio
import contextlib
import random
import sqlite3
import sys
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.service import RPCError

from backstay.adapters.engine.asking import queried
from backstay.adapters.engine.dev_server import DevServer
from backstay.contracts.names import AGENT_RUN
from backstay.testing import Call, Reply, ScriptedModel

from .worker_process import SOAK, supervised, worker_environment

SERVER = Path(__file__).with_name("refund_server.py")
DEADLY = ("server-before", "server-after", "server-soon", "worker-before", "worker-after", "worker-soon")
KILLS = 100 if SOAK else 4
AT_A_TIME = 8 if SOAK else 4
WORKERS = 3 if SOAK else 1


def refunds(books: Path) -> list[tuple[str, str, int]]:
    """The server's own books: run, key, amount."""
    if not books.exists():
        return []
    with contextlib.closing(sqlite3.connect(books, timeout=30)) as db, contextlib.suppress(sqlite3.OperationalError):
        return list(db.execute("SELECT run, key, amount FROM refunds"))
    return []


async def answered(client: Client, run: str, books: Path) -> tuple[dict[str, Any], int]:
    """Answers whatever a run asks, by the server's books; returns its result and how often it has asked."""
    handle, asked = client.get_workflow_handle(run), set[str]()
    ended = asyncio.ensure_future(handle.result())
    while not ended.done():
        await asyncio.wait({ended}, timeout=0.3)
        with contextlib.suppress(RPCError, WorkflowQueryFailedError, asyncio.TimeoutError):  # no worker just now
            async with asyncio.timeout(5):
                status: Any = {} if ended.done() else await queried(handle, "status", (), timedelta(seconds=10))
            for one in status.get("pending_approvals", []):
                assert one["kind"] == "outcome_unknown"
                if one["approval_id"] in asked:
                    continue
                asked.add(one["approval_id"])
                happened = any(row[0] == run for row in refunds(books))
                answer = {"answer": "happened", "result": "refunded"} if happened else {"answer": "not_happened"}
                await handle.signal("answer", {"approval_id": one["approval_id"], "by": "olga", **answer})
    return await ended, len(asked)


@pytest.mark.soak
@pytest.mark.timeout(3600 if SOAK else 280)
async def test_no_refund_over_mcp_is_doubled_or_lost_and_each_unknown_one_is_asked(
    client: Client, temporal_server: DevServer, agent_folder: Callable[..., Path], tmp_path: Path
) -> None:
    chance = random.Random(18)
    books, queue = tmp_path / "books.sqlite3", f"chaos-{uuid.uuid4()}"
    points = [chance.choice(DEADLY) for _ in range(KILLS)]
    points += ["never"] * (KILLS // 2)
    chance.shuffle(points)
    agents = agent_folder(
        "desk",
        f"""tools = ["mcp:shop/*"]
[approval]
unknown = "ops"
groups = {{ ops = ["olga"] }}
[mcp.shop]
command = ["{sys.executable}", "-S", "{SERVER}"]
env = {{ BOOKS = "{books}" }}
timeout = "5s"
""",
    )
    scripts: dict[str, Any] = {
        f"<{n}>": [Reply(calls=[Call("mcp__shop__refund", {"amount": n, "point": point})]), Reply("done")]
        for n, point in enumerate(points)
    }
    room = asyncio.Semaphore(AT_A_TIME)

    async def one(number: int) -> tuple[str, int]:
        async with room:
            run = f"{queue}-{number}"
            request = {"goal": f"<{number}>", "agent": "desk"}
            await client.start_workflow(AGENT_RUN, request, id=run, task_queue=queue)
            result, asked = await answered(client, run, books)
            return result["status"], asked

    async with (
        ScriptedModel(scripts) as model,
        supervised(worker_environment(agents, queue, model, temporal_server.address), WORKERS) as deaths,
    ):
        ends = await asyncio.gather(*(one(number) for number in range(len(points))))
    assert [status for status, _ in ends] == ["completed"] * len(points)
    booked = refunds(books)
    assert sorted(amount for _, _, amount in booked) == list(range(len(points))), "doubled or lost"
    assert len({key for _, key, _ in booked}) == len(points)
    unasked = [point for point, (_, asked) in zip(points, ends, strict=True) if not asked and _is_lost(point)]
    assert unasked == []
    marks = [mark.read_text() for mark in tmp_path.glob("died-*")]
    assert len(marks) == KILLS
    assert set(deaths) <= {-9}
    print(f"{len(marks)} kills, {len(deaths)} of them of workers, {sum(asked > 0 for _, asked in ends)} runs asked")


def _is_lost(point: str) -> bool:
    """Tells whether a kill at a point leaves a call without an answer for certain; one that comes soon may be late."""
    return point.endswith(("before", "after"))
