"""A shop with runs that refund orders on a server that can be killed: nothing may be refunded twice, or not at all."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.service import RPCError

from backstay.adapters.engine.asking import queried
from backstay.adapters.engine.dev_server import dev_server, free_port
from backstay.client.connection import connect
from backstay.contracts.names import AGENT_RUN
from backstay.testing import Call, Reply, Request, ScriptedModel
from backstay.testing.model.script import Turn
from backstay.testing.model.wire import assistant_turns

from .worker_process import SOAK, supervised, worker_environment

PATIENCE = 3_000.0 if SOAK else 180.0
DECISIONS = 100
ASKED = ("wire", "payout")
"""The tools that cannot tell what became of a call: people are asked."""

TOOLS = '''
import sqlite3
import time
from pathlib import Path
from backstay.tools import NOT_HAPPENED, Happened, ToolCall, tool

HERE = Path(__file__).parent

def stop_at(here: str, point: str, gate: str, call: ToolCall) -> None:
    """Waits at the point that was asked for, once in each run, until the test opens a gate."""
    mark = HERE / f"at-{call.run_id}"
    if here != point or mark.exists():
        return
    mark.touch()
    while not (HERE / gate).exists():
        time.sleep(0.01)

def book(sql: str, *values: object) -> list[tuple[str]]:
    db = sqlite3.connect(HERE / "books.sqlite3", timeout=30, isolation_level=None)
    db.execute("CREATE TABLE IF NOT EXISTS refunds (key TEXT, order_id TEXT)")
    try:
        return db.execute(sql, values).fetchall()
    finally:
        db.close()

@tool(effect="read", timeout="{LIMIT}")
def look(call: ToolCall, order: str, point: str) -> str:
    """Looks an order up."""
    stop_at("before", point, "gone", call)
    return "it is to be refunded"

def repay(sql: str, call: ToolCall, order: str, point: str) -> str:
    stop_at("while", point, "gone", call)
    stop_at("all along", point, "back", call)
    pause = 0.3 if point == "any" else 0
    time.sleep(pause)
    book(sql, call.idempotency_key, order)
    time.sleep(pause)
    stop_at("committed", point, "gone", call)
    stop_at("returned", point, "go", call)
    return f"refunded {order}"

def happened(call: ToolCall, order: str, point: str):
    rows = book("SELECT key FROM refunds WHERE key = ?", call.idempotency_key)
    return Happened(f"refunded {order}") if rows else NOT_HAPPENED

ALWAYS = "INSERT INTO refunds VALUES (?, ?)"
NEW = "INSERT INTO refunds SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM refunds WHERE key = ?1)"

@tool(effect="once", timeout="{LIMIT}", reconcile=happened)
def refund(call: ToolCall, order: str, point: str) -> str:
    """Refunds an order; can tell later whether it did."""
    return repay(ALWAYS, call, order, point)

@tool(effect="once", timeout="{LIMIT}")
def wire(call: ToolCall, order: str, point: str) -> str:
    """Refunds an order; nobody but people can tell whether it did."""
    return repay(ALWAYS, call, order, point)

@tool(effect="write", timeout="{LIMIT}")
def credit(call: ToolCall, order: str, point: str) -> str:
    """Refunds an order, once for each key."""
    return repay(NEW, call, order, point)

@tool(effect="once", timeout="{LIMIT}")
def payout(call: ToolCall, order: str, point: str) -> str:
    """Refunds an order, with a person's consent."""
    return repay(ALWAYS, call, order, point)
'''.replace("{LIMIT}", "90s" if SOAK else "25s")

TOML = """
[approval]
require = { payout = "finance" }
unknown = "ops"
groups = { finance = ["alice"], ops = ["olga"] }
[budget]                 # every attempt at a decision whose end is lost counts as billed
steps = 100
tool_calls = 60
tokens = 2_000_000
usd = "20"
seconds = 7_200
"""


class Server:
    """A server with a file database: `restart` kills it, and starts it on the same port and database."""

    def __init__(self, database: Path) -> None:
        self.port = free_port()
        self._database = database
        self._stack = contextlib.AsyncExitStack()
        self._pid = 0

    @property
    def address(self) -> str:
        """The address that it listens at."""
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Starts it, and waits until it answers."""
        running = await self._stack.enter_async_context(dev_server(port=self.port, database=self._database))
        self._pid = running.pid

    def kill(self) -> None:
        """Ends it in the middle of whatever it does."""
        os.kill(self._pid, signal.SIGKILL)

    async def end(self) -> None:
        """Waits until it is gone, and lets go of it."""
        await self._stack.aclose()

    async def restart(self, outage: float) -> None:
        """Starts it again that many seconds after it was killed."""
        await self.end()
        await asyncio.sleep(outage)
        await self.start()


@contextlib.asynccontextmanager
async def restartable(database: Path) -> AsyncGenerator[Server]:
    """A server of one's own."""
    server = Server(database)
    await server.start()
    try:
        yield server
    finally:
        await server.end()


class Shop:
    """Runs that refund orders, the server and the worker they run on, and the books in which each refund is counted.

    `asked` are the runs that asked people what became of a call, `deaths` the exit codes of workers that ended.
    The tools that a run's refunds are made with is the last word of its id but one.
    """

    def __init__(self, client: Client, server: Server, folder: Path, deaths: list[int], runs: Sequence[str]) -> None:
        self._client = client
        self._runs = runs
        self.asked: list[str] = []
        self.deaths = deaths
        self.server = server
        self.folder = folder

    async def start(self, queue: str) -> None:
        """Starts all runs."""
        for run in self._runs:
            await self._client.start_workflow(
                AGENT_RUN, {"goal": f"<{run}>", "agent": "clerk"}, id=run, task_queue=queue
            )

    def open(self, gate: str) -> None:
        """Lets the calls that wait at a gate go on."""
        (self.folder / gate).touch()

    async def arrived(self) -> None:
        """Waits until each run stands at its point, or waits for a person."""
        async with asyncio.timeout(PATIENCE):
            for run in self._runs:
                while not (self.folder / f"at-{run}").exists() and not await self._pending(run):
                    await asyncio.sleep(0.05)

    async def seen_through(self) -> list[str]:
        """Returns the results of the runs; what they ask on the way is answered by the books."""
        async with asyncio.timeout(PATIENCE):
            return await asyncio.gather(*(self._seen_through(self._client.get_workflow_handle(r)) for r in self._runs))

    async def lost(self) -> set[str]:
        """The runs of tools that cannot tell, of which the engine has lost a call out of sight."""
        return {run for run in self._runs if run.split("-")[-2] in ASKED and await self._lost(run)}

    async def begun(self) -> None:
        """Waits until the first refund is in the books: a worker serves."""
        refunds: list[tuple[str, str]] = []
        while not refunds:
            await asyncio.sleep(0.1)
            with contextlib.suppress(sqlite3.OperationalError):  # the worker has not opened them yet
                refunds = self.books()

    def books(self) -> list[tuple[str, str]]:
        """The key and the order of every refund there was."""
        with contextlib.closing(sqlite3.connect(self.folder / "books.sqlite3", timeout=30)) as db:
            return list(db.execute("SELECT key, order_id FROM refunds"))

    async def _seen_through(self, handle: WorkflowHandle[Any, Any]) -> str:
        while True:
            with contextlib.suppress(RPCError):  # the server is away
                if (await handle.describe()).status is not WorkflowExecutionStatus.RUNNING:
                    try:
                        return (await handle.result())["status"]
                    except WorkflowFailureError as error:
                        return f"{handle.id} failed: {error.cause!r}"
                for approval in await self._pending(handle.id):
                    await self._answer(handle, approval)
            await asyncio.sleep(0.2)

    async def _lost(self, run: str) -> bool:
        """Tells whether the engine has lost sight of a call of a run."""
        events = [event async for event in self._client.get_workflow_handle(run).fetch_history_events()]
        scheduled = {event.event_id: event.activity_task_scheduled_event_attributes for event in events}
        over = [e.activity_task_timed_out_event_attributes for e in events]
        ids = [scheduled[e.scheduled_event_id].activity_id for e in over if e.scheduled_event_id]
        return any(one.startswith("act-") for one in ids)

    async def _pending(self, run: str) -> list[dict[str, Any]]:
        return (await queried(self._client.get_workflow_handle(run), "status", (), timedelta(seconds=10)))[
            "pending_approvals"
        ]

    async def _answer(self, handle: WorkflowHandle[Any, Any], approval: dict[str, Any]) -> None:
        approval_id = approval["approval_id"]
        if approval["kind"] == "action":
            await handle.execute_update("approve", {"approval_id": approval_id, "by": "alice"}, id=approval_id)
            return
        assert approval["kind"] == "outcome_unknown"
        self.asked.append(handle.id)
        done = any(order == approval["args"]["order"] for _, order in self.books())
        said = {"approval_id": approval_id, "by": "olga", "answer": "happened" if done else "not_happened"}
        await handle.execute_update("answer", {**said, "result": "refunded"} if done else said, id=approval_id)


@contextlib.asynccontextmanager
async def open_shop(agents: Path, database: Path, scripts: Mapping[str, Sequence[Turn]]) -> AsyncGenerator[Shop]:
    """A shop on a server and a worker process of its own, with a run for each script, all of them started."""
    queue = f"shop-{uuid.uuid4()}"
    runs = {f"{queue}-{name}": script for name, script in scripts.items()}
    said: dict[str, Any] = {f"<{run}>": script for run, script in runs.items()}
    async with restartable(database) as server, ScriptedModel(said) as model:
        client = await connect(target_host=server.address, namespace="default")
        async with supervised(worker_environment(agents, queue, model, server.address)) as deaths:
            shop = Shop(client, server, agents / "clerk", deaths, list(runs))
            await shop.start(queue)
            yield shop


def refunds(tool: str, orders: Sequence[str], point: str, delay: float = 0) -> list[Turn]:
    """Returns the script of a run that looks each order up and refunds it, and stops at a point on the way.

    Its place is what the conversation shows: a decision that was lost on the way is made again.
    """
    said = [
        *(
            Reply(calls=[Call(name, {"order": order, "point": point})], delay=delay)
            for order in orders
            for name in ("look", tool)
        ),
        Reply("done"),
    ]

    def turn(request: Request) -> Reply:
        return said[assistant_turns(request.api, request.body)]

    return [turn] * DECISIONS
