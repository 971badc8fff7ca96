"""What must happen once happens once, also where a run was reset to before it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

from backstay.testing import Attempts, Call, Reply
from backstay.testing.local_runtime import LocalRuntime, local_runtime

from .resets import reset

TOOLS = '''
import time
from pathlib import Path
from backstay.errors import OutcomeUnknownError, ToolError
from backstay.tools import NOT_HAPPENED, Happened, ToolCall, tool

HERE = Path(__file__).parent
BOOKS = HERE / "books.txt"

def book(call: ToolCall, order: str) -> str:
    with BOOKS.open("a") as file:
        file.write(f"{order} {call.idempotency_key}\\n")
    return f"refund {BOOKS.read_text().count(order + ' ')} of {order}"

def happened(call: ToolCall, order: str):
    booked = BOOKS.exists() and call.idempotency_key in BOOKS.read_text()
    return Happened(f"refunded {order} before") if booked else NOT_HAPPENED

@tool(effect="once")
def refund(call: ToolCall, order: str) -> str:
    """Refunds an order."""
    return book(call, order)

@tool(effect="once")
def doubtful(call: ToolCall, order: str) -> str:
    """Refunds an order, and cannot tell."""
    book(call, order)
    raise OutcomeUnknownError("no answer came")

@tool(effect="once")
def flawed(call: ToolCall, order: str) -> str:
    """Refuses at first."""
    book(call, order)
    if BOOKS.read_text().count("\\n") == 1:
        raise ToolError("not today")
    return "refunded"

@tool(effect="once", timeout="3s", reconcile=happened)
def slow(call: ToolCall, order: str) -> str:
    """Refunds an order, after some time."""
    (HERE / "begun").touch()
    time.sleep(2)
    return book(call, order)
'''


@dataclass(slots=True)
class Shop:
    """A runtime with a tool of each kind, and the books of what they did."""

    runtime: LocalRuntime
    folder: Path

    async def start(self) -> WorkflowHandle[Any, Any]:
        """Starts a run."""
        return await self.runtime.start({"goal": "refund", "agent": "clerk"})

    async def back_to(self, activity: str, handle: WorkflowHandle[Any, Any]) -> Any:
        """Resets a run to before an activity, and returns the result of what goes on from there."""
        again = await reset(self.runtime.client, handle, activity)
        return await asyncio.wait_for(again.result(), 60)

    def books(self) -> list[list[str]]:
        """Each refund: order and key."""
        return [line.split() for line in (self.folder / "books.txt").read_text().splitlines()]

    def told(self) -> str:
        """All that the model was told last."""
        return self.runtime.model.requests[-1].raw.decode()


@pytest.fixture
def shop(client: Client, agent_folder: Callable[..., Path]) -> Callable[[Any], Any]:
    """Opens a shop whose model follows a script."""

    @asynccontextmanager
    async def opened(script: Any) -> AsyncGenerator[Shop]:
        agents = agent_folder(tools=TOOLS)
        async with local_runtime(script, agents=agents, client=client) as runtime:
            yield Shop(runtime, agents / "clerk")

    return opened


def refunding(tool: str) -> list[Any]:
    return [Reply(calls=[Call(tool, {"order": "A1"})]), Reply("done")]


async def test_what_was_done_before_a_reset_is_not_done_again(shop: Any) -> None:
    async with shop(refunding("refund")) as open_shop:
        handle = await open_shop.start()
        first = await handle.result()
        again = await open_shop.back_to("act-1-0", handle)
        assert (again["answer"], again["spent"]["tools"]) == (first["answer"], first["spent"]["tools"])
        assert "refund 1 of A1" in open_shop.told()
        again = await reset(open_shop.runtime.client, handle, "decide-1")  # a reset of the first run, not the last
        assert (await again.result())["status"] == "completed"
        assert len(open_shop.books()) == 1


async def test_what_nobody_knew_before_a_reset_is_asked_for_again(shop: Any) -> None:
    async with shop(refunding("doubtful")) as open_shop:
        handle = await open_shop.start()
        assert (await handle.result())["stop_reason"] == "outcome_unknown"
        assert (await open_shop.back_to("act-1-0", handle))["stop_reason"] == "outcome_unknown"
        assert len(open_shop.books()) == 1


async def test_what_was_being_done_at_a_reset_is_waited_for(shop: Any) -> None:
    async with shop(refunding("slow")) as open_shop:
        handle = await open_shop.start()
        while not (open_shop.folder / "begun").exists():
            await asyncio.sleep(0.02)
        assert (await open_shop.back_to("act-1-0", handle))["status"] == "completed"
        assert "refunded A1 before" in open_shop.told()
        assert len(open_shop.books()) == 1


async def test_what_failed_before_a_reset_is_tried_again(shop: Any) -> None:
    async with shop(refunding("flawed")) as open_shop:
        handle = await open_shop.start()
        assert (await handle.result())["status"] == "completed"
        assert (await open_shop.back_to("act-1-0", handle))["status"] == "completed"
        assert len(open_shop.books()) == 2
        assert len({key for _, key in open_shop.books()}) == 1


async def test_another_call_at_the_same_place_is_done_under_a_key_of_its_own(shop: Any) -> None:
    first = Attempts(*(Reply(calls=[Call("refund", {"order": order})]) for order in ("A1", "B2")))
    async with shop([first, Reply("done")]) as open_shop:
        handle = await open_shop.start()
        await handle.result()
        assert (await open_shop.back_to("decide-1", handle))["status"] == "completed"
        (order, key), (other_order, other_key) = open_shop.books()
        assert (order, other_order) == ("A1", "B2")
        assert key != other_key
