"""The tools of the agent `desk`; their effects are lines of a file beside this one."""

import asyncio
from pathlib import Path

import aiohttp
import httpx2
import requests

from backstay.tools import NOT_HAPPENED, Happened, ToolCall, ToolError, tool

BOOK = Path(__file__).with_name("book.txt")
REQUEST = httpx2.Request("POST", "https://bank.example/charges")
ERRORS: dict[str, BaseException] = {
    "timeout": TimeoutError("the bank is slow"),
    "reset": ConnectionResetError("by peer"),
    "httpx": httpx2.ReadError("", request=REQUEST),
    "aiohttp": aiohttp.ServerDisconnectedError(),
    "requests": requests.ConnectionError("aborted"),
    "cancelled": asyncio.CancelledError(),
    "group": ExceptionGroup("both", [ValueError("x"), TimeoutError("slow")]),
    "value": ValueError("no such order"),
    "refused": ToolError("the shop is closed"),
}


def write(call: ToolCall, line: str) -> None:
    with BOOK.open("a") as file:
        file.write(f"{call.run_id} {line}\n")


def booked(call: ToolCall) -> bool:
    lines = BOOK.read_text().splitlines() if BOOK.exists() else []
    return any(line.endswith(call.idempotency_key) for line in lines)


def ask(call: ToolCall, error: str) -> object:
    return Happened("charged, says the bank") if booked(call) else NOT_HAPPENED


def lost(error: str) -> BaseException:
    if error != "wrapped":
        return ERRORS[error]
    try:
        raise RuntimeError("the charge failed") from ERRORS["timeout"]
    except RuntimeError as wrapped:
        return wrapped


@tool(effect="once", reconcile=ask)
async def charge(call: ToolCall, error: str) -> str:
    """Charges a card, and loses the answer."""
    write(call, f"charged {call.idempotency_key}")
    raise lost(error)


@tool(effect="once")
async def transfer(call: ToolCall, error: str) -> str:
    """Transfers money, loses the answer, and cannot tell."""
    write(call, f"charged {call.idempotency_key}")
    raise lost(error)


@tool(effect="once", dedupe="run", reconcile=ask)
async def settle(call: ToolCall, error: str) -> str:
    """Charges once for all identical calls, and loses the answer."""
    write(call, f"charged {call.idempotency_key}")
    raise lost(error)


@tool(effect="once")
async def refund(call: ToolCall, order: str) -> str:
    """Refunds an order; two people of finance have to say yes."""
    write(call, f"refunded {order}")
    return "refunded"


@tool(effect="read")
async def look(key: str) -> str:
    """Looks something up; later keys answer sooner."""
    await asyncio.sleep(0.2 if key == "slow" else 0)
    return f"value {key}"


@tool(effect="once")
async def press(call: ToolCall, key: str) -> str:
    """Presses a key."""
    write(call, f"pressed {key}")
    return "ok"


@tool(effect="once")
async def erase(disk: str) -> str:
    """Is always forbidden."""
    return f"erased {disk}"
