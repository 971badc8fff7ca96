"""A shop that refunds for one tenant: its tools, its limits, its own books, and eyes on the books of its ledgers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHandle

from backstay.contracts import names
from backstay.contracts.ledger import LedgerView
from backstay.contracts.run import RunResult
from backstay.kernel.keys import ledger_id
from backstay.kernel.ledger_sums import Sum
from backstay.kernel.meter import format_amount
from backstay.testing import Call
from backstay.testing.runtime import LocalRuntime

PATIENCE = 60.0
TOOLS = '''
import asyncio
from decimal import Decimal
from pathlib import Path
from backstay.tools import OutcomeUnknownError, ToolCall, ToolError, tool

BOOKS = Path(__file__).with_name("books.txt")

def note(line: str) -> str:
    with BOOKS.open("a") as file:
        file.write(line + "\\n")
    return line

@tool(effect="write", exposure={"refunds_usd": lambda amount: amount})
async def refund(order: str, amount: Decimal) -> str:
    """Refunds an order."""
    await asyncio.sleep(0.05)
    return note(f"{order} {amount}")

@tool(effect="once", exposure={"refunds_usd": lambda amount: amount})
async def refund_once(call: ToolCall, amount: Decimal, end: str = "done") -> str:
    """Refunds, and may not know whether it did, or wait for a gate."""
    if end == "refused":
        raise ToolError("the bank is closed")
    while end == "waits" and not Path(call.metadata["gate"]).exists():
        await asyncio.sleep(0.05)
    note(f"once {amount}")
    if end == "unknown":
        raise OutcomeUnknownError("the line was cut")
    return "refunded"
'''
DAY = """
[approval]
groups = { finance = ["alice", "bob"], board = ["ben", "bea"] }
[budget]
tool_calls = 100
[stop]
denials = 20
[exposure.refunds_usd]
day = "1000"
"""
ASK = DAY + 'on_exceed = "ask:finance"\n'
LARGE = """
@id("large") @approval("board") @reason("the board releases large refunds")
forbid(principal, action == Action::"refund", resource) when { context.input.amount.greaterThan(decimal("300.0")) };
"""

Handle = WorkflowHandle[Any, Any]


def refunds(count: int, amount: Any = 99) -> list[Call]:
    return [Call("refund", {"order": f"A{number}", "amount": amount}) for number in range(count)]


def once(amount: Any, end: str = "done") -> Call:
    return Call("refund_once", {"amount": amount, "end": end})


class Shop:
    """A shop that refunds for one tenant, its own books, and those of the ledgers."""

    def __init__(self, runtime: LocalRuntime, tenant: str, folder: Path) -> None:
        self.runtime = runtime
        self.tenant = tenant
        self.folder = folder
        self.gate = folder / "gate"

    @property
    def books(self) -> list[Decimal]:
        """The amounts that were truly refunded."""
        file = self.folder / "books.txt"
        return [Decimal(line.split()[-1]) for line in file.read_text().splitlines()] if file.exists() else []

    async def start(self, goal: str = "refund", **more: Any) -> Handle:
        given = {"goal": goal, "agent": "shop", "tenant": self.tenant, "metadata": {"gate": str(self.gate)}}
        return await self.runtime.start({**given, "requested_by": "rita", **more})

    async def result(self, goal: str = "refund", **more: Any) -> RunResult:
        return await ended(await self.start(goal, **more))

    def ledger(self) -> Handle:
        return self.runtime.client.get_workflow_handle(ledger_id(self.tenant))

    async def day(self, account: str = "tenant") -> tuple[str, str]:
        """Returns what the ledger has spent and holds today."""
        answer: Any = await self.ledger().query(names.BOOKS)
        view = LedgerView.model_validate(answer)
        day = max((key for key in view.books.ends if len(key) == len("2026-11-30")), default="")
        found: Sum = view.books.sums.at(account, "exposure:refunds_usd", day)
        return format_amount(found.spent), format_amount(found.held)

    async def until(self, holds: Callable[[], Any]) -> Any:
        async with asyncio.timeout(PATIENCE):
            while not (found := await holds()):
                await asyncio.sleep(0.05)
        return found

    async def asked(self, handle: Handle, but: str = "") -> dict[str, Any]:
        """Waits for the one open approval, beside `but`."""
        [one] = await self.all_asked(handle, 1, but)
        return one

    async def all_asked(self, handle: Handle, count: int, but: str = "") -> list[dict[str, Any]]:
        """Waits for so many open approvals, beside `but`."""

        async def pending() -> list[dict[str, Any]]:
            found = (await handle.query("status"))["pending_approvals"]
            found = [one for one in found if one["approval_id"] != but]
            return found if len(found) == count else []

        return await self.until(pending)

    def told(self, number: int = -1) -> str:
        """A request that the model read."""
        return self.runtime.model.requests[number].raw.decode()


async def ended(handle: Handle) -> RunResult:
    return RunResult.model_validate(await asyncio.wait_for(handle.result(), PATIENCE))


async def facts(handle: Handle, event: str) -> list[dict[str, Any]]:
    records = (await handle.query(names.AUDIT))["items"]
    return [record["facts"] for record in records if record["event"] == event]


async def activities(handle: Handle) -> list[str]:
    """The activities that a run asked for, but for those that judge: verdicts may have come with the decision."""
    asked = [
        event.activity_task_scheduled_event_attributes.activity_type.name
        async for event in handle.fetch_history_events()
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    return [name for name in asked if name != names.AUTHORIZE]


Opener = Callable[..., AbstractAsyncContextManager[Shop]]
