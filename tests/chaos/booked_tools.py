"""Tools that write down what they did, each call on a line with its idempotency key and what it cost."""

import json
from pathlib import Path

from .run_books import Effect

TOOLS = '''
import asyncio
import json
import os
from pathlib import Path
from backstay.tools import NOT_HAPPENED, Happened, ToolCall, tool

BOOKS = Path(os.environ["BOOKS"])

def book(call: ToolCall, name: str, once: bool, usd: int) -> None:
    line = json.dumps({"tool": name, "key": call.idempotency_key, "once": once, "usd": usd}) + "\\n"
    descriptor = os.open(BOOKS / call.run_id, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line.encode())
    os.close(descriptor)

def booked(call: ToolCall, n: int, sleep: float, fails: bool = False):
    file = BOOKS / call.run_id
    keys = [json.loads(line)["key"] for line in file.read_text().splitlines()] if file.exists() else []
    return Happened(f"sent {n}") if call.idempotency_key in keys else NOT_HAPPENED

async def effect(
    call: ToolCall, name: str, n: int, sleep: float, fails: bool, *, once: bool = False, usd: int = 0
) -> str:
    await asyncio.sleep(sleep / 2)
    book(call, name, once, usd)
    await asyncio.sleep(sleep / 2)
    if fails:
        raise ValueError(f"no {n}")
    return f"{name} {n}"

@tool(effect="read")
async def look(call: ToolCall, n: int, sleep: float, fails: bool = False) -> str:
    """Looks something up."""
    return await effect(call, "look", n, sleep, fails)

@tool(effect="write", cost="0.004")
async def store(call: ToolCall, n: int, sleep: float, fails: bool = False) -> str:
    """Stores something, for money."""
    if n % 2:
        call.report_cost("0.0015")
    return await effect(call, "store", n, sleep, fails, usd=1_500 if n % 2 else 4_000)

@tool(effect="once", reconcile=booked)
async def send(call: ToolCall, n: int, sleep: float, fails: bool = False) -> str:
    """Sends something, and keeps a list of what it sent."""
    return await effect(call, "send", n, sleep, fails, once=True)

@tool(effect="once", timeout="2s")
async def call_out(call: ToolCall, n: int, sleep: float, fails: bool = False) -> str:
    """Does what nobody can look up."""
    return await effect(call, "call_out", n, sleep, fails, once=True)
'''
NAMES = ("look", "look", "store", "store", "send", "call_out")


def effects_in(file: Path) -> list[Effect]:
    """Returns the notes of the tools about a run."""
    return [Effect(**json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []
