"""The tools of the agent `clerk`, whose effects identical calls share. This file is copied into its folder.

Effects are lines of `log.txt`; a file of a name lets a tool go on, or changes what it does.
"""

import asyncio
from pathlib import Path

from backstay.tools import NOT_HAPPENED, Happened, ToolCall, ToolError, tool

HERE = Path(__file__).parent


def log(line: str) -> int:
    with (HERE / "log.txt").open("a") as file:
        file.write(line + "\n")
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


@tool(effect="once", dedupe="tenant", timeout="5s", reconcile=ask)
async def wire(call: ToolCall, order: str) -> str:
    """Happens, and then takes its time."""
    log(f"sent {order} {call.idempotency_key}")
    await gate("go")
    return f"sent {order}"


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


@tool(effect="write", dedupe="tenant")
async def severed(call: ToolCall, order: str) -> str:
    """Performs, and loses the answer the first time."""
    if log(f"severed {order} {call.idempotency_key}") == 1:
        raise ConnectionResetError("by peer")
    return f"severed {order}"
