"""The engine as a second line of a stop: it hands out no call of a queue that it holds, whatever workers would do."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from backstay.adapters.engine.dev_server import dev_server
from backstay.adapters.engine.rates import limit_of, put_limit, queue_rate
from backstay.adapters.engine.task_queues import TaskQueues
from backstay.app import folders
from backstay.client import control_plane
from backstay.client.incidents import progress
from backstay.client.quotas import rates, set_quota
from backstay.contracts import names
from backstay.contracts.control import LiftOrder, StopOrder
from backstay.contracts.incident import IncidentChange, IncidentInput
from backstay.contracts.queue_hold import EngineHold, FleetsInput, FoundFleets, HeldQueue, HoldInput, QueueLimit
from backstay.contracts.quota import SetQuota
from backstay.contracts.run import plain
from backstay.kernel.control import Incident, Mode, Told
from backstay.kernel.engine import CallKind
from backstay.kernel.keys import incident_workflow_id
from backstay.kernel.scope import Scope
from backstay.settings import DEFAULT_MODEL
from backstay.testing import Reply
from backstay.testing.runtime import LocalRuntime, local_runtime
from workflows import held_queues, options

from .entity import served

PATIENCE = 40.0
QUEUE = "model-main"
WHO: dict[str, Any] = {"by": "olga@example.com", "reason": "it pays twice"}
TOML = '[model]\naccount = "main"\ngive_up_after = "1s"\n'
TOOLS = '''
from backstay.tools import tool

@tool(effect="write", dedupe="tenant", dedupe_window="1h")
def pay() -> str:
    """Pays."""
    return "paid"
'''
HELD = HeldQueue(queue=QUEUE, kind=CallKind.MODELS, rate=None, why="")
Handle = WorkflowHandle[Any, Any]


@workflow.defn(name="Stranger")
class Stranger:
    """A workflow of somebody else that calls over the queue of an account: no gate of a run stands before it."""

    @workflow.run
    async def run(self, queue: str) -> str:
        try:
            await workflow.execute_activity(
                names.DECIDE,
                {"not": "a decision"},
                task_queue=queue,
                start_to_close_timeout=timedelta(seconds=10),
                retry_policy=RetryPolicy(maximum_attempts=1),
            )
        except ActivityError as error:
            return type(error.cause).__name__
        return "done"


class Fleet:
    """Workers of one account, on a server of their own."""

    def __init__(self, runtime: LocalRuntime) -> None:
        self.runtime, self.client = runtime, runtime.client
        self.effects = names.effects_queue(runtime.settings.task_queue)

    async def until(self, holds: Callable[[], Any]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not await holds():
                await asyncio.sleep(0.05)

    async def stop(self, scope: str = "all", incident_id: str = "i1") -> EngineHold:
        """Stops a scope with the engine's help; returns what that holds."""
        order = StopOrder(**WHO, incident_id=incident_id, scope=scope, freeze=True, engine=True)
        await control_plane.stop(self.client, order)
        return await self.known(incident_id)

    async def known(self, incident_id: str = "i1") -> EngineHold:
        """Waits until the sweep has asked the fleet."""
        found: EngineHold | None = None

        async def told() -> bool:
            nonlocal found
            view = await progress(self.client, incident_id)
            found = view.engine if view else None
            return found is not None

        await self.until(told)
        assert found is not None
        return found

    async def lift(self, incident_id: str = "i1", **more: Any) -> None:
        await control_plane.lift(self.client, LiftOrder(**WHO, incident_id=incident_id, **more))

    async def until_limit(self, rate: int | None, why: str) -> None:
        async def is_back() -> bool:
            return await limit_of(self.client, QUEUE) == QueueLimit(rate=rate, why=why)

        await self.until(is_back)

    async def stranger(self) -> Handle:
        """Lets somebody else call over the account's queue."""
        return await self.client.start_workflow(
            "Stranger", QUEUE, id=f"stranger-{uuid.uuid4()}", task_queue="strangers", result_type=str
        )


@pytest.fixture
async def fleet(agent_folder: Callable[..., Path]) -> AsyncGenerator[Fleet]:
    agents = agent_folder(toml=TOML, tools=TOOLS)
    async with (
        dev_server() as server,
        local_runtime([Reply("done")], agents=agents, client=server.client) as runtime,
        Worker(
            server.client,
            task_queue="strangers",
            workflows=[Stranger],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ),
    ):
        yield Fleet(runtime)


async def pending(handle: Handle) -> list[PendingActivityInfo]:
    return list((await handle.describe()).raw_description.pending_activities)


async def waits(handle: Handle) -> bool:
    return len(await pending(handle)) == 1


async def test_no_call_begins_on_a_held_queue_and_all_go_on_with_the_limit_from_before(fleet: Fleet) -> None:
    await set_quota(fleet.client, "main", SetQuota(rate=600_000, by="alice", reason="95 %"))
    assert await asyncio.wait_for((await fleet.stranger()).result(), PATIENCE) == "ApplicationError"
    hold = await fleet.stop()
    assert {one.queue: (one.rate, one.why) for one in hold.held} == {
        QUEUE: (600_000, "600 rpm, set by alice: 95 %"),
        fleet.effects: (None, ""),
    }
    assert {one.queue for one in hold.unheld} == {fleet.runtime.settings.task_queue}

    stranger = await fleet.stranger()
    await fleet.until(lambda: waits(stranger))
    await asyncio.sleep(2)
    [call] = await pending(stranger)
    assert (call.attempt, call.HasField("last_started_time")) == (1, False)

    later = await set_quota(fleet.client, "main", SetQuota(rate=300_000, by="bob"))
    assert later is not None
    assert later.by == "held by the incident i1"
    await asyncio.sleep(1)
    assert (await pending(stranger))[0].attempt == 1
    [rate] = await rates(fleet.client, "main")
    assert (rate.configured, rate.in_force, rate.why) == (
        300_000,
        0,
        "held by the incident i1; then 300 rpm, set by bob",
    )
    await fleet.lift(stage="models")
    await fleet.until_limit(300_000, "300 rpm, set by bob")
    assert await asyncio.wait_for(stranger.result(), PATIENCE) == "ApplicationError"
    assert (await limit_of(fleet.client, fleet.effects)).rate == 0
    await fleet.lift()
    await asyncio.wait_for(fleet.client.get_workflow_handle(incident_workflow_id("i1")).result(), PATIENCE)
    assert await limit_of(fleet.client, fleet.effects) == QueueLimit()
    run = await fleet.runtime.run_to_end({"goal": "x", "agent": "clerk"})
    assert run.status == "completed"


async def test_a_rate_that_is_set_while_a_stop_lets_go_keeps_no_queue_held(fleet: Fleet) -> None:
    await fleet.stop()
    held = await limit_of(fleet.client, QUEUE)
    await fleet.lift()
    await asyncio.wait_for(fleet.client.get_workflow_handle(incident_workflow_id("i1")).result(), PATIENCE)
    await put_limit(fleet.client, QUEUE, held)  # what is written after it was read, and after the sweep has ended
    assert await set_quota(fleet.client, "main", SetQuota(rate=300_000, by="bob")) is None
    assert await limit_of(fleet.client, QUEUE) == QueueLimit(rate=300_000, why="300 rpm, set by bob")


async def test_of_two_incidents_the_first_lift_frees_nothing(fleet: Fleet) -> None:
    await put_limit(fleet.client, QUEUE, QueueLimit(rate=57_500, why="by hand"))
    await asyncio.gather(fleet.stop("all", "i1"), fleet.stop("agent:clerk", "i2"))

    async def by_both() -> bool:
        hold = (await queue_rate(fleet.client, "main")).hold
        return hold is not None and set(hold.incidents) == {"i1", "i2"} and hold.rate == 57_500

    await fleet.until(by_both)
    await fleet.lift("i1")
    await asyncio.wait_for(fleet.client.get_workflow_handle(incident_workflow_id("i1")).result(), PATIENCE)
    hold = (await queue_rate(fleet.client, "main")).hold
    assert hold is not None
    assert hold.incidents == ("i2",)
    await fleet.lift("i2")
    await fleet.until_limit(57_500, "by hand")


async def test_a_sweep_that_was_terminated_leaves_no_queue_held_once_its_incident_is_lifted(fleet: Fleet) -> None:
    await fleet.stop()
    await fleet.client.get_workflow_handle(incident_workflow_id("i1")).terminate()
    assert (await queue_rate(fleet.client, "main")).hold is not None
    await fleet.lift()
    await fleet.until_limit(None, "")


async def test_a_scope_with_shared_queues_alone_says_so(fleet: Fleet) -> None:
    hold = await fleet.stop("tenant:acme")
    assert hold.held == []
    why = {one.queue: one.why for one in hold.unheld}
    assert why[QUEUE] == why[fleet.effects] == "all tenants share it"
    assert why[fleet.runtime.settings.task_queue].startswith("the runs' own queue carries")
    assert (await limit_of(fleet.client, QUEUE)).rate is None


async def test_a_stop_of_a_model_holds_the_queue_that_carries_its_calls_alone(fleet: Fleet) -> None:
    # The agent that every fleet has asks the same model over the queue of the runs.
    hold = await fleet.stop(f"model:{DEFAULT_MODEL}")
    assert [one.queue for one in hold.held] == [QUEUE]
    assert [one.queue for one in hold.unheld] == [fleet.runtime.settings.task_queue]


async def test_a_limit_that_was_written_just_after_the_hold_is_put_back_below_it(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_queues, "LATER", timedelta(seconds=1))
    await fleet.stop()
    await put_limit(fleet.client, QUEUE, QueueLimit(rate=60_000, why="by hand"))

    async def held_again() -> bool:
        hold = (await queue_rate(fleet.client, "main")).hold
        return hold is not None and (hold.rate, hold.why) == (60_000, "by hand")

    await fleet.until(held_again)


async def test_a_frozen_run_does_not_fail_because_its_decision_waited_in_the_queue_for_too_long(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "LONGEST_TURN", timedelta(seconds=4))
    await put_limit(fleet.client, QUEUE, QueueLimit(rate=0, why="nothing yet"))
    run = await fleet.runtime.start({"goal": "x", "agent": "clerk"})
    await fleet.until(lambda: _decides(run))
    await fleet.stop()
    await fleet.until(lambda: _gave_up(run))
    assert (await run.query("status"))["state"] == "paused"
    await fleet.lift()
    await fleet.until_limit(0, "nothing yet")
    await put_limit(fleet.client, QUEUE, QueueLimit())
    assert (await asyncio.wait_for(run.result(), PATIENCE))["stop_reason"] == "completed"
    assert fleet.runtime.model.requests[0] is not None


class FakeEngine:
    """An engine that holds one queue, and keeps what it is told that it held before."""

    def __init__(self) -> None:
        self.before: list[list[HeldQueue]] = []

    @activity.defn(name=names.FIND_FLEETS)
    async def find(self, given: FleetsInput) -> FoundFleets:
        return FoundFleets(task_queues=[])

    @activity.defn(name=names.HOLD_QUEUES)
    async def hold(self, given: HoldInput) -> EngineHold:
        self.before.append(given.held)
        return EngineHold(held=[HELD] if given.incident.ended_ms is None else [])


async def test_a_stop_that_lasts_for_days_is_handed_on_with_what_the_engine_holds(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SOON", "LATER"):
        monkeypatch.setattr(held_queues, name, timedelta(milliseconds=20))
    engine = FakeEngine()
    stop = Incident(
        f"i-{uuid.uuid4()}", Scope.read("model:gpt"), Mode.STOP, Told("olga", "it pays twice", 1), engine=True
    )
    async with served(client, folders.incident_sweep.Incident, engine.find, engine.hold, MOST_EVENTS=60):
        given, queue = plain(IncidentInput(incident=stop)), names.CONTROL_QUEUE
        handle = await client.start_workflow(
            names.INCIDENT_RUN, given, id=incident_workflow_id(stop.id), task_queue=queue
        )
        sweep = client.get_workflow_handle(handle.id)
        async with asyncio.timeout(PATIENCE):
            while (await sweep.describe()).run_id == handle.first_execution_run_id:
                await asyncio.sleep(0.1)
            asked = len(engine.before)
            while len(engine.before) < asked + 2:
                await asyncio.sleep(0.05)
        assert engine.before[0] == []
        assert all(held == [HELD] for held in engine.before[1:])
        over = replace(stop, ended_ms=5)
        await sweep.signal(names.CHANGED, plain(IncidentChange(incident=over)))
        async with asyncio.timeout(PATIENCE):
            assert (await sweep.result())["engine"] == {"held": [], "unheld": []}


async def _decides(run: Handle) -> bool:
    return [one.activity_type.name for one in await pending(run)] == [names.DECIDE]


async def _gave_up(run: Handle) -> bool:
    return await pending(run) == []


async def test_fleets_are_found_by_their_runs_and_accounts_by_their_rates(fleet: Fleet) -> None:
    found = await TaskQueues(fleet.client, ["mine"]).fleets()
    assert (found.task_queues, found.queues) == (["mine"], [])
    await set_quota(fleet.client, "other", SetQuota(rate=1_000, by="alice"))
    await fleet.client.start_workflow(names.AGENT_RUN, {"goal": "x"}, id="elsewhere", task_queue="theirs")

    async def both() -> bool:
        nonlocal found
        found = await TaskQueues(fleet.client, ["mine"]).fleets()
        return found.task_queues == ["mine", "theirs"] and [one.queue for one in found.queues] == ["model-other"]

    await fleet.until(both)
    hold = await fleet.stop()
    assert {"model-other", QUEUE, fleet.effects} == {one.queue for one in hold.held}
    assert "no worker says which calls it carries" in {one.why for one in hold.unheld if one.queue == "theirs"}
