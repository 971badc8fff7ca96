"""The five failures of ungoverned agents: the plain loop shows each of them, a governed run cannot."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from temporalio.client import Client

from backstay.contracts.run import RunResult
from backstay.kernel.stop import StopReason
from backstay.testing import Call, Reply, Usage
from backstay.testing.runtime import LocalRuntime, local_runtime

from .erratic import erratic
from .ungoverned import Trace, ungoverned

TOOLS = '''
from pathlib import Path
from backstay.tools import ToolCall, tool

DONE = Path(__file__).with_name("done.txt")

def note(line: str) -> str:
    with DONE.open("a") as file:
        file.write(line + "\\n")
    return "done"

@tool(effect="read")
def look(place: str) -> str:
    """Looks somewhere."""
    return f"nothing at {place}"

@tool(effect="write")
def send(to: str) -> str:
    """Sends a message."""
    return note("send")

@tool(effect="once")
def wipe(place: str) -> str:
    """Wipes a place: defined, and listed nowhere."""
    return note("wipe")
'''

TOML = 'tools = ["look", "send"]\n[budget]\ntools = { send = { calls = 2 } }\n'


class Both:
    """The same model beside the loop and beside the runtime."""

    def __init__(self, runtime: LocalRuntime, folder: Path) -> None:
        self.runtime = runtime
        self.folder = folder

    async def plain(self) -> Trace:
        """The behaviour of the plain loop."""
        doing: dict[str, Callable[..., Any]] = {name: lambda **_: "same" for name in ("look", "send", "wipe")}
        return await ungoverned(self.runtime.model.base_url, "do it", doing)

    async def governed(self, **more: Any) -> RunResult:
        """The behaviour of the governed run."""
        return await self.runtime.run_to_end({"goal": "do it", "agent": "clerk", **more})

    @property
    def effects(self) -> list[str]:
        """The deeds of the governed runs."""
        file = self.folder / "done.txt"
        return file.read_text().splitlines() if file.exists() else []


@asynccontextmanager
async def both(client: Client, agent_folder: Callable[..., Path], reply: Any) -> AsyncGenerator[Both]:
    """A model that answers every decision alike, for both."""
    agents = agent_folder(toml=TOML, tools=TOOLS)
    async with local_runtime([reply] * 100, agents=agents, client=client, model_api="chat") as runtime:
        yield Both(runtime, agents / "clerk")


async def test_an_endless_loop_ends(client: Client, agent_folder: Callable[..., Path]) -> None:
    async with both(client, agent_folder, Reply(calls=[Call("look", {"place": "here"})])) as pair:
        loop = await pair.plain()
        assert (loop.answer, loop.turns) == (None, 40)
        result = await pair.governed()
        assert (result.stop_reason, result.steps) == ("no_progress", 3)


async def test_tool_spam_stays_within_its_limit(client: Client, agent_folder: Callable[..., Path]) -> None:
    async with both(client, agent_folder, Reply(calls=[Call("send", {"to": str(n)}) for n in range(20)])) as pair:
        assert (await pair.plain()).calls.count("send") == 800
        result = await pair.governed()
        assert (result.stop_reason, result.stop_detail) == ("budget_exhausted", "tool:send")
        assert pair.effects == ["send", "send"]


async def test_spend_stays_under_the_limit(client: Client, agent_folder: Callable[..., Path]) -> None:
    def dear(request: Any) -> Reply:
        allowed = request.body.get("max_completion_tokens", request.body.get("max_tokens", 2_000))
        output = min(2_000, allowed)  # a server bills no more than it was allowed
        return Reply(calls=[Call("look", {"place": str(request.index)})], usage=Usage(100, output))

    async with both(client, agent_folder, dear) as pair:
        assert (await pair.plain()).usd > 0.15
        result = await pair.governed(budget={"usd": "0.02"})
        assert result.stop_reason == "budget_exhausted"
        assert Decimal(result.spent.usd) <= Decimal("0.02")


async def test_a_risky_action_is_not_taken(client: Client, agent_folder: Callable[..., Path]) -> None:
    async with both(client, agent_folder, Reply(calls=[Call("wipe", {"place": "/"})])) as pair:
        assert "wipe" in (await pair.plain()).calls
        result = await pair.governed()
        assert (result.stop_reason, pair.effects) == ("policy_denied", [])


async def test_an_erratic_model_does_only_what_is_permitted_and_every_end_has_a_name(
    client: Client, agent_folder: Callable[..., Path]
) -> None:
    agents = agent_folder(toml=TOML, tools=TOOLS)
    scripts = {f"[{seed}]": [erratic(seed)] * 100 for seed in range(20)}
    async with local_runtime(scripts, agents=agents, client=client) as runtime:
        requests = [{"goal": f"run [{seed}]", "agent": "clerk"} for seed in range(20)]
        results = await asyncio.gather(*(runtime.run_to_end(request) for request in requests))
        effects = Both(runtime, agents / "clerk").effects
        assert {result.stop_reason for result in results} <= {reason.value for reason in StopReason}
        assert len({result.stop_reason for result in results}) > 2
        assert set(effects) <= {"send"}
        assert len(effects) == sum(result.spent.tools.get("send", 0) for result in results)
        assert all(result.spent.tools.get("send", 0) <= 2 for result in results)
