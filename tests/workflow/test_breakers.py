"""Breakers on a real server: a tool of one agent that fails stops that agent alone, and canaries heal it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from backstay.adapters.engine import breakers as telling
from backstay.app import folders
from backstay.app.application import application
from backstay.client.breakers import breakers
from backstay.contracts import names
from backstay.contracts.breakers import BreakersInput, BreakersView
from backstay.contracts.control import ControlView
from backstay.contracts.run import plain
from backstay.kernel import breaker_spend
from backstay.kernel.breaker import Breaker, Failure, Report, ReportKind, Share, Then
from backstay.kernel.breakers import Watched
from backstay.kernel.control import Incident
from backstay.kernel.scope import ScopeKind
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

PATIENCE = 40.0
TOOLS = '''
from pathlib import Path
from backstay.tools import ToolError, tool

FAULT = Path(__file__).with_name("fault")

@tool(effect="read")
def look() -> str:
    """Looks at the shop."""
    if FAULT.exists():
        raise ToolError(f"the shop is closed since {FAULT.stat().st_mtime_ns}")
    return "open"
'''
TOML = "[stop]\nfailures = 1\n"
ORG = """
[[breakers]]
name = "shaky-agents"
scope = "agent"
on = ["tool_failures"]
of_last = 6
min_runs = 3
hold = "1s"
"""
DEAR = '[[breakers]]\nname = "dear"\nscope = "agent"\non = "usd"\nlimit = "0.000005"\nthen = "freeze"\n'
RULE = Breaker("shaky", ScopeKind.AGENT, Then.FREEZE, ("tool_failures",), share=Share())
FAILURE = Failure("run-1", ("tool_failures",), "f")
WHO = {"by": "olga@example.com", "reason": "the shop is open again"}


class Fleet:
    """Three agents of one worker, whose tool fails where a file says so."""

    def __init__(self, runtime: LocalRuntime, agents: Path) -> None:
        self.runtime, self.agents, self.client = runtime, agents, runtime.client

    def breaks(self, agent: str) -> None:
        (self.agents / agent / "fault").touch()

    def mend(self, agent: str) -> None:
        (self.agents / agent / "fault").unlink()

    async def start(self, agent: str, count: int) -> list[WorkflowHandle[Any, Any]]:
        return [await self.runtime.start({"goal": uuid.uuid4().hex, "agent": agent}) for _ in range(count)]

    async def ends(self, agent: str, count: int) -> list[str]:
        """How some runs of an agent end: their stop reasons, or the type of the failure."""
        return [await ended(handle) for handle in await self.start(agent, count)]

    async def view(self) -> BreakersView:
        return BreakersView.model_validate(
            await self.client.get_workflow_handle(names.BREAKERS_ID).query(names.WATCHED)
        )

    async def states(self) -> dict[str, str]:
        [rule] = [one for one in (await self.view()).rules if one.name == "shaky-agents"]
        return {window.scope: window.state.value for window in rule.windows}

    async def stopped(self) -> bool:
        """True once a breaker has stopped something."""
        return bool(await self.incidents())

    async def incidents(self) -> list[Incident]:
        handle: Any = self.client.get_workflow_handle(names.CONTROL_ID)
        return ControlView.model_validate(await handle.query(names.IN_FORCE)).state.stops


async def ended(handle: WorkflowHandle[Any, Any]) -> str:
    try:
        return (await asyncio.wait_for(handle.result(), PATIENCE))["stop_reason"]
    except WorkflowFailureError as error:
        return getattr(error.cause, "type", "")


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(Exception):
                if await holds():
                    return
            await asyncio.sleep(0.1)


@pytest.fixture
def org() -> str:
    """The org.toml of the fleet."""
    return ORG


@pytest.fixture
async def fleet(
    client: Client, agent_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, org: str
) -> AsyncGenerator[Fleet]:
    """A fleet with a control plane and breakers of its own."""
    one = f"control-{uuid.uuid4()}"
    monkeypatch.setattr(names, "CONTROL_ID", one)
    monkeypatch.setattr(names, "CONTROL_QUEUE", one)
    monkeypatch.setattr(names, "BREAKERS_ID", f"breakers-{one}")
    monkeypatch.setattr(telling, "EVERY_SECONDS", 0.2)
    for name in ("clerk", "buyer", "cook"):
        agents = agent_folder(name, TOML, TOOLS)
    (tmp_path / "org").mkdir()
    (tmp_path / "org" / "org.toml").write_text(org)
    script = [Reply(calls=[Call("look")]), Reply("done")]
    async with local_runtime(script, agents=agents, client=client, policies=[tmp_path / "org"]) as runtime:
        yield Fleet(runtime, agents)
    for workflow_id in (names.CONTROL_ID, names.BREAKERS_ID):
        with contextlib.suppress(Exception):
            await client.get_workflow_handle(workflow_id).terminate()


@pytest.mark.timeout(120)
async def test_a_failing_tool_of_one_agent_among_three_stops_it_alone_and_canaries_heal_it(fleet: Fleet) -> None:
    fleet.breaks("clerk")
    for agent in ("buyer", "cook"):
        assert await fleet.ends(agent, 3) == ["completed"] * 3
    assert await fleet.ends("clerk", 3) == ["tool_failures"] * 3
    await until(fleet.stopped)
    [incident] = await fleet.incidents()
    assert (str(incident.scope), incident.mode, incident.told.by) == ("agent:clerk", "freeze", "breaker shaky-agents")
    assert incident.told.reason.startswith("3 of the last 3 failed: 40 % of the last 6 with tool_failures")
    assert await fleet.states() == {"agent:clerk": "open", "agent:buyer": "closed", "agent:cook": "closed"}
    [trip] = (await fleet.view()).trips
    assert (trip.scope, trip.incident_id, trip.then) == ("agent:clerk", incident.id, "freeze")

    await asyncio.sleep(0.5)  # until the worker's copy knows of the stop
    assert await fleet.ends("clerk", 1) == ["IncidentStop"]
    assert await fleet.ends("cook", 1) == ["completed"]

    fleet.mend("clerk")
    plane: Any = fleet.client.get_workflow_handle(names.CONTROL_ID)
    await plane.execute_update(names.LIFT, {**WHO, "incident_id": incident.id})
    await asyncio.sleep(0.5)
    assert await fleet.ends("clerk", 6) == ["completed"] * 6

    async def healed() -> bool:
        return (await fleet.states())["agent:clerk"] == "closed"

    await until(healed)
    assert await fleet.incidents() == []


@pytest.mark.timeout(120)
async def test_a_fault_that_is_not_mended_stops_the_agent_again_as_another_incident(fleet: Fleet) -> None:
    fleet.breaks("clerk")
    await fleet.ends("clerk", 3)
    await until(fleet.stopped)
    [first] = await fleet.incidents()
    plane: Any = fleet.client.get_workflow_handle(names.CONTROL_ID)
    await plane.execute_update(names.LIFT, {**WHO, "incident_id": first.id})
    await asyncio.sleep(0.5)
    await fleet.ends("clerk", 2)
    await until(fleet.stopped)
    [again] = await fleet.incidents()
    assert again.id != first.id
    assert "canaries failed again" in again.told.reason


@pytest.mark.timeout(120)
async def test_a_breaker_is_open_again_once_a_canary_has_put_its_incident_in_force_again(fleet: Fleet) -> None:
    fleet.breaks("clerk")
    await fleet.ends("clerk", 3)
    await until(fleet.stopped)
    [incident] = await fleet.incidents()
    plane: Any = fleet.client.get_workflow_handle(names.CONTROL_ID)
    first = f"first-{uuid.uuid4()}"
    await plane.execute_update(
        names.LIFT, {**WHO, "incident_id": incident.id, "canaries": [first], "watch": 60, "stage": "all"}
    )
    await asyncio.sleep(0.5)
    canary = await fleet.runtime.start({"goal": "fail again", "agent": "clerk"}, first)
    assert await ended(canary) == "tool_failures"  # one alone is below the rule's own limit

    async def again() -> bool:
        [known] = await fleet.incidents()
        return known.canary is None and len(known.lifted) > 1

    async def open_again() -> bool:
        shown = await breakers(fleet.client)
        [rule] = [one for one in shown.rules if one.name == "shaky-agents"] if shown else []
        [state] = [one.state.value for one in rule.windows if one.scope == "agent:clerk"]
        return (await fleet.states())["agent:clerk"] == state == "open"

    await until(again)
    await until(open_again)
    fleet.mend("clerk")
    await plane.execute_update(names.LIFT, {**WHO, "incident_id": incident.id})
    await asyncio.sleep(0.5)
    assert await fleet.ends("clerk", 6) == ["completed"] * 6

    async def healed() -> bool:
        return (await fleet.states())["agent:clerk"] == "closed"

    await until(healed)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("org", [DEAR])
async def test_a_breaker_on_money_is_open_while_its_incident_is_in_force_and_closed_some_time_after_the_lift(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker_spend, "STEP_MS", 400)  # the ten minutes that count are two seconds

    def state(view: BreakersView | None) -> str:
        [rule] = [one for one in view.rules if one.name == "dear"] if view else []
        return {window.scope: window.state.value for window in rule.windows}["agent:clerk"]

    async def cost(usd: int) -> None:
        settings = fleet.runtime.settings
        reports = telling.BreakerReports(fleet.client, application(settings).breakers, settings.task_queue)
        async with reports.kept():
            reports.tell(Report(ReportKind.DECISION, "clerk", "acme", usd=usd))

    await cost(5)
    await until(fleet.stopped)
    [incident] = await fleet.incidents()
    assert (str(incident.scope), incident.mode) == ("agent:clerk", "freeze")
    await asyncio.sleep(3)
    await cost(1)  # of a call that was under way
    assert (state(await fleet.view()), state(await breakers(fleet.client))) == ("open", "open")
    plane: Any = fleet.client.get_workflow_handle(names.CONTROL_ID)
    await plane.execute_update(names.LIFT, {**WHO, "incident_id": incident.id})
    assert state(await breakers(fleet.client)) == "half_open"

    async def closed() -> bool:
        return state(await fleet.view()) == state(await breakers(fleet.client)) == "closed"

    await until(closed)


async def test_what_is_watched_goes_on_in_the_next_link_and_can_be_read_without_a_worker(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders.breakers, "SIGNALS_PER_LINK", 2)
    queue = f"breakers-{uuid.uuid4()}"
    monkeypatch.setattr(names, "BREAKERS_ID", queue)
    monkeypatch.setattr(names, "CONTROL_QUEUE", queue)
    reports = telling.BreakerReports(client, [RULE], queue)
    runner = UnsandboxedWorkflowRunner()
    async with Worker(client, task_queue=queue, workflows=[folders.breakers.Breakers], workflow_runner=runner):
        for number in range(5):
            async with reports.kept():
                reports.tell(Report(ReportKind.RUN, f"agent-{number}", "acme", good=1))
                reports.tell(Report(ReportKind.RUN, f"agent-{number}", "acme", failed=(FAILURE,)))

        async def all_told() -> bool:
            shown = await breakers(client)
            return shown is not None and len(shown.rules[0].windows) == 5

        await until(all_told)
    shown = await breakers(client)
    assert shown is not None
    assert {(window.failed, window.of) for window in shown.rules[0].windows} == {(1, 2)}
    handle = client.get_workflow_handle(queue)
    assert (await handle.describe()).run_id != (
        await handle.describe()
    ).raw_description.workflow_execution_info.first_run_id
    await handle.terminate()
    assert await breakers(client) is None


async def test_beyond_the_most_failures_money_is_told_on(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "BREAKERS_ID", told_to := f"breakers-{uuid.uuid4()}")
    monkeypatch.setattr(telling, "MOST_FAILURES", 2)
    reports = telling.BreakerReports(client, [RULE], told_to)
    async with reports.kept():
        for _ in range(5):
            reports.tell(Report(ReportKind.RUN, "clerk", "acme", usd=7, failed=(FAILURE,)))
        reports.tell(Report(ReportKind.DECISION, "clerk", "acme", usd=100))
    handle = client.get_workflow_handle(told_to)
    signals = [one.workflow_execution_signaled_event_attributes for one in (await handle.fetch_history()).events]
    [told] = [json.loads(payload.data) for signal in signals for payload in signal.input.payloads]
    await handle.terminate()
    assert sum(one["usd"] for one in told["reports"]) == 135
    assert sum(len(one["failed"]) for one in told["reports"]) == 2


@pytest.mark.parametrize("given", [plain(BreakersInput(watched=Watched())), {"watched": {"rules": 3}}, "all"])
async def test_a_start_with_a_forged_state_is_refused(client: Client, given: Any) -> None:
    queue = f"breakers-{uuid.uuid4()}"
    runner = UnsandboxedWorkflowRunner()
    async with Worker(client, task_queue=queue, workflows=[folders.breakers.Breakers], workflow_runner=runner):
        with pytest.raises(WorkflowFailureError) as caught:
            await client.execute_workflow(names.BREAKERS, given, id=queue, task_queue=queue)
        assert isinstance(caught.value.cause, ApplicationError)
        assert caught.value.cause.type == names.INVALID_INPUT
