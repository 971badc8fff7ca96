"""Tools and facts that do what no tool should: the worker lives, nothing is told wrongly, no secret gets out."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from backstay.errors import ConfigurationError
from backstay.testing import Call, Reply
from backstay.testing.runtime import local_runtime

SECRET = "canary-4242-secret"
TOOLS = '''
import asyncio
import functools
import itertools
import time
from pathlib import Path
from backstay.errors import OutcomeUnknownError
from backstay.tools import Happened, ToolCall, tool

DONE = Path(__file__).with_name("done.txt")

def note(line: str) -> str:
    with DONE.open("a") as file:
        file.write(line + "\\n")
    return line

@tool(effect="read", secrets=["SHOP_TOKEN"])
async def cancel(call: ToolCall) -> str:
    """Raises a cancellation of its own."""
    raise asyncio.CancelledError("token was " + call.secret("SHOP_TOKEN"))

@tool(effect="read", secrets=["SHOP_TOKEN"])
async def cancel_from(call: ToolCall) -> str:
    """Raises one with a cause."""
    try:
        raise RuntimeError(call.secret("SHOP_TOKEN"))
    except RuntimeError as error:
        raise asyncio.CancelledError from error

class Rude(Exception):
    def __str__(self):
        raise SystemExit(self.args[0])

@tool(effect="read", secrets=["SHOP_TOKEN"])
async def rude(call: ToolCall) -> str:
    """Raises what cannot be said."""
    raise Rude(call.secret("SHOP_TOKEN"))

class Text(str):
    def encode(self, *given, **more):
        raise RuntimeError(str(self))

@tool(effect="write", secrets=["SHOP_TOKEN"])
async def own_text(call: ToolCall) -> str:
    """Returns a text of its own kind."""
    return Text("token is " + call.secret("SHOP_TOKEN"))

@tool(effect="write")
def endless() -> list[int]:
    """Counts for ever."""
    return itertools.count()

@tool(effect="read", timeout="1s")
def feed() -> list[int]:
    """Returns what is only made while it is read."""
    def numbers():
        for number in range(30):
            time.sleep(0.1)
            yield number
    return numbers()

def logged(function):
    @functools.wraps(function)
    def wrapper(*args, **values):
        return function(*args, **values)
    return wrapper

@tool(effect="write")
@logged
async def wrapped(text: str) -> str:
    """Is async behind a wrapper that is not."""
    return note(text)

async def later(text: str) -> str:
    return note(text)

@tool(effect="write")
def forgotten(text: str) -> str:
    """Forgets to await."""
    return later(text)

def quit(text: str) -> bool:
    raise SystemExit(text)

@tool(effect="write", facts={"fine": ("Bool", quit)})
def judged(text: str) -> str:
    """Has a fact that ends the process."""
    return note(text)

def all_of_it(call: ToolCall, number: int):
    return Happened("\\x01" * 32_000)

@tool(effect="once", reconcile=all_of_it)
def lose(call: ToolCall, number: int) -> str:
    """Does not know what became of it."""
    raise OutcomeUnknownError("who knows")
'''
TOML = '[budget]\ntokens = 900_000_000\nusd = "100000"\ntool_calls = 100\n'


async def told(client: Client, agents: Path, *calls: Call) -> tuple[list[str], bytes]:
    """What the model was told of some calls, and the whole history as the engine keeps it."""
    script: Any = [Reply(calls=list(calls)), Reply("done")]
    async with local_runtime(script, agents=agents, client=client) as runtime:
        handle = await runtime.start({"goal": "work", "agent": "clerk"})
        result = await asyncio.wait_for(handle.result(), 60)
        items = (await handle.query("transcript"))["items"]
        history = b"".join([event.SerializeToString() async for event in handle.fetch_history_events()])
    assert result["status"] == "completed"
    return [item["text"] for item in items if item["kind"] == "result"], history


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cancel", "failed: CancelledError"),
        ("cancel_from", "failed: CancelledError"),
        ("rude", "failed: Rude: (the error cannot be written as text)"),
        ("own_text", "token is [secret SHOP_TOKEN]"),
    ],
)
async def test_what_a_tool_makes_up_ends_the_call_like_anything_else_and_keeps_its_secret(
    client: Client, agent_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", SECRET + "\n")
    texts, history = await told(client, agent_folder(toml=TOML, tools=TOOLS), Call(name))
    assert texts[0].startswith(text)
    assert SECRET.encode() not in history
    assert b"ACTIVITY_TASK_FAILED" not in history


async def test_a_result_that_is_made_while_it_is_read_holds_nobody_up_and_has_its_limit(
    client: Client, agent_folder: Callable[..., Path]
) -> None:
    began = time.monotonic()
    texts, _ = await told(client, agent_folder(toml=TOML, tools=TOOLS), Call("feed"))
    assert texts == ["failed: the call timed out"]
    assert time.monotonic() - began < 30


async def test_of_a_result_without_an_end_the_beginning_is_shown(
    client: Client, agent_folder: Callable[..., Path]
) -> None:
    texts, _ = await told(client, agent_folder(toml=TOML, tools=TOOLS), Call("endless"))
    assert texts[0].startswith("[0,1,2,3,")
    assert "[cut here" in texts[0]


async def test_a_tool_that_is_async_behind_a_wrapper_is_awaited_and_one_that_forgets_to_says_so(
    client: Client, agent_folder: Callable[..., Path]
) -> None:
    agents = agent_folder(toml=TOML, tools=TOOLS)
    texts, _ = await told(client, agents, Call("wrapped", {"text": "a"}), Call("forgotten", {"text": "b"}))
    assert texts[0] == "a"
    assert "make it `async def`" in texts[1]
    assert (agents / "clerk" / "done.txt").read_text() == "a\n"


async def test_a_fact_that_ends_the_process_is_a_refusal(client: Client, agent_folder: Callable[..., Path]) -> None:
    agents = agent_folder(toml=TOML, tools=TOOLS)
    texts, _ = await told(client, agents, Call("judged", {"text": "a"}))
    assert "SystemExit" in texts[0]
    assert not (agents / "clerk" / "done.txt").exists()


async def test_many_results_that_stand_nowhere_else_fit_into_one_payload(
    client: Client, agent_folder: Callable[..., Path]
) -> None:
    calls = [Call("lose", {"number": number}) for number in range(40)]
    texts, history = await told(client, agent_folder(toml=TOML, tools=TOOLS), *calls)
    assert len(texts) == 40
    assert all("[cut here: 32000 bytes in all" in text for text in texts)
    assert b"WORKFLOW_TASK_FAILED" not in history


async def test_a_tool_that_yields_does_not_start(agent_folder: Callable[..., Path]) -> None:
    tools = 'from backstay.tools import tool\n\n@tool\nasync def feed() -> str:\n    """Yields."""\n    yield "a"\n'
    with pytest.raises(ConfigurationError, match="return a list"):
        async with local_runtime([], agents=agent_folder(tools=tools)):
            pass
