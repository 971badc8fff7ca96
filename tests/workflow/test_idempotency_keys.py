"""The key that a tool receives is a call's own: the same in every attempt and after a reset, and no other call's."""

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from temporalio.client import Client

from backstay.testing import Call, Reply
from backstay.testing.runtime import local_runtime

from .resets import reset

TOOLS = '''
import asyncio
from pathlib import Path
from backstay.tools import ToolCall, tool

HERE = Path(__file__).parent

def log(call: ToolCall, name: str) -> int:
    with (HERE / "keys.txt").open("a") as file:
        file.write(f"{name} {call.idempotency_key}\\n")
    return (HERE / "keys.txt").read_text().count(f"{name} ")

@tool(effect="write")
def pay(call: ToolCall, name: str) -> str:
    """Pays."""
    log(call, name)
    return f"paid {name}"

@tool(effect="write", timeout="300ms")
async def stall(call: ToolCall, name: str) -> str:
    """Hangs at the first attempt."""
    if log(call, name) == 1:
        await asyncio.sleep(30)
    return f"paid {name}"

@tool(effect="write")
async def wait(call: ToolCall, name: str) -> str:
    """Waits for a gate."""
    log(call, name)
    while not (HERE / "gate").exists():
        await asyncio.sleep(0.02)
    return f"paid {name}"
'''


class Keys:
    """Reads the notes of an agent's tools."""

    def __init__(self, agents: Path) -> None:
        self.folder = agents / "clerk"

    def of(self, name: str) -> list[str]:
        """The keys of all attempts at the call of that name."""
        file = self.folder / "keys.txt"
        lines = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
        return [key for called, key in lines if called == name]

    async def until(self, name: str, attempts: int) -> None:
        """Waits until that call was attempted so often."""
        async with asyncio.timeout(40):
            while True:
                if len(self.of(name)) >= attempts:
                    return
                await asyncio.sleep(0.02)


@pytest.fixture
def agents(agent_folder: Callable[..., Path]) -> Path:
    """An agent whose tools write their keys down."""
    return agent_folder(tools=TOOLS)


async def test_the_key_is_the_same_in_the_next_attempt(client: Client, agents: Path) -> None:
    keys = Keys(agents)
    script = [Reply(calls=[Call("stall", {"name": "a"})]), Reply("done")]
    async with local_runtime(script, agents=agents, client=client) as runtime:
        await runtime.run_to_end({"goal": "pay", "agent": "clerk"})
    assert len(keys.of("a")) == 2
    assert len(set(keys.of("a"))) == 1


async def test_the_key_is_the_same_after_closed_and_running_runs_were_reset(client: Client, agents: Path) -> None:
    keys = Keys(agents)
    first = Reply(calls=[Call("pay", {"name": "a"}), Call("pay", {"name": "b"})])
    script = [first, Reply(calls=[Call("wait", {"name": "c"})]), Reply("done")]
    async with local_runtime(script, agents=agents, client=client) as runtime:
        handle = await runtime.start({"goal": "pay", "agent": "clerk"})
        await keys.until("c", 1)
        again = await reset(client, handle, "act-2-0")  # the run is running
        await keys.until("c", 2)
        (keys.folder / "gate").touch()
        assert (await again.result())["status"] == "completed"
        third = await reset(client, again, "act-1-0")  # the run has closed, and was a reset one itself
        assert (await third.result())["status"] == "completed"
    assert [len(keys.of(name)) for name in "abc"] == [2, 2, 3]
    assert [len(set(keys.of(name))) for name in "abc"] == [1, 1, 1]


async def test_every_other_call_has_another_key(client: Client, agents: Path) -> None:
    keys = Keys(agents)
    twins = [Call("pay", {"name": "a"}, id="twin"), Call("pay", {"name": "a"}, id="twin")]
    script = [Reply(calls=twins), Reply(calls=twins[:1]), Reply("done")]
    async with local_runtime(script, agents=agents, client=client) as runtime:
        run_id = f"run-{uuid.uuid4()}"
        for name in (run_id, run_id, None):  # an id that is used again, and another one
            await runtime.run_to_end({"goal": "pay", "agent": "clerk"}, name)
    assert len(keys.of("a")) == 9
    assert len(set(keys.of("a"))) == 9
