"""The run of the tests of telemetry, and how they wait for what it sends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiohttp import ClientSession

from backstay.testing import Call, Reply, Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from temporalio.client import WorkflowHandle

    from .conftest import Collector, Received

    Handle = WorkflowHandle[Any, Any]

CANARY = "canary-7f3a"
PATIENCE = 120.0
REQUEST = {"goal": f"look after {CANARY}", "agent": "clerk", "tenant": "acme"}
LOOK = Reply(calls=[Call("look", {"text": f"arg {CANARY}"})], usage=Usage(1000, 10))
ANSWER = Reply(f"it is {CANARY}", usage=Usage(1100, 20, cached_tokens=1000))


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            if holds():
                return
            await asyncio.sleep(0.02)


async def result(handle: Handle) -> dict[str, Any]:
    return await asyncio.wait_for(handle.result(), PATIENCE)


def numbers(spans: list[Received]) -> list[int]:
    return sorted(span.attributes["backstay.step"] for span in spans)


def assert_one_whole_trace(collector: Collector, root: str = "invoke_agent clerk") -> None:
    """One trace, no span twice, no span without its parent, no content."""
    assert len({span.trace for span in collector.spans}) == 1
    ids = {span.id for span in collector.spans}
    assert len(ids) == len(collector.spans)
    assert [span.name for span in collector.spans if span.parent not in ids] == [root]
    assert not [span.name for span in collector.spans if span.message]
    assert CANARY.encode() not in b"".join(collector.bodies)


async def page(session: ClientSession, url: str) -> str:
    async with session.get(url) as answer:
        return await answer.text()
