"""The tools of the agent `workshop`: good ones, slow ones, and ones that misbehave in every way.

This file is copied into an agent's folder. Effects are lines of the file that the run's metadata names as `log`.
"""

import asyncio
import sys
import time
from pathlib import Path

from backstay.tools import ToolCall, ToolError, tool

FOREVER = 3600.0


def log(call: ToolCall, line: str) -> None:
    with Path(call.metadata["log"]).open("a") as file:
        file.write(line + "\n")


def effects(call: ToolCall) -> list[str]:
    return Path(call.metadata["log"]).read_text().splitlines()


def is_open(call: ToolCall, gate: str) -> bool:
    return Path(call.metadata["log"]).with_name(gate).exists()


@tool(effect="read")
async def echo(text: str) -> str:
    """Gives the text back."""
    return text


@tool(effect="write")
def add(left: int, right: int) -> int:
    """Adds two numbers."""
    return left + right


@tool(effect="read", repeatable=True)
async def poll() -> str:
    """Asks for news, and there are none."""
    return "nothing new"


@tool(effect="read")
async def count(call: ToolCall) -> int:
    """Counts how often it was called."""
    log(call, "counted")
    return len(effects(call))


@tool(effect="write")
async def note(call: ToolCall, text: str) -> str:
    """Writes a line down."""
    log(call, text)
    return "noted"


@tool(effect="write")
async def work(call: ToolCall, text: str, seconds: float) -> str:
    """Begins, takes its time, and ends."""
    log(call, f"begin {text}")
    await asyncio.sleep(seconds)
    log(call, f"end {text}")
    return f"done {text}"


@tool(effect="read")
async def look(call: ToolCall, seconds: float) -> str:
    """Looks for some time, and changes nothing."""
    log(call, "looking")
    await asyncio.sleep(seconds)
    log(call, "looked")
    return "seen"


@tool(effect="read")
async def gate(call: ToolCall, name: str = "gate") -> str:
    """Waits until a file of that name lies beside the log."""
    log(call, "at the gate")
    while not is_open(call, name):
        await asyncio.sleep(0.02)
    return "open"


@tool(effect="once")
def block(call: ToolCall, seconds: float) -> str:
    """Blocks its thread."""
    log(call, "begin block")
    time.sleep(seconds)
    log(call, "end block")
    return "unblocked"


@tool(effect="once")
async def stubborn(call: ToolCall, seconds: float) -> str:
    """Takes its time, and does not listen to a cancellation."""
    log(call, "begin stubborn")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            await asyncio.sleep(end - time.monotonic())
        except asyncio.CancelledError:
            log(call, "not listening")
    log(call, "end stubborn")
    return "finished all the same"


@tool(effect="read")
async def refuse() -> str:
    """Refuses."""
    raise ToolError("the shop is closed")


@tool(effect="read")
async def crash(text: str) -> str:
    """Raises an exception of its own."""
    raise ZeroDivisionError(text)


@tool(effect="read")
async def leave() -> str:
    """Wants to end the process from a coroutine."""
    sys.exit(3)


@tool(effect="read")
def leave_thread() -> str:
    """Wants to end the process from a thread."""
    raise SystemExit(3)


@tool(effect="read")
async def interrupt() -> str:
    """Acts as if a person had pressed Ctrl-C."""
    raise KeyboardInterrupt


@tool(effect="read")
async def generate() -> str:
    """Ends an iteration that nobody began."""
    raise StopAsyncIteration


@tool(effect="read")
async def odd() -> object:
    """Returns what no JSON can carry."""
    return object()


@tool(effect="read")
async def circle() -> object:
    """Returns a list that holds itself."""
    round_trip: list[object] = []
    round_trip.append(round_trip)
    return round_trip


@tool(effect="read")
async def huge(size: int) -> str:
    """Returns more than anybody wants to read."""
    return "x" * size


@tool(effect="read")
async def broken_text() -> str:
    """Returns half a character."""
    return "half \ud800 a pair"


@tool(effect="read")
async def broken_key() -> dict[str, str]:
    """Returns half a character inside of a structure."""
    return {"\ud800": "\udfff"}


@tool(effect="read")
async def loud() -> str:
    """Prints what it should return."""
    print("printed by a tool")
    return "quiet"


@tool(effect="read", timeout="300ms")
async def slow_read(call: ToolCall) -> str:
    """Never ends in time, and changes nothing."""
    log(call, "tried")
    await asyncio.sleep(FOREVER)
    return "never"


@tool(effect="once", timeout="300ms")
async def slow_once(call: ToolCall) -> str:
    """Never ends in time, and may have had its effect."""
    log(call, "tried")
    await asyncio.sleep(FOREVER)
    return "never"


@tool(effect="read", timeout="300ms")
def stuck_read(call: ToolCall) -> str:
    """Blocks its thread for much longer than it may."""
    log(call, "tried")
    time.sleep(6)
    return "never"


@tool(effect="once", timeout="300ms")
async def deaf_once(call: ToolCall, seconds: float) -> str:
    """Outlives its time limit, and returns a value all the same."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            await asyncio.sleep(end - time.monotonic())
        except asyncio.CancelledError:
            log(call, "not listening")
    return "finished all the same"


@tool(effect="read")
async def mark(text: str) -> str:
    """Gives the text back in reverse, between angle brackets."""
    return f"<{text[::-1]}>"
