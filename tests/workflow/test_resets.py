"""What must happen once happens once, also where a run was reset to before it."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

from backstay.adapters.engine.history import RunHistory
from backstay.contracts.history import RunRef
from backstay.contracts.names import EFFECT
from backstay.errors import HistoryError
from backstay.testing import Attempts, Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

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

@tool(effect="read")
def look() -> str:
    """Looks, until a gate is open."""
    (HERE / "looking").touch()
    while not (HERE / "open").exists():
        time.sleep(0.02)
    return "it is to be refunded"

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

@tool(effect="once", timeout="1s")
def brief(call: ToolCall, order: str) -> str:
    """Refunds an order, with a short time limit."""
    return book(call, order)

@tool(effect="once", dedupe="tenant", dedupe_window="1s")
def shared(call: ToolCall, order: str) -> str:
    """Refunds an order, for all who ask within a second."""
    return book(call, order)

@tool(effect="once", dedupe="tenant", dedupe_window="1h")
def kept(call: ToolCall, order: str) -> str:
    """Refunds an order, for all who ask within an hour."""
    return book(call, order)

@tool(effect="once", reconcile=happened)
def shaky(call: ToolCall, order: str) -> str:
    """Does nothing at first, and does not know it."""
    mark = HERE / "tried"
    if not mark.exists():
        mark.touch()
        raise OutcomeUnknownError("no answer came")
    return book(call, order)

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
    tenant: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    async def start(self) -> WorkflowHandle[Any, Any]:
        """Starts a run of a tenant of this test's own."""
        return await self.runtime.start({"goal": "refund", "agent": "clerk", "tenant": self.tenant})

    async def back_to(self, activity: str, handle: WorkflowHandle[Any, Any], time: int = 1) -> Any:
        """Resets a run to before an activity, and returns the result of what goes on from there."""
        again = await reset(self.runtime.client, handle, activity, time)
        return await asyncio.wait_for(again.result(), 60)

    def books(self) -> list[list[str]]:
        """Each refund: order and key."""
        return [line.split() for line in (self.folder / "books.txt").read_text().splitlines()]

    def told(self) -> str:
        """All that the model was told last."""
        return self.runtime.model.requests[-1].raw.decode()


@pytest.fixture
def shop(client: Client, agent_folder: Callable[..., Path]) -> Callable[..., Any]:
    """Opens a shop whose model follows a script."""

    @asynccontextmanager
    async def opened(script: Any, **how: Any) -> AsyncGenerator[Shop]:
        agents = agent_folder(tools=TOOLS)
        async with local_runtime(script, agents=agents, client=client, **how) as runtime:
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
        assert (await open_shop.back_to("decide-1", handle))["status"] == "completed"  # of the first run, not the last
        assert len(open_shop.books()) == 1


async def test_what_another_run_did_after_the_same_point_is_not_done_again(shop: Any) -> None:
    async with shop([Reply(calls=[Call("look")]), *refunding("refund")]) as open_shop:
        handle = await open_shop.start()
        first = open_shop.runtime.client.get_workflow_handle(handle.id, run_id=handle.result_run_id)
        while not (open_shop.folder / "looking").exists():
            await asyncio.sleep(0.02)
        await handle.terminate("before it has refunded")
        (open_shop.folder / "open").touch()
        for _ in range(3):
            assert (await open_shop.back_to("act-1-0", first))["status"] == "completed"
        assert len(open_shop.books()) == 1


async def test_the_second_execution_is_not_done_again_either(shop: Any) -> None:
    async with shop(refunding("shaky")) as open_shop:
        handle = await open_shop.start()
        assert (await handle.result())["status"] == "completed"
        assert (await open_shop.back_to("act-1-0", handle, time=2))["status"] == "completed"
        assert (await open_shop.back_to("act-1-0", handle))["status"] == "completed"
        assert len(open_shop.books()) == 1


async def test_a_shared_effect_is_not_done_again_after_its_window(shop: Any) -> None:
    async with shop(refunding("shared")) as open_shop:
        handle = await open_shop.start()
        assert (await handle.result())["status"] == "completed"
        await asyncio.sleep(3)
        assert (await open_shop.back_to("act-1-0", handle))["status"] == "completed"
        assert len(open_shop.books()) == 1


async def test_a_shared_effect_that_was_reset_itself_is_asked_for(shop: Any) -> None:
    async with shop([Reply(calls=[Call("kept", {"order": "A1"})]), Reply("done")]) as open_shop:
        assert (await (await open_shop.start()).result())["status"] == "completed"
        client, queue = open_shop.runtime.client, open_shop.runtime.settings.task_queue
        query = f'WorkflowType = "{EFFECT}" AND TaskQueue = "{queue}" AND ExecutionStatus = "Running"'
        async with asyncio.timeout(20):
            while not (effects := [one async for one in client.list_workflows(query)]):
                await asyncio.sleep(0.1)
        [effect] = effects
        await reset(client, client.get_workflow_handle(effect.id, run_id=effect.run_id), "perform-1")
        assert (await (await open_shop.start()).result())["stop_reason"] == "outcome_unknown"
        assert len(open_shop.books()) == 1


async def test_a_tool_that_has_gained_a_parameter_does_nothing_again(shop: Any) -> None:
    async with shop(refunding("refund"), worker=False) as open_shop:
        handle = await open_shop.start()
        async with open_shop.runtime.serving():
            assert (await handle.result())["status"] == "completed"
        wider = TOOLS.replace(
            "refund(call: ToolCall, order: str)", 'refund(call: ToolCall, order: str, note: str = "")'
        )
        (open_shop.folder / "tools.py").write_text(wider)
        async with open_shop.runtime.serving():
            assert (await open_shop.back_to("admit", handle))["status"] == "completed"
        assert len(open_shop.books()) == 1


async def test_where_the_other_runs_cannot_be_read_the_outcome_is_unknown(
    shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreadable(*_: Any) -> list[RunRef]:
        raise HistoryError("the engine could not be asked")

    async with shop(refunding("brief")) as open_shop:
        handle = await open_shop.start()
        assert (await handle.result())["status"] == "completed"
        monkeypatch.setattr(RunHistory, "relatives", unreadable)
        assert (await open_shop.back_to("act-1-0", handle))["stop_reason"] == "outcome_unknown"
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
