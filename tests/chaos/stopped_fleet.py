"""Runs in every state, two worker processes, and the incident command as people call it: what a stop is tried on."""

import asyncio
import contextlib
import json
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from backstay.adapters.engine.executions import described
from backstay.client import control_plane
from backstay.client.connection import connect
from backstay.client.fleet import Waiting, waiting_approvals
from backstay.contracts import names
from backstay.contracts.run import RunResult
from backstay.kernel.control import Incident
from backstay.kernel.keys import incident_workflow_id
from backstay.testing import Call, Failure, Reply, Request, ScriptedModel
from backstay.testing.model.wire import assistant_turns

from .refund_shop import Server, restartable
from .worker_process import ROOT, SOAK, Worker, worker_environment, working

PATIENCE = 900.0 if SOAK else 120.0
DECISIONS = 3_000
KINDS = ("steps", "approval", "model", "steps", "approval", "call")
AT_ONCE = 20
WHO = ("--by", "olga@example.com", "--reason", "it pays twice")

TOOLS = '''
import asyncio
import json
import os
import time
from pathlib import Path
from backstay.tools import ToolCall, tool

MARKS = Path(os.environ["MARKS"])

def mark(call: ToolCall, name: str) -> None:
    line = json.dumps({"run": call.run_id, "tool": name, "key": call.idempotency_key, "at": time.monotonic()}) + "\\n"
    descriptor = os.open(MARKS / "begun", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line.encode())
    os.close(descriptor)

@tool(effect="read")
async def look(call: ToolCall, n: int) -> str:
    """Looks something up."""
    mark(call, "look")
    return f"seen {n}"

@tool(effect="once", timeout="300s")
async def pay(call: ToolCall, n: int, gate: str = "") -> str:
    """Pays, and waits at a gate until it is open."""
    mark(call, "pay")
    await asyncio.sleep(0.4)
    while gate and not (MARKS / gate).exists():
        await asyncio.sleep(0.05)
    return f"paid {n}"

@tool(effect="once")
async def transfer(call: ToolCall, n: int) -> str:
    """Pays, with a person's consent."""
    mark(call, "transfer")
    return f"transferred {n}"
'''
TOML = """
[approval]
require = { transfer = "finance" }
groups = { finance = ["alice"] }
[budget]
steps = 5_000
tool_calls = 5_000
tokens = 50_000_000
usd = "500"
seconds = 7_200
"""


@dataclass(frozen=True, slots=True)
class Mark:
    """An effect, as its tool wrote down that it began; `at` is the machine's monotonic clock."""

    run: str
    tool: str
    key: str
    at: float


@dataclass(slots=True)
class StoppedFleet:
    """Runs in every state, on two workers.

    Attributes:
        folder: where the tools write their marks, and look for gates.
        environment: of workers and commands.
        workers: the worker processes.
        model: what the runs ask.
        enough: whether runs that make step after step, or wait for a frail model, may come to their end.
    """

    client: Client
    server: Server
    queue: str
    folder: Path
    environment: dict[str, str]
    workers: Sequence[Worker]
    model: ScriptedModel
    enough: bool = False
    runs: list[WorkflowHandle[Any, Any]] = field(default_factory=list[WorkflowHandle[Any, Any]])

    async def begin(self, count: int, kinds: Sequence[str] = KINDS) -> None:
        """Starts runs, and waits until each is in its state."""
        room = asyncio.Semaphore(AT_ONCE)

        async def start(number: int) -> WorkflowHandle[Any, Any]:
            async with room:
                return await self.start(f"{kinds[number % len(kinds)]}-{number}")

        self.runs = [*await asyncio.gather(*(start(number) for number in range(count)))]
        await self.until(self._all_in_their_states)

    async def start(self, name: str) -> WorkflowHandle[Any, Any]:
        """Starts a run; its name begins with its kind."""
        request = {"goal": f"<{name.partition('-')[0]}>", "agent": "clerk", "tenant": "acme"}
        return await self.client.start_workflow(names.AGENT_RUN, request, id=name, task_queue=self.queue)

    async def _all_in_their_states(self) -> bool:
        kinds = Counter(run.id.partition("-")[0] for run in self.runs)
        asked = {one.conversation for one in self.model.requests if one.goal == "<model>"}
        begun = {mark.run for mark in self.marks()}
        acting = [run for run in self.runs if not run.id.startswith(("model", "approval"))]
        begins = len(asked) >= kinds["model"] and all(run.id in begun for run in acting)
        waiting = await self.client.count_workflows("BackstayState = 'waiting_approval'")
        return begins and waiting.count >= kinds["approval"]

    async def waiting(self) -> list[Waiting]:
        """The approvals that people are asked for."""
        return await waiting_approvals(self.client, task_queue=self.queue)

    def last_effect(self) -> float:
        """When the last call of a tool began, or the last question to the model."""
        return max(*(mark.at for mark in self.marks()), *(request.at for request in self.model.requests))

    def marks(self) -> list[Mark]:
        """The effects so far, in the order in which they began."""
        file = self.folder / "begun"
        return [Mark(**json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []

    def done_twice(self) -> list[str]:
        """The keys of effects that were done more than once."""
        return [key for key, count in Counter(mark.key for mark in self.marks()).items() if count > 1]

    def open(self, gate: str) -> None:
        """Lets the calls at a gate go on."""
        (self.folder / gate).touch()

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        """Waits until something holds."""
        async with asyncio.timeout(PATIENCE):
            while not await holds():
                await asyncio.sleep(0.3)

    async def command(self, *words: str) -> asyncio.subprocess.Process:
        """Runs `backstay incident` in a process of its own."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "backstay", "incident", *words),
            cwd=ROOT,
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def stop_and_die(self, *words: str) -> Incident:
        """Stops by a command that is killed as soon as it has said that the stop is in force."""
        process = await self.command("stop", *words, *WHO)
        assert process.stderr is not None
        said = ""
        async with asyncio.timeout(PATIENCE):
            while "in force since" not in said:
                said = (await process.stderr.readline()).decode()
                assert said, "the command ended before the stop was in force"
        process.kill()
        await process.communicate()
        return await self.incident(said.partition(" as ")[2].partition(":")[0])

    async def told(self, *words: str) -> dict[str, Any]:
        """Runs a command to its end, which is a good one, and returns what it told programs."""
        process = await self.command(*words, "--output", "json")
        out, said = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert process.returncode == 0, (out.decode(), said.decode())
        return json.loads(out)

    async def incident(self, incident_id: str) -> Incident:
        """Returns an incident as it is in force."""
        view = (await control_plane.in_force(self.client)).view
        assert view is not None
        return view.state.incidents[incident_id]

    async def kill_the_sweeper(self, incident_id: str) -> None:
        """Kills the worker process that runs the sweep, in its middle."""
        while (pid := await self._sweeping(incident_id)) is None:
            await asyncio.sleep(0.02)
        [worker] = [one for one in self.workers if one.process is not None and one.process.pid == pid]
        await worker.kill()

    async def _sweeping(self, incident_id: str) -> int | None:
        """Returns the process that has an activity of the sweep, or else had the last task."""
        sweep_id = incident_workflow_id(incident_id)
        execution = await described(self.client, sweep_id)
        assert execution.open, "the sweep is over already"
        who = [one.last_worker_identity for one in execution.pending if one.last_worker_identity]
        if not who:
            events = self.client.get_workflow_handle(sweep_id).fetch_history_events()
            who = [event.workflow_task_completed_event_attributes.identity async for event in events]
            who = [one for one in who if one]
        return int(who[-1].partition("@")[0]) if who else None

    async def refused(self, name: str) -> str | None:
        """Starts a run that is refused, and returns the type of its failure, or why it stopped if nothing was begun."""
        try:
            result = RunResult.model_validate(await (await self.start(name)).result())
        except WorkflowFailureError as error:
            return error.cause.type if isinstance(error.cause, ApplicationError) else repr(error.cause)
        return result.stop_reason if result.steps == 0 else None

    async def approve(self, one: Waiting) -> None:
        """Approves a call that waits for a person."""
        vote = {"approval_id": one.approval.approval_id, "by": "alice"}
        await self.client.get_workflow_handle(one.run_id).execute_update(names.APPROVE, vote)

    async def all_wait(self, kind: str, why: str) -> bool:
        """Tells whether all runs of a kind say why they do not go on."""
        troubles = [(await run.query(names.STATUS))["trouble"] for run in self.runs if run.id.startswith(kind)]
        return all(why in (trouble or "") for trouble in troubles)

    async def all_let_go(self) -> bool:
        """Tells whether no run stands still any more; the sweep tells them a moment after a lift is in force."""
        frozen = await self.client.count_workflows("BackstayState = 'paused' AND ExecutionStatus = 'Running'")
        return frozen.count == 0

    async def results(self, *kinds: str) -> Counter[str]:
        """Waits for the end of runs, of these kinds if some are given, and counts why they ended."""
        room = asyncio.Semaphore(AT_ONCE)

        async def reason(run: WorkflowHandle[Any, Any]) -> str:
            async with room:
                return (await run.result())["stop_reason"]

        async with asyncio.timeout(PATIENCE):
            return Counter(await asyncio.gather(*(reason(run) for run in self.runs if run.id.startswith(kinds or ""))))


def monotonic(at_ms: int) -> float:
    """Returns a moment of the engine's clock, which is this machine's, on the monotonic clock of the marks."""
    return at_ms / 1_000 - (time.time() - time.monotonic())


@contextlib.asynccontextmanager
async def stopped_fleet(
    folder: Path, agents: Path, *, frail: bool = False, workers: int = 2, link_events: int | None = None
) -> AsyncGenerator[StoppedFleet]:
    """Starts a server with a database, workers in processes of their own, and a model.

    Args:
        folder: where the server keeps its database, and the tools their marks.
        agents: the folder of agents.
        frail: whether the model fails runs of the kind `model` until it is enough, and does not just think for long.
        workers: how many worker processes.
        link_events: after so many events a run goes on in another link; None for the setting's default.
    """
    queue = f"agents-{uuid.uuid4()}"
    fleet: StoppedFleet

    def turn(request: Request) -> Reply | Failure:
        place = assistant_turns(request.api, request.body)
        match request.goal.strip("<>"):
            case "steps" if not fleet.enough:
                return Reply(calls=[Call("pay" if place % 2 else "look", {"n": place})])
            case "looks" if not fleet.enough:
                return Reply(calls=[Call("look", {"n": place})])
            case "approval" if place == 0:
                return Reply(calls=[Call("transfer", {"n": 1})])
            case "model" if not fleet.enough and frail:
                return Failure(429, retry_after=0.2, delay=1)
            case "model" if place == 0:
                return Reply(calls=[Call("pay", {"n": 1})], delay=0 if frail else 600)
            case "call" if place == 0:
                return Reply(calls=[Call("pay", {"n": 1, "gate": "go"})])
            case _:
                return Reply("done")

    script: Any = {f"<{kind}>": [turn] * DECISIONS for kind in (*KINDS, "looks")}
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(restartable(folder / "temporal.db"))
        model = await stack.enter_async_context(ScriptedModel(script))
        environment = {**worker_environment(agents, queue, model, server.address), "MARKS": str(folder)}
        if link_events is not None:
            environment["BACKSTAY_LINK_EVENTS"] = str(link_events)
        client = await connect(target_host=server.address, namespace="default")
        logs = [folder / f"worker-{number}.log" for number in range(workers)]
        started = await asyncio.gather(*(stack.enter_async_context(working(environment, log)) for log in logs))
        fleet = StoppedFleet(client, server, queue, folder, environment, started, model)
        yield fleet
