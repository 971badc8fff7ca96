"""What must happen once is never done again on a guess: the tool is asked, then a person."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from backstay.testing import Call, Reply
from backstay.testing.runtime import local_runtime

TOOLS = '''
import asyncio
from pathlib import Path
from backstay.tools import NOT_HAPPENED, UNKNOWN, Happened, ToolCall, tool

HERE = Path(__file__).parent

def done() -> list[str]:
    file = HERE / "done.txt"
    return file.read_text().splitlines() if file.exists() else []

async def ask(call: ToolCall, amount: int):
    said = (HERE / "says.txt").read_text()
    if said == "look":
        return Happened(f"sent {amount}") if call.idempotency_key in done() else NOT_HAPPENED
    return UNKNOWN

@tool(effect="once", timeout="2s", reconcile=ask)
async def send(call: ToolCall, amount: int) -> str:
    """Sends money."""
    first = not (HERE / "tried.txt").exists()
    (HERE / "tried.txt").write_text("yes")
    if not first or (HERE / "commits.txt").exists():
        with (HERE / "done.txt").open("a") as file:
            file.write(call.idempotency_key + "\\n")
    if first:
        await asyncio.sleep(30)
    return f"sent {amount}"
'''

TOML = """
[approval]
unknown = "ops"
groups = { ops = ["olga"] }
"""


class Bank:
    """Counts the effects; `commits` says whether the first attempt does its work before it hangs."""

    def __init__(self, folder: Path, commits: bool, says: str) -> None:
        self.folder = folder
        (folder / "says.txt").write_text(says)
        if commits:
            (folder / "commits.txt").write_text("yes")

    @property
    def sent(self) -> int:
        """The times that money was sent."""
        file = self.folder / "done.txt"
        return len(file.read_text().splitlines()) if file.exists() else 0


async def run_of(
    client: Client, agents: Path, answer: dict[str, Any] | None = None
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The result of a run that sends 5, and its transcript; a question on the way gets the answer."""
    script = [Reply(calls=[Call("send", {"amount": 5})]), Reply("done")]
    async with local_runtime(script, agents=agents, client=client) as runtime:
        handle = await runtime.start({"goal": "send 5", "agent": "clerk"})
        if answer is not None:
            while not (asked := (await handle.query("status"))["pending_approvals"]):
                await asyncio.sleep(0.05)
            assert (asked[0]["kind"], asked[0]["groups"]) == ("outcome_unknown", ["ops"])
            payload = {"approval_id": asked[0]["approval_id"], "by": "olga", **answer}
            assert (await handle.execute_update("answer", payload))["state"] == "closed"
        return await handle.result(), (await handle.query("transcript"))["items"]


@pytest.mark.parametrize("commits", [True, False])
async def test_a_tool_that_can_tell_is_asked_and_the_effect_is_one(
    client: Client, agent_folder: Callable[..., Path], commits: bool
) -> None:
    agents = agent_folder(toml=TOML, tools=TOOLS)
    bank = Bank(agents / "clerk", commits, "look")
    result, items = await run_of(client, agents)
    assert (result["status"], bank.sent) == ("completed", 1)
    assert [item["text"] for item in items if item["kind"] == "result"] == ["sent 5"]


async def test_a_person_says_that_it_happened_and_nothing_is_done_again(
    client: Client, agent_folder: Callable[..., Path]
) -> None:
    agents = agent_folder(toml=TOML, tools=TOOLS)
    bank = Bank(agents / "clerk", True, "no idea")
    result, items = await run_of(client, agents, {"answer": "happened", "result": {"sent": 5}})
    assert (result["status"], bank.sent) == ("completed", 1)
    assert [item["text"] for item in items if item["kind"] == "result"] == ['{"sent": 5}']


async def test_a_person_says_that_it_did_not_happen_and_it_is_done_now(
    client: Client, agent_folder: Callable[..., Path]
) -> None:
    agents = agent_folder(toml=TOML, tools=TOOLS)
    bank = Bank(agents / "clerk", False, "no idea")
    result, _ = await run_of(client, agents, {"answer": "not_happened"})
    assert (result["status"], bank.sent) == ("completed", 1)


async def test_a_person_may_stop_the_run_instead(client: Client, agent_folder: Callable[..., Path]) -> None:
    agents = agent_folder(toml=TOML, tools=TOOLS)
    bank = Bank(agents / "clerk", True, "no idea")
    result, _ = await run_of(client, agents, {"answer": "stop"})
    assert (result["stop_reason"], result["stop_detail"], bank.sent) == ("outcome_unknown", "send", 1)


async def test_without_anybody_to_ask_the_run_stops(client: Client, agent_folder: Callable[..., Path]) -> None:
    agents = agent_folder(tools=TOOLS)
    bank = Bank(agents / "clerk", True, "no idea")
    result, _ = await run_of(client, agents)
    assert (result["stop_reason"], bank.sent) == ("outcome_unknown", 1)


OUTLIVING = '''
import time
from pathlib import Path
from backstay.tools import NOT_HAPPENED, Happened, ToolCall, tool

DONE = Path(__file__).with_name("done.txt")

def look(call: ToolCall):
    keys = DONE.read_text().split() if DONE.exists() else []
    return Happened("sent") if call.idempotency_key in keys else NOT_HAPPENED

def slowly(call: ToolCall) -> str:
    time.sleep(3)
    with DONE.open("a") as file:
        file.write(call.idempotency_key + "\\n")
    return "sent"

@tool(effect="once", timeout="500ms", reconcile=look)
def send(call: ToolCall) -> str:
    """Sends money, in a thread that nothing can stop."""
    return slowly(call)

@tool(effect="once", timeout="500ms")
def wire(call: ToolCall) -> str:
    """Sends money in the same way, and cannot tell."""
    return slowly(call)
'''


@pytest.mark.parametrize("name", ["send", "wire"])
async def test_a_call_that_outlives_its_time_limit_is_not_done_again_while_it_still_runs(
    client: Client, agent_folder: Callable[..., Path], name: str
) -> None:
    agents = agent_folder(toml=TOML, tools=OUTLIVING)
    bank = Bank(agents / "clerk", False, "")
    async with local_runtime([Reply(calls=[Call(name)]), Reply("done")], agents=agents, client=client) as runtime:
        handle = await runtime.start({"goal": "send", "agent": "clerk"})
        answered: list[str] = []
        while (await handle.describe()).status is WorkflowExecutionStatus.RUNNING:
            for asked in (await handle.query("status"))["pending_approvals"]:
                answered.append("happened" if bank.sent else "not_happened")
                vote = {"approval_id": asked["approval_id"], "by": "olga", "answer": answered[-1], "result": "sent"}
                await handle.execute_update("answer", vote)
            await asyncio.sleep(0.05)
        await asyncio.sleep(1)
    assert bank.sent == 1
    assert answered == [] if name == "send" else answered[-1] == "happened"
