"""Kills of runs that go on in another link, by the tenth of a millisecond around the end of the one before."""

import asyncio
import itertools
import random
import statistics
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHandle

from backstay.adapters.engine.dev_server import DevServer
from backstay.contracts.names import AGENT_RUN
from backstay.contracts.run import RunResult
from backstay.testing import Call, Reply, ScriptedModel
from backstay.testing.model.script import Request
from tests.chaos.worker_process import SOAK, worker_environment, working

from .kills import BOUND, HANDING_OVER, LONG, MARKING, marked, p99, until

KILLS = 200 if SOAK else 8
LINK_EVENTS = 40
AROUND = 200
"""The tenths of a millisecond before and after the expected end of a link, between which kills are sent."""
NEAR = 0.025
AIMED = 0.1 if SOAK else 1.0
"""Within so many seconds of the end of a link a quarter of the kills have to arrive, else nothing was tried."""
AT_ONCE = 3
"""So many runs are on their way to their kills side by side."""
TOOLS = (
    MARKING
    + '''
@tool(effect="write")
async def stamp(call: ToolCall, number: int) -> str:
    """Takes long enough for a link to last for more than a second: then the next one begins at once."""
    mark(call, "begin")
    await asyncio.sleep(0.3)
    mark(call, "end")
    return f"stamped {number}"
'''
)


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill; all in seconds.

    Attributes:
        how: sent as a signal or as an update.
        off: from the end of the nearest link to the kill; None where no link had ended.
        handled: until the run had handled it.
        silent: until the tool's last mark.
        closed: until the run had closed.
        late: for each effect that began after the kill was handled, from then until it began.
        links: how many links the run had.
    """

    how: str
    off: float | None
    handled: float
    silent: float
    closed: float
    late: list[float]
    links: int


@dataclass(slots=True)
class Roll:
    """The place where a run goes on in another link, as earlier runs tell: a number of calls, and a time after."""

    calls: int = 0
    after: list[float] = field(default_factory=list[float])

    @property
    def due(self) -> float:
        """The seconds from the end of the last call in a link to the end of the link, as it was of late."""
        return statistics.median(self.after[-15:])


@dataclass(frozen=True, slots=True)
class Victim:
    """A run that stamps and stamps, in one link after the other."""

    client: Client
    handle: WorkflowHandle[Any, Any]
    marks: Path

    @property
    def latest(self) -> WorkflowHandle[Any, Any]:
        """The handle of whichever link it is in."""
        return self.client.get_workflow_handle(self.handle.id)

    def marked(self, word: str) -> list[float]:
        """The times of the tool's marks."""
        return marked(self.marks, word)

    async def rolled(self) -> bool:
        """True once another link goes on with it."""
        return (await self.latest.describe()).run_id != self.handle.first_execution_run_id

    async def stamped(self, calls: int) -> float:
        """Waits for the end of so many calls, and returns when the last of them ended."""
        async with asyncio.timeout(60):
            while len(ends := self.marked("end")) < calls:
                await asyncio.sleep(0.001)
        return ends[calls - 1]

    async def links(self) -> AsyncIterator[list[HistoryEvent]]:
        """The histories of its links, the first one first."""
        link: str = self.handle.first_execution_run_id or ""
        while link:
            handle = self.client.get_workflow_handle(self.handle.id, run_id=link)
            events = [event async for event in handle.fetch_history_events()]
            yield events
            link = events[-1].workflow_execution_continued_as_new_event_attributes.new_execution_run_id


def seconds(event: HistoryEvent) -> float:
    """The moment of an event, on the monotonic clock of the marks."""
    return event.event_time.ToMicroseconds() / 1e6 - (time.time() - time.monotonic())


def handled_in(events: Sequence[HistoryEvent]) -> float | None:
    """The moment when the run had handled a kill that was sent as a signal; None where this link was sent none."""
    rest = itertools.dropwhile(
        lambda one: one.workflow_execution_signaled_event_attributes.signal_name != "kill", events
    )
    done = (one for one in rest if one.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
    return next((seconds(one) for one in done), None)


async def learnt(victim: Victim) -> Roll:
    """Learns from the first link of a run where it goes on in another one."""
    [first, *_] = [link async for link in victim.links()]
    acts = [one for one in first if one.activity_task_scheduled_event_attributes.activity_type.name == "act"]
    return Roll(len(acts), [seconds(first[-1]) - victim.marked("end")[len(acts) - 1]])


async def kill(victim: Victim, roll: Roll, how: str, tenths: int) -> Kill:
    """Kills a run so many tenths of a millisecond after its first link is expected to end."""
    last = await victim.stamped(roll.calls)
    await asyncio.sleep(max(0.0, last + roll.due + tenths / 10_000 - time.monotonic()))
    latest = victim.latest
    sent = time.monotonic()
    await (latest.signal if how == "signal" else latest.execute_update)("kill", {"by": "olga", "reason": "enough"})
    handled: float | None = time.monotonic()
    result = RunResult.model_validate(await victim.handle.result())
    closed = time.monotonic()
    assert result.stop_reason == "killed"
    links = [link async for link in victim.links()]
    if how == "signal":
        [handled] = [at for link in links if (at := handled_in(link)) is not None]
    ends = [seconds(link[-1]) for link in links[:-1]]
    if ends:
        roll.after.append(ends[0] - last)
    return Kill(
        how,
        min((sent - end for end in ends), key=abs, default=None),
        handled - sent,
        max([0.0, *(at - sent for word in ("begin", "end") for at in victim.marked(word))]),
        closed - sent,
        [at - handled for at in victim.marked("begin") if at > handled],
        len(links),
    )


def told(kills: Sequence[Kill]) -> str:
    """The figures, in milliseconds: the median, the 99th of 100 and the longest."""
    lines: list[str] = []
    for how in ("signal", "update"):
        mine = [one for one in kills if one.how == how]
        parts: list[str] = []
        for name in ("handled", "silent", "closed"):
            values: list[float] = [getattr(one, name) for one in mine]
            figures = (statistics.median(values), p99(values), max(values))
            parts.append(f"{name} " + " / ".join(f"{1000 * one:.0f}" for one in figures))
        late = [one for kill in mine for one in kill.late]
        lines.append(f"{how}: {len(mine)} kills, {', '.join(parts)}; {len(late)} effects began after it was handled")
    off = sorted(one.off for one in kills if one.off is not None)
    near = [one for one in off if abs(one) < NEAR]
    before = len(kills) - len(off)
    lines.append(f"{len(near)} within {1000 * NEAR:.0f} ms of the end of a link: {[round(1e4 * one) for one in near]}")
    lines.append(f"{before} in a link that did not end before; links: {sorted({one.links for one in kills})}")
    return "\n".join(lines)


@pytest.mark.soak
@pytest.mark.timeout(1800 if SOAK else 120)
async def test_a_kill_that_meets_a_run_between_two_links_ends_it_within_a_second(
    client: Client, temporal_server: DevServer, agent_folder: Callable[..., Path], tmp_path: Path
) -> None:
    queue = f"kills-{uuid.uuid4()}"

    def series(request: Request) -> Reply:
        return Reply(calls=[Call("stamp", {"number": request.index})])

    async def start(name: object) -> Victim:
        marks = tmp_path / f"{name}.marks"
        given = {"goal": "stamp", "agent": "clerk", "metadata": {"marks": str(marks)}}
        handle = await client.start_workflow(AGENT_RUN, given, id=f"{queue}-{name}", task_queue=queue)
        return Victim(client, handle, marks)

    async with ScriptedModel({"stamp": [series] * 20_000}) as model:
        environment = worker_environment(agent_folder(toml=LONG, tools=TOOLS), queue, model, temporal_server.address)
        environment["BACKSTAY_LINK_EVENTS"] = str(LINK_EVENTS)
        async with working(environment, tmp_path / "worker.log"):
            # From its first run a worker learns that its rules are quick, and later runs have fewer events a call.
            for name in ("first", "second"):
                victim = await start(name)
                await until(victim.rolled)
                roll = await learnt(victim)
                await victim.latest.signal("kill")
            room = asyncio.Semaphore(AT_ONCE)

            async def one(number: int) -> Kill:
                async with room:
                    how = "update" if number % 2 else "signal"
                    return await kill(await start(number), roll, how, random.randint(-AROUND, AROUND))

            kills = await asyncio.gather(*(one(number) for number in range(KILLS)))
    print(told(kills))
    assert len([one for one in kills if one.off is not None and abs(one.off) < AIMED]) >= KILLS / 4, told(kills)
    assert not [one for kill in kills for one in kill.late if one >= HANDING_OVER], told(kills)
    assert p99([one.silent for one in kills]) < BOUND, told(kills)
    assert p99([one.closed for one in kills]) < BOUND, told(kills)
