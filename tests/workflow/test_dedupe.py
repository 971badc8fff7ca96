"""An identical effect happens once: whoever asks for it gets the first one's result, whenever and wherever it asks."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.client import (
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError

from backstay.connection import connect
from backstay.testing import Call, Reply
from backstay.testing.local_runtime import LocalRuntime, local_runtime

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from temporalio.client import Client, WorkflowHandle

    Opener = Callable[..., AbstractAsyncContextManager["Shop"]]
    Quickly = Callable[[float], AbstractAsyncContextManager[None]]

PAIRS = 50 if os.environ.get("BACKSTAY_SOAK") == "1" else 10
PATIENCE = 40.0
KILL = {"by": "olga", "reason": "enough"}
TOOLS = '''
import asyncio
from pathlib import Path
from backstay.tools import NOT_HAPPENED, Happened, ToolCall, ToolError, tool

HERE = Path(__file__).parent

def log(line: str) -> int:
    with (HERE / "log.txt").open("a") as file:
        file.write(line + "\\n")
    return len((HERE / "log.txt").read_text().splitlines())

def there(name: str) -> bool:
    return (HERE / name).exists()

async def gate(name: str) -> None:
    while not there(name):
        await asyncio.sleep(0.02)

def ask(call: ToolCall, order: str):
    log(f"asked {call.idempotency_key}")
    lines = (HERE / "log.txt").read_text().splitlines()
    return Happened(f"sent {order}") if f"sent {order} {call.idempotency_key}" in lines else NOT_HAPPENED

@tool(effect="write", dedupe="tenant", cost="0.01")
async def refund(call: ToolCall, order: str, amount: int = 5) -> str:
    """Refunds an order."""
    number = log(f"refund {order} {amount} {call.tenant} {call.idempotency_key}")
    await asyncio.sleep(0.05)
    return f"receipt {number}"

@tool(effect="write", dedupe="tenant")
async def credit(call: ToolCall, order: str, amount: int = 5) -> str:
    """Credits an order."""
    return f"credit {log(f'credit {order}')}"

@tool(effect="once", dedupe="run")
async def mail(call: ToolCall, order: str) -> str:
    """Mails about an order."""
    return f"mail {log(f'mail {order}')}"

@tool(effect="write", dedupe="tenant", dedupe_window="2s")
async def brief(order: str) -> str:
    """Does not remember for long."""
    return f"brief {log('brief')}"

@tool(effect="write", dedupe="tenant")
async def moody(order: str) -> str:
    """Fails until a file says otherwise."""
    number = log("moody")
    await gate("go")
    if not there("well"):
        raise ToolError(f"not today {number}")
    return f"well {number}"

@tool(effect="write", dedupe="tenant")
async def slow(call: ToolCall, order: str) -> str:
    """Takes its time."""
    log(f"begin {order} {call.idempotency_key}")
    try:
        await gate("go")
    except asyncio.CancelledError:
        log(f"cut {order}")
        raise
    return f"slow {log(f'end {order}')}"

@tool(effect="once", dedupe="tenant")
async def slow_once(call: ToolCall, order: str) -> str:
    """Takes its time, and must happen once."""
    log(f"begin {order}")
    await gate("go")
    return f"slow {log(f'end {order}')}"

@tool(effect="once", dedupe="tenant", timeout="500ms")
async def lost(call: ToolCall, order: str) -> str:
    """Nobody sees the end of the first attempt."""
    if log(f"lost {order}") == 1:
        await asyncio.sleep(30)
    return f"found {order}"

@tool(effect="once", dedupe="tenant", timeout="500ms", reconcile=ask)
async def send(call: ToolCall, order: str) -> str:
    """Nobody sees the end of the first attempt, but the tool can be asked."""
    number = log(f"try {order}")
    if number > 1 or there("commits"):
        log(f"sent {order} {call.idempotency_key}")
    if number == 1:
        await asyncio.sleep(30)
    return f"sent {order}"
'''
POLICY = """
permit(principal, action, resource);
"""


class Shop:
    """A runtime whose agent `clerk` makes the calls that its goal spells as JSON, all of them in one step."""

    def __init__(self, runtime: LocalRuntime, folder: Path) -> None:
        self.runtime = runtime
        self.folder = folder

    async def start(self, *calls: tuple[str, dict[str, Any]], tenant: str = "acme") -> WorkflowHandle[Any, Any]:
        """Starts a run that makes these calls at once."""
        return await self.runtime.start({"goal": json.dumps(calls), "agent": "clerk", "tenant": tenant})

    async def results(self, handle: WorkflowHandle[Any, Any]) -> list[str]:
        """What the calls of a run brought, once it has ended."""
        await asyncio.wait_for(handle.result(), PATIENCE)
        items = (await handle.query("transcript"))["items"]
        return [item["text"] for item in items if item["kind"] == "result"]

    async def run(self, *calls: tuple[str, dict[str, Any]], tenant: str = "acme") -> list[str]:
        """What the calls of a new run bring."""
        return await self.results(await self.start(*calls, tenant=tenant))

    def lines(self, start: str = "") -> list[str]:
        """The effects so far."""
        file = self.folder / "log.txt"
        return [line for line in file.read_text().splitlines() if line.startswith(start)] if file.exists() else []

    def touch(self, name: str) -> None:
        """Opens a gate of the tools."""
        (self.folder / name).touch()

    async def until(self, holds: Callable[[], Any]) -> None:
        """Waits until a condition holds."""
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, f"the condition did not come to hold: {self.lines()}"
            await asyncio.sleep(0.02)

    async def effects(self) -> list[Any]:
        """The descriptions of all effects of this runtime."""
        query = f"WorkflowType='Effect' AND TaskQueue='{self.runtime.settings.task_queue}'"
        return [one async for one in self.runtime.client.list_workflows(query)]

    async def effect(self, handle: WorkflowHandle[Any, Any], claims: int = 1) -> WorkflowHandle[Any, Any]:
        """The one effect, once so many claims have reached it."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for one in await self.effects():
                found = self.runtime.client.get_workflow_handle(one.id)
                events = [event async for event in found.fetch_history_events()]
                accepted = [e for e in events if e.HasField("workflow_execution_update_accepted_event_attributes")]
                if len(accepted) >= claims:
                    return found
            await asyncio.sleep(0.05)
        raise AssertionError("there is no such effect")

    @contextlib.asynccontextmanager
    async def worker(self, **options: Any) -> AsyncGenerator[None]:
        """Another worker, on a connection of its own."""
        address = self.runtime.client.service_client.config.target_host
        client = await connect(target_host=address, namespace=self.runtime.client.namespace)
        async with dataclasses.replace(self.runtime, client=client).serving(**options):
            yield
