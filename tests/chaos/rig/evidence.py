"""Gathers what is known at the end: what each run says of itself, what the engine says of it, and the books."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from backstay.adapters.engine.executions import Execution, listed
from backstay.client.client import BackstayClient
from backstay.client.ledgers import ledgers
from backstay.contracts import names
from backstay.contracts.ledger import LedgerView
from backstay.contracts.run import RunResult

from .people import People
from .plans import Plan
from .shop import Effect, effects_in
from .world import Closed, Limits, World, insist

AT_ONCE = 8
FORGIVEN = ("UNHANDLED_COMMAND", "RESET_WORKFLOW", "RESET_STICKY_TASK_QUEUE", "FORCE_CLOSE_COMMAND")
"""Causes of failed tasks that are no fault: the engine took a task back, or somebody terminated the workflow in it."""
Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """A run at the end.

    Attributes:
        result: what it returned; None while it is open, and for one that ended without a result.
        ended: how it ended, where there is no result: the type of its failure, or the engine's word; None if open.
        audit: all its records.
        pending: the activities that it has left, with the number of their attempt.
        task: the attempt at which its present workflow task is; 0 without one.
        failed_tasks: why workflow tasks of it failed, in any link of its chain.
        items: the item that the model named in each call, by the call's id.
        links: how many links its chain has.
    """

    plan: Plan
    result: RunResult | None
    ended: str | None
    audit: Sequence[Record]
    pending: list[tuple[str, int]]
    task: int
    failed_tasks: list[str]
    items: Mapping[str, Any]
    links: int = 1

    @property
    def open(self) -> bool:
        """Tells whether it has not ended."""
        return self.result is None and self.ended is None

    @property
    def run(self) -> str:
        """Its id."""
        return self.plan.run


@dataclass(frozen=True, slots=True)
class Other:
    """A workflow that is no run: its id, its type, the engine's word for its state, and why tasks of it failed."""

    workflow_id: str
    kind: str
    state: str
    failed_tasks: list[str]


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known.

    Attributes:
        late: the runs that did not come to their end in time.
        effects: the books of the shop.
        billed: what the model's server served for each run, in quarters of a micro-dollar.
        said: what members of a group answered to each approval.
        closed: the spans in which effects had to wait.
        ends: the exit codes and the last words of workers.
    """

    seen: list[Seen]
    others: list[Other]
    late: list[str]
    effects: list[Effect]
    ledgers: list[LedgerView]
    limits: Limits
    billed: Mapping[str, int] = field(default_factory=dict[str, int])
    said: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]])
    closed: list[Closed] = field(default_factory=list[Closed])
    ends: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])


async def gathered(world: World, people: People, late: list[str]) -> Evidence:
    """Gathers everything, from a world in which nobody does harm any more."""
    room = asyncio.Semaphore(AT_ONCE)

    async def seen(plan: Plan) -> Seen:
        async with room:
            return await _seen(world, plan)

    return Evidence(
        seen=[*await asyncio.gather(*(seen(plan) for plan in world.started.values()))],
        others=[await _other(world, one) async for one in listed(world.client, f"WorkflowType != '{names.AGENT_RUN}'")],
        late=late,
        effects=effects_in(world.books),
        ledgers=[view async for view in ledgers(world.client)],
        limits=world.limits,
        billed=_billed(world),
        said=people.said,
        closed=world.closed,
        ends=world.crew.ends,
    )


async def _seen(world: World, plan: Plan) -> Seen:
    handle = world.handle(plan.run)
    described = await insist(handle.describe)
    assert described is not None
    raw = described.raw_description
    result, ended = (None, None) if described.close_time is None else await _end(handle)
    links = [one async for one in listed(world.client, f"WorkflowId = '{plan.run}'")]
    return Seen(
        plan,
        result,
        ended,
        audit=await _audit(world, plan.run) if result or ended is None else [],
        pending=[(one.activity_type.name, one.attempt) for one in raw.pending_activities],
        task=raw.pending_workflow_task.attempt,
        failed_tasks=[text for one in links for text in await _failed_tasks(world, one)],
        items=_items(world, plan.run),
        links=len(links),
    )


async def _audit(world: World, run: str) -> list[Record]:
    """Returns all its records, over all links; asked again where the worker that remembered the run has died."""
    client = BackstayClient(world.client, world.queue)

    async def whole() -> list[Record]:
        return [record async for record in client.audit(run)]

    return await insist(whole) or []


def _items(world: World, run: str) -> dict[str, Any]:
    wanted = {step: calls for (whose, step), calls in world.mind.wanted.items() if whose == run}
    arguments: dict[str, Any] = {
        f"{step}-{index}": call.args for step, calls in wanted.items() for index, call in enumerate(calls)
    }
    return {call_id: args["item"] for call_id, args in arguments.items()}


async def _end(handle: Any) -> tuple[RunResult | None, str | None]:
    """Returns the result of a run that is over, or else how it ended."""
    try:
        return RunResult.model_validate(await handle.result()), None
    except ValidationError:
        return None, "a result that is none"
    except WorkflowFailureError as error:
        cause = error.cause
        if not isinstance(cause, ApplicationError):
            return None, type(cause).__name__
        try:
            return RunResult.model_validate(cause.details[0] if cause.details else None), None
        except ValidationError:
            return None, cause.type or "a failure without a type"


async def _failed_tasks(world: World, one: Execution) -> list[str]:
    why: list[str] = []
    async for event in world.client.get_workflow_handle(one.workflow_id, run_id=one.run_id).fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
            failed = event.workflow_task_failed_event_attributes
            cause = WorkflowTaskFailedCause.Name(failed.cause).removeprefix("WORKFLOW_TASK_FAILED_CAUSE_")
            if cause not in FORGIVEN:
                why.append(f"{cause}: {failed.failure.message[:300]}")
    return why


async def _other(world: World, one: Execution) -> Other:
    return Other(one.workflow_id, one.workflow_type, one.state, await _failed_tasks(world, one))


def _billed(world: World) -> Mapping[str, int]:
    """Adds up what was served, at the price that workers are told: 0.25 and 2.00 USD per million tokens."""
    billed: dict[str, int] = defaultdict(int)
    for request, input_tokens, output_tokens in world.model.served:
        billed[request.goal.partition("<")[2].partition(">")[0]] += input_tokens + 8 * output_tokens
    return billed


def keep(found: Evidence, folder: Path) -> None:
    """Writes what was found into a folder, for whoever looks for the cause of a violation."""
    folder.mkdir()
    for seen in found.seen:
        (folder / f"{seen.run}.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in seen.audit))
    lines = [json.dumps(asdict(one)) for one in (*found.effects, *found.closed)]
    (folder / "effects.jsonl").write_text("\n".join(lines))


def of_event(records: Iterable[Record], *events: str) -> list[Record]:
    """Returns the facts of the records of some events."""
    return [record["facts"] for record in records if record["event"] in events]


def time_of(record: Record) -> float:
    """Returns when a record was written, in seconds since the epoch."""
    return datetime.fromisoformat(record["at"]).timestamp()
