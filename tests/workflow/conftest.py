"""A workshop: an agent whose tools do all that tools may do, and eyes on the runs it works on."""

import asyncio
import contextlib
import dataclasses
import inspect
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from backstay.client.connection import connect
from backstay.contracts import names
from backstay.contracts.run import RunResult
from backstay.testing.runtime import LocalRuntime, local_runtime

from .refund_shop import DAY, Shop
from .refund_shop import TOOLS as SHOP_TOOLS
from .refund_shop import Opener as ShopOpener

PATIENCE = 40.0
TOOLS = Path(__file__).with_name("workshop.py")

Handle = WorkflowHandle[Any, Any]


class Workshop:
    """A runtime with the agent `workshop`; `log` is where its tools write down their effects."""

    def __init__(self, runtime: LocalRuntime, log: Path) -> None:
        self.runtime = runtime
        self.model = runtime.model
        self.log = log

    async def start(self, **request: Any) -> Handle:
        """Starts a run with a goal of its own, where `request` has none."""
        return await self.runtime.start({**self.request(), **request})

    async def at_the_gate(self) -> Handle:
        """A run of the script `GATE, ...`, whose first call waits until the gate is opened."""
        handle = await self.start()
        await self.effects("at the gate")
        return handle

    async def resting(self) -> Handle:
        """A run of the script `GATE, ...` that is paused after its first call, with nothing under way."""
        handle = await self.at_the_gate()
        await handle.execute_update("pause", {"by": "olga"})
        self.open("gate")
        await self.until(lambda: self.transcript(handle, "result"))
        return handle

    async def run(self, **request: Any) -> RunResult:
        """Runs the agent to its end."""
        return await self.result(await self.start(**request))

    async def result(self, handle: Handle) -> RunResult:
        """The result of a run that closes as Completed."""
        return RunResult.model_validate(await asyncio.wait_for(handle.result(), PATIENCE))

    async def failure(self, handle: Handle) -> ApplicationError:
        """The error of a run that closes as Failed."""
        with pytest.raises(WorkflowFailureError) as caught:
            await asyncio.wait_for(handle.result(), PATIENCE)
        assert isinstance(caught.value.cause, ApplicationError)
        return caught.value.cause

    @contextlib.asynccontextmanager
    async def worker(self, **options: Any) -> AsyncGenerator[None]:
        """Another worker, on a connection of its own: one connection takes no second worker of a task queue."""
        address = self.runtime.client.service_client.config.target_host
        client = await connect(target_host=address, namespace=self.runtime.client.namespace)
        async with dataclasses.replace(self.runtime, client=client).serving(**options):
            yield

    def request(self) -> dict[str, Any]:
        """A request that the agent takes."""
        return {"goal": "work", "agent": "workshop", "metadata": {"log": str(self.log)}}

    def answers(self, request: int = -1) -> list[tuple[str, str]]:
        """The results of tool calls in a request to the model, by the ids of the calls, as they were asked."""
        body: Any = self.model.requests[request].body
        if "messages" in body:
            calls = [call["id"] for message in body["messages"] for call in message.get("tool_calls", ())]
            told = [(item["tool_call_id"], item["content"]) for item in body["messages"] if item["role"] == "tool"]
        else:
            calls = [item["call_id"] for item in body["input"] if item.get("type") == "function_call"]
            outputs = [item for item in body["input"] if item.get("type") == "function_call_output"]
            told = [(item["call_id"], item["output"]) for item in outputs]
        # INVARIANT: every call is answered once, in the order asked.
        assert calls == [call_id for call_id, _ in told]
        assert len(calls) == len(set(calls))
        return told

    def lines(self) -> list[str]:
        """The effects so far."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def open(self, gate: str = "gate") -> None:
        """Opens a gate that the tool `gate` waits at."""
        self.log.with_name(gate).touch()

    async def until(self, holds: Callable[[], Any], seconds: float = PATIENCE) -> None:
        """Waits until a condition holds."""
        end = time.monotonic() + seconds
        while True:
            found = holds()
            if await found if inspect.isawaitable(found) else found:
                return
            assert time.monotonic() < end, "the condition did not come to hold"
            await asyncio.sleep(0.02)

    async def effects(self, *lines: str) -> None:
        """Waits until each of these lines is an effect."""
        await self.until(lambda: set(lines) <= set(self.lines()))

    async def asked(self, requests: int) -> None:
        """Waits until the model was asked so often."""
        await self.until(lambda: len(self.model.requests) >= requests)

    async def transcript(self, handle: Handle, kind: str | None = None) -> list[dict[str, Any]]:
        """The conversation, or its items of one kind."""
        items = (await handle.query("transcript"))["items"]
        return [item for item in items if kind in (None, item["kind"])]

    async def audit(self, handle: Handle, event: str | None = None) -> list[dict[str, Any]]:
        """The facts of the audit, or those of one event."""
        records = (await handle.query("audit"))["items"]
        return [record["facts"] for record in records if event in (None, record["event"])]

    async def state(self, handle: Handle) -> str:
        """The state, as the query `status` has it."""
        return (await handle.query("status"))["state"]

    async def events(self, handle: Handle) -> list[HistoryEvent]:
        """The whole history."""
        return [event async for event in handle.fetch_history_events()]

    async def event_names(self, handle: Handle) -> list[str]:
        """The types of all events: `ACTIVITY_TASK_SCHEDULED`, ..."""
        events = await self.events(handle)
        return [EventType.Name(event.event_type).removeprefix("EVENT_TYPE_") for event in events]

    async def stopped(self, reason: str, detail: str | None = None, **request: Any) -> RunResult:
        """Runs to the end that is expected, and looks at what everybody is told of it."""
        handle = await self.start(**request)
        result = await self.result(handle)
        assert (result.stop_reason, result.stop_detail) == (reason, detail)
        assert result.status == ("completed" if reason == "completed" else "stopped")
        assert (result.run_id, result.agent, result.in_flight) == (handle.id, "workshop", [])
        await self.told_the_same(handle, result)
        return result

    async def told_the_same(self, handle: Handle, result: RunResult) -> None:
        """The status, the audit and the search attributes tell the same end as the result."""
        status = await handle.query("status")
        assert (status["state"], status["stop_reason"]) == ("closed", result.stop_reason)
        assert status["held"]["usd"] == "0.00"
        assert await self.audit(handle, "closed") == [{"reason": result.stop_reason, "detail": result.stop_detail}]
        await self.closed_as(handle, result)

    async def closed_as(self, handle: Handle, result: RunResult) -> None:
        """Waits until the search attributes say what the result says."""
        await self.shown(handle, "BackstayState", "closed")
        await self.shown(handle, "BackstayStopReason", result.stop_reason)
        await self.shown(handle, "BackstayUsd", float(result.spent.usd))
        await self.shown(handle, "BackstayAgent", result.agent)
        await self.shown(handle, "BackstayTenant", result.tenant)

    async def shown(self, handle: Handle, attribute: str, value: Any) -> None:
        """Waits until a search attribute has a value; the engine's index lags behind the history."""

        async def holds() -> bool:
            description = await handle.describe()
            return any(
                pair.key.name == attribute and pair.value == value for pair in description.typed_search_attributes
            )

        await self.until(holds)


Opener = Callable[..., AbstractAsyncContextManager[Workshop]]
Refused = Callable[[Awaitable[Any]], Awaitable[ApplicationError]]


@pytest.fixture
def workshop(client: Client, agent_folder: Callable[..., Path], tmp_path: Path) -> Opener:
    """Opens a workshop.

    `script` is what the model says, `toml` goes into the agent's file, `tools` are added to its own; the rest are
    settings.
    """

    @contextlib.asynccontextmanager
    async def opened(script: Any = None, toml: str = "", tools: str = "", **settings: Any) -> AsyncGenerator[Workshop]:
        agents = agent_folder("workshop", toml, TOOLS.read_text() + tools)
        async with local_runtime(script, agents=agents, client=client, **settings) as runtime:
            yield Workshop(runtime, tmp_path / "effects.log")

    return opened


@pytest.fixture
def quickly() -> Callable[..., AbstractAsyncContextManager[None]]:
    """Asserts that a block takes less than some seconds."""

    @contextlib.asynccontextmanager
    async def timed(seconds: float) -> AsyncGenerator[None]:
        began = time.monotonic()
        yield
        assert time.monotonic() - began < seconds

    return timed


@pytest.fixture
def refusal() -> Refused:
    """Awaits an update that is refused, and returns the error."""

    async def caught(update: Awaitable[Any]) -> ApplicationError:
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await update
        assert isinstance(refused.value.cause, ApplicationError)
        return refused.value.cause

    return caught


@pytest.fixture
def shop(client: Client, agent_folder: Callable[..., Path], tmp_path: Path) -> ShopOpener:
    """Opens a shop whose model plays a script.

    In the organisation's limits TENANT is a tenant of the test's own; `tools` are added to those of the shop.
    """

    @contextlib.asynccontextmanager
    async def opened(
        script: Any, toml: str = DAY, rules: str = "", org: str = "", tools: str = "", **settings: Any
    ) -> AsyncGenerator[Shop]:
        tenant = f"shop {tmp_path.name}"
        place = tmp_path / "org"
        place.mkdir()
        (place / "org.toml").write_text(org.replace("TENANT", f'"{tenant}"'))
        agents = agent_folder("shop", toml, SHOP_TOOLS + tools)
        if rules:
            (agents / "shop" / "policy.cedar").write_text(rules)
        settings = {"policies": [place], "client": client, **settings}
        async with local_runtime(script, agents=agents, **settings) as runtime:
            yield Shop(runtime, tenant, agents / "shop")

    return opened


@pytest.fixture
async def plane(client: Client, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Handle]:
    """A control plane of the test's own, started by the first worker or the first order."""
    one = f"control-{uuid.uuid4()}"
    monkeypatch.setattr(names, "CONTROL_ID", one)
    monkeypatch.setattr(names, "CONTROL_QUEUE", one)
    yield client.get_workflow_handle(one)
    with contextlib.suppress(Exception):
        await client.get_workflow_handle(one).terminate()


@pytest.fixture
def office(client: Client, agent_folder: Callable[..., Path], tmp_path: Path) -> Callable[..., Any]:
    """Opens an office; `scripts` are what the models say, by goal; `lead` and `helper` are the agents' files."""
    from .office import HELPER, LEAD, Office

    @contextlib.asynccontextmanager
    async def opened(
        scripts: Any, lead: str = LEAD, helper: str = HELPER, tools: str = "", rules: str = "", **settings: Any
    ) -> AsyncGenerator[Office]:
        agent_folder("helper", helper, TOOLS.read_text() + tools)
        agents = agent_folder("lead", lead, TOOLS.read_text() + tools)
        if rules:
            (agents / "lead" / "policy.cedar").write_text(rules)
        async with local_runtime(scripts, agents=agents, client=client, **settings) as runtime:
            yield Office(runtime, tmp_path / "effects.log")

    return opened
