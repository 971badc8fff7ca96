"""A stop of a part of the fleet: every run in scope is told and accounted for, and let go again in stages."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from backstay.adapters.engine.dev_server import dev_server
from backstay.adapters.engine.scoped_runs import ScopedRuns
from backstay.app import folders
from backstay.client import control_plane
from backstay.client.incidents import Report, report
from backstay.contracts import names
from backstay.contracts.control import LiftOrder, StopOrder
from backstay.contracts.incident import IncidentInput
from backstay.contracts.run import plain
from backstay.kernel.control import Incident, Mode, Told
from backstay.kernel.keys import incident_workflow_id
from backstay.kernel.scope import Scope, ScopeKind
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

if TYPE_CHECKING:
    from tests.workflow.conftest import Opener

PATIENCE = 60.0
TOOLS = '''
import asyncio
from pathlib import Path
from backstay.tools import ToolCall, ToolError, tool

HERE = Path(__file__).parent

@tool(effect="write")
async def pay(call: ToolCall) -> str:
    """Pays."""
    with (HERE / "paid.txt").open("a") as file:
        file.write(call.run_id + "\\n")
    return "paid"

@tool(effect="read")
async def wait(call: ToolCall) -> str:
    """Waits until somebody opens the gate."""
    while not (HERE / "open").exists():
        await asyncio.sleep(0.05)
    if (HERE / f"broken-{call.run_id}").exists():
        raise ToolError("broken")
    return "go"

@tool(effect="once")
async def lose(call: ToolCall) -> str:
    """Pays, and never says so."""
    with (HERE / "paid.txt").open("a") as file:
        file.write(call.run_id + "\\n")
    await asyncio.sleep(3600)
    return "paid"
'''
WHO: dict[str, Any] = {"by": "olga@example.com", "reason": "it pays twice"}
Handle = WorkflowHandle[Any, Any]


SCRIPTS = {
    "pay": [Reply(calls=[Call("wait")]), Reply(calls=[Call("pay")]), Reply("done")],
    "lose": [Reply(calls=[Call("lose")]), Reply("done")],
}


class Fleet:
    """Runs that stand at a gate, on a server of their own."""

    def __init__(self, runtime: LocalRuntime, folder: Path) -> None:
        self.runtime = runtime
        self.client = runtime.client
        self.folder = folder

    async def started(self, count: int, tenant: str = "acme", goal: str = "pay") -> list[Handle]:
        """Runs that wait at the gate, with their first call under way."""
        request = {"goal": goal, "agent": "clerk", "tenant": tenant}
        runs = [await self.runtime.start(request, f"{tenant}-{goal}-{number}") for number in range(count)]
        for run in runs:
            await self.until(lambda run=run: _waits(run))
        return runs

    def paid(self) -> Counter[str]:
        file = self.folder / "paid.txt"
        return Counter(file.read_text().split()) if file.exists() else Counter()

    async def until(self, holds: Callable[[], Any]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not await holds():
                await asyncio.sleep(0.05)

    async def stop(self, scope: str, incident_id: str = "i1", *, freeze: bool = False) -> Report:
        """Stops a part of the fleet, and waits until every run is accounted for."""
        await control_plane.stop(self.client, StopOrder(**WHO, incident_id=incident_id, scope=scope, freeze=freeze))
        return await self.swept(incident_id)

    async def swept(self, incident_id: str) -> Report:
        """Waits until every run in the scope of an incident is accounted for."""
        found: Report | None = None

        async def over() -> bool:
            nonlocal found
            found = await report(self.client, incident_id)
            return found is not None and found.view.done

        await self.until(over)
        assert found is not None
        return found

    async def lift(self, incident_id: str = "i1", **more: Any) -> None:
        await control_plane.lift(self.client, LiftOrder(**WHO, incident_id=incident_id, **more))

    async def refused(self) -> ApplicationError:
        with pytest.raises(WorkflowFailureError) as failed:
            await (await self.runtime.start({"goal": "pay", "agent": "clerk", "tenant": "acme"})).result()
        assert isinstance(failed.value.cause, ApplicationError)
        return failed.value.cause


async def _waits(run: Handle) -> bool:
    pending = (await run.describe()).raw_description.pending_activities
    return [one.activity_type.name for one in pending] == ["act"]


@pytest.fixture
async def fleet(agent_folder: Callable[..., Path]) -> AsyncGenerator[Fleet]:
    agents = agent_folder(tools=TOOLS, toml="[stop]\nfailures = 1\n[budget]\nseconds = 600\n")
    async with dev_server() as server, local_runtime(SCRIPTS, agents=agents, client=server.client) as runtime:
        yield Fleet(runtime, agents / "clerk")


@asynccontextmanager
async def _open(folder: Path) -> AsyncGenerator[None]:
    (folder / "open").touch()
    yield


async def states(runs: list[Handle]) -> set[str]:
    return {(await run.query("status"))["state"] for run in runs}


async def test_every_run_is_stopped_and_reported_with_its_spend_and_new_ones_are_refused(fleet: Fleet) -> None:
    runs = await fleet.started(12)
    found = await fleet.stop("all")
    assert (found.view.counts, found.accounted) == ({"stopped": 12}, True)
    assert {one.run_id for one in found.runs} == {run.id for run in runs}
    assert {one.detail for one in found.runs} == {"incident_stop: by olga@example.com: it pays twice"}
    assert all(one.usd and float(one.usd) > 0 and one.in_flight[0].tool == "wait" for one in found.runs)
    assert (await fleet.refused()).type == "IncidentStop"
    assert {(await run.result())["stop_reason"] for run in runs} == {"incident_stop"}
    assert fleet.paid() == {}


async def test_a_sweep_looks_at_all_runs_though_no_answer_has_more_than_two(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders.incident, "ROWS", 2)
    monkeypatch.setattr(folders.incident, "ENOUGH_BYTES", 1)
    runs = await fleet.started(5)
    found = await fleet.stop("tenant:acme", freeze=True)
    assert (found.view.counts, {one.run_id for one in found.runs}) == ({"frozen": 5}, {run.id for run in runs})
    sweep: Handle = fleet.client.get_workflow_handle(incident_workflow_id("i1"))
    looks = [
        event.activity_task_scheduled_event_attributes.input.payloads[0].data
        async for event in sweep.fetch_history_events()
        if event.activity_task_scheduled_event_attributes.activity_type.name == names.FIND_RUNS
    ]
    assert sum(b'"after":"open:' in look for look in looks) >= 2


async def test_a_run_that_ended_before_the_sweep_first_looked_is_in_the_report(fleet: Fleet) -> None:
    [ended] = await fleet.started(1)
    began = (await ended.describe()).execution_time
    assert began is not None
    await ended.terminate()
    [late] = await fleet.started(1, goal="lose")
    told = Told("olga@example.com", "it pays twice", int(began.timestamp() * 1_000) + 100)
    incident = Incident("i1", Scope(ScopeKind.AGENT, "clerk"), Mode.STOP, told)
    given = plain(IncidentInput(incident=incident))
    sweep_id = incident_workflow_id("i1")
    await fleet.client.start_workflow(names.INCIDENT_RUN, given, id=sweep_id, task_queue=names.CONTROL_QUEUE)
    found = await fleet.swept("i1")
    assert {one.run_id: one.outcome for one in found.runs} == {ended.id: "already_done", late.id: "effect_unknown"}


async def test_a_run_that_went_on_in_another_link_and_ended_before_the_sweep_first_looked_is_in_the_report(
    agent_folder: Callable[..., Path],
) -> None:
    agents = agent_folder(tools=TOOLS, toml="[budget]\nseconds = 600\n[stop]\nrepeats = 64\n")
    script = {"pay": [*[Reply(calls=[Call("pay")]) for _ in range(6)], Reply("done")]}
    async with (
        dev_server() as server,
        local_runtime(script, agents=agents, client=server.client, link_events=30) as runtime,
    ):
        fleet = Fleet(runtime, agents / "clerk")
        run = await runtime.start({"goal": "pay", "agent": "clerk", "tenant": "acme"}, "over-links")
        began = (await run.describe()).execution_time
        assert began is not None
        assert (await run.result())["stop_reason"] == "completed"
        links = [one async for one in fleet.client.list_workflows(f"WorkflowId = '{run.id}'")]
        assert len(links) > 2
        # It was open when the stop came, and its last link began after that.
        told = Told("olga@example.com", "it pays twice", int(began.timestamp() * 1_000) + 1)
        incident = Incident("i1", Scope(ScopeKind.AGENT, "clerk"), Mode.STOP, told)
        given = plain(IncidentInput(incident=incident))
        sweep_id = incident_workflow_id("i1")
        await fleet.client.start_workflow(names.INCIDENT_RUN, given, id=sweep_id, task_queue=names.CONTROL_QUEUE)
        found = await fleet.swept("i1")
        assert {one.run_id: one.outcome for one in found.runs} == {run.id: "already_done"}


async def test_a_stop_of_a_tenant_leaves_all_others_alone_and_names_the_calls_that_nobody_knows_of(
    fleet: Fleet,
) -> None:
    mine, lost, others = (
        await fleet.started(3),
        await fleet.started(1, goal="lose"),
        await fleet.started(2, tenant="globex"),
    )
    found = await fleet.stop("tenant:acme")
    assert found.view.counts == {"stopped": len(mine), "effect_unknown": len(lost)}
    [unknown] = [one for one in found.runs if one.outcome == "effect_unknown"]
    assert unknown.detail == "nobody can tell whether these happened: lose (1-0)"
    async with _open(fleet.folder):
        assert {(await run.result())["stop_reason"] for run in others} == {"completed"}


async def test_frozen_runs_stand_still_and_finish_once_they_are_let_go_in_stages(fleet: Fleet) -> None:
    runs = await fleet.started(6)
    found = await fleet.stop("agent:clerk", freeze=True)
    assert (found.view.counts, found.accounted) == ({"frozen": 6}, True)
    async with _open(fleet.folder):  # the calls under way end, and nothing follows
        await asyncio.sleep(1)
        assert await states(runs) == {"paused"}
        await fleet.lift(stage="models")
        await fleet.until(lambda: _all_say(runs, "is stopped by"))
        assert fleet.paid() == {}
        assert (await fleet.refused()).type == "IncidentStop"
        await fleet.lift()
        assert {(await run.result())["stop_reason"] for run in runs} == {"completed"}
    assert fleet.paid() == Counter(run.id for run in runs)


async def _all_say(runs: list[Handle], words: str) -> bool:
    return all([words in ((await run.query("status"))["trouble"] or "") for run in runs])


@pytest.mark.parametrize("broken", [False, True])
async def test_some_runs_go_first_and_the_others_follow_unless_those_fail_again(fleet: Fleet, broken: bool) -> None:
    runs = await fleet.started(4)
    await fleet.stop("agent:clerk", freeze=True)
    if broken:
        (fleet.folder / f"broken-{runs[0].id}").touch()
    first = runs[0]
    async with _open(fleet.folder):
        await fleet.lift(canaries=[first.id], watch=3)
        result = await first.result()
        assert result["stop_reason"] == ("tool_failures" if broken else "completed")
        if broken:
            await fleet.until(lambda: _tripped(fleet))
            assert await states(runs[1:]) == {"paused"}
        else:
            assert {(await run.result())["stop_reason"] for run in runs} == {"completed"}


async def _tripped(fleet: Fleet) -> bool:
    view = (await control_plane.in_force(fleet.client)).view
    assert view is not None
    incident = view.state.incidents["i1"]
    return incident.canary is None and incident.lifted[-1].by == "the runs that went first"


async def test_a_run_that_is_frozen_before_its_first_task_shows_it_to_the_sweep(workshop: Opener) -> None:
    async with workshop([Reply("done")], worker=False) as shop:
        handle = await shop.start()
        order = {"incident_id": "i1", "do": "freeze", "scope": "all", "by": "olga", "reason": "it pays twice"}
        await handle.signal(names.INCIDENT, order)
        incident = Incident("i1", Scope(ScopeKind.ALL), Mode.FREEZE, Told("olga", "it pays twice", 0))
        async with shop.worker():

            async def held() -> bool:
                return (await ScopedRuns(shop.runtime.client).report(handle.id, incident)).outcome == "frozen"

            await shop.until(held)
            await handle.signal(names.INCIDENT, {**order, "do": "thaw"})
            assert (await shop.result(handle)).answer == "done"
            await shop.shown(handle, "BackstayAgent", "workshop")
