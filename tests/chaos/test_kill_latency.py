"""Kills in the middle of everything a run does: how soon its tool falls silent, how soon it closes, what still begins.

The tools and this test read one clock, so that a tool's own marks tell whether it went on after the kill.
"""

import itertools
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

from backstay.adapters.engine.dev_server import DevServer
from backstay.contracts.names import AGENT_RUN
from backstay.contracts.run import RunResult
from backstay.testing import Call, Failure, Reply, ScriptedModel
from backstay.testing.model.script import Request
from tests.chaos.worker_process import SOAK, worker_environment, working

from .kills import BOUND, HANDING_OVER, LONG, MARKING, marked, p99, until

KILLS = 200 if SOAK else 12
SIBLINGS = 8

TOOLS = (
    MARKING
    + '''
@tool(effect="write")
async def work(call: ToolCall) -> str:
    """Works until it is cancelled."""
    mark(call, "begin")
    while True:
        await asyncio.sleep(0.01)
        mark(call, "alive")

@tool(effect="write")
def grind(call: ToolCall) -> str:
    """Works in a thread until it is cancelled."""
    mark(call, "begin")
    while True:
        time.sleep(0.01)
        mark(call, "alive")

@tool(effect="write")
async def stamp(call: ToolCall, number: int) -> str:
    """Takes a moment."""
    mark(call, "begin")
    await asyncio.sleep(0.02)
    return f"stamped {number}"

@tool(effect="write")
async def pay(call: ToolCall) -> str:
    """Pays."""
    mark(call, "begin")
    return "paid"
'''
)
TOML = (
    LONG
    + """
[approval]
require = { pay = "finance" }
groups = { finance = ["alice"] }
"""
)


def series(request: Request) -> Reply:
    """A decision after the other, each with calls of its own."""
    first = request.index * SIBLINGS
    return Reply(calls=[Call("stamp", {"number": first + number}) for number in range(SIBLINGS)])


SCRIPTS: Any = {
    "a model call": [Reply("late", delay=600)],
    "a tool call": [Reply(calls=[Call("work")])],
    "a tool call in a thread": [Reply(calls=[Call("grind")])],
    "a wait for people": [Reply(calls=[Call("pay")])],
    "a timer": [Failure(503, retry_after=60)] * 2,
    "one call after the other": [series] * 2_000,
}
"""Scripts by the goal: what each kind of run is in the middle of when it is killed."""


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill: the seconds from its sending until each thing happened, and the effects that began after its answer.

    Attributes:
        handled: the run has answered the kill.
        silent: the tool's last mark.
        closed: the run has closed.
        late: for each effect that began after the run had answered, the seconds from the answer to its begin.
    """

    during: str
    handled: float
    silent: float
    closed: float
    late: list[float]


@dataclass(frozen=True, slots=True)
class Victim:
    """A run that is about to be killed; `asked` is how often the model had been asked before it started."""

    during: str
    handle: WorkflowHandle[Any, Any]
    marks: Path
    asked: int

    def marked(self, word: str = "") -> list[float]:
        """The times of the tool's marks."""
        return marked(self.marks, word)

    async def ready(self, model: ScriptedModel) -> bool:
        """Whether the run is in the middle of it."""
        match self.during:
            case "a model call":
                return len(model.requests) > self.asked
            case "a wait for people":
                return (await self.handle.query("status"))["state"] == "waiting_approval"
            case "a timer":
                pending = (await self.handle.describe()).raw_description.pending_activities
                return any(one.attempt > 1 for one in pending)
            case _:
                return bool(self.marked())

    async def killed(self) -> Kill:
        """Kills it and watches it end."""
        began = time.monotonic()
        await self.handle.execute_update("kill", {"by": "olga", "reason": "enough"})
        handled = time.monotonic()
        result = RunResult.model_validate(await self.handle.result())
        closed = time.monotonic()
        assert result.stop_reason == "killed"
        marks = [one - began for one in self.marked()]
        late = [one - handled for one in self.marked("begin") if one > handled]
        return Kill(self.during, handled - began, max([0.0, *marks]), closed - began, late)


def told(kills: Sequence[Kill]) -> str:
    """The figures of each kind, in milliseconds: the median and the longest."""
    lines: list[str] = []
    for during in SCRIPTS:
        mine = [one for one in kills if one.during == during]
        parts = [
            f"{name} {1000 * sorted(values)[len(values) // 2]:.0f} / {1000 * max(values):.0f}"
            for name in ("handled", "silent", "closed")
            if (values := [getattr(one, name) for one in mine])
        ]
        late = [one for kill in mine for one in kill.late]
        longest = f"{len(late)} effects began after the answer, by {1000 * max([0.0, *late]):.0f} at most"
        lines.append(f"{during}: {len(mine)} kills, {', '.join(parts)}; {longest}")
    return "\n".join(lines)


@pytest.mark.soak
@pytest.mark.timeout(1800 if SOAK else 120)
async def test_a_killed_run_is_silent_and_closed_within_a_second_and_begins_next_to_nothing(
    client: Client, temporal_server: DevServer, agent_folder: Callable[..., Path], tmp_path: Path
) -> None:
    queue, kills, thinking = f"kills-{uuid.uuid4()}", list[Kill](), 0
    async with ScriptedModel(SCRIPTS) as model:
        environment = worker_environment(agent_folder(toml=TOML, tools=TOOLS), queue, model, temporal_server.address)
        async with working(environment, tmp_path / "worker.log"):
            for number, during in zip(range(KILLS), itertools.cycle(SCRIPTS), strict=False):
                marks = tmp_path / f"{number}.marks"
                given = {"goal": during, "agent": "clerk", "metadata": {"marks": str(marks)}}
                before = len(model.requests)
                handle = await client.start_workflow(AGENT_RUN, given, id=f"{queue}-{number}", task_queue=queue)
                victim = Victim(during, handle, marks, before)
                await until(lambda victim=victim: victim.ready(model))
                kills.append(await victim.killed())
                thinking += during == "a model call"

            async def cut() -> bool:
                return model.cancelled == thinking

            await until(cut)  # each request to the model has lost its client
    print(told(kills))
    assert max([0.0, *(one for kill in kills for one in kill.late)]) < HANDING_OVER, told(kills)
    assert p99([one.silent for one in kills]) < BOUND, told(kills)
    assert p99([one.closed for one in kills]) < BOUND, told(kills)
