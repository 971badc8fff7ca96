"""A tool raises an alarm on a real server: a breaker that heeds it stops the agent alone, and no other rule does."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.service import RPCError

from backstay.adapters.engine import breakers as telling
from backstay.client.breakers import breakers
from backstay.contracts import names
from backstay.contracts.control import ControlView
from backstay.kernel.control import Incident
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

pytestmark = pytest.mark.timeout(120)

PATIENCE = 40.0
TOOLS = '''
from pathlib import Path
from backstay.tools import ToolCall, tool

ALARM = Path(__file__).with_name("alarm")

@tool(effect="read")
def look(call: ToolCall) -> str:
    """Looks at the till."""
    if ALARM.exists():
        call.raise_alarm("the till does not\\nadd up")
        call.raise_alarm("and it still does not")
    return "looked"
'''
HEEDED = """
[[breakers]]
name = "alarms"
scope = "agent"
on = "alarm"
"""
UNHEEDED = """
[[breakers]]
name = "shaky-agents"
scope = "agent"
on = ["tool_failures"]
count = 1
"""


class Fleet:
    """Two agents of one worker, whose tool raises an alarm where a file says so."""

    def __init__(self, runtime: LocalRuntime, agents: Path) -> None:
        self.runtime, self.agents = runtime, agents

    def alarms(self, agent: str) -> None:
        (self.agents / agent / "alarm").touch()

    async def start(self, agent: str) -> WorkflowHandle[Any, Any]:
        return await self.runtime.start({"goal": uuid.uuid4().hex, "agent": agent})

    async def incidents(self) -> list[Incident]:
        handle: Any = self.runtime.client.get_workflow_handle(names.CONTROL_ID)
        return ControlView.model_validate(await handle.query(names.IN_FORCE)).state.stops


async def ended(handle: WorkflowHandle[Any, Any]) -> dict[str, Any]:
    return await asyncio.wait_for(handle.result(), PATIENCE)


async def raised(handle: WorkflowHandle[Any, Any]) -> list[dict[str, Any]]:
    """The alarms in a run's audit."""
    records = (await handle.query("audit"))["items"]
    return [record["facts"] for record in records if record["event"] == "alarm_raised"]


@contextlib.asynccontextmanager
async def opened(client: Client, agents: Path, folder: Path, org: str) -> AsyncGenerator[Fleet]:
    folder.mkdir()
    (folder / "org.toml").write_text(org)
    script = [Reply(calls=[Call("look")]), Reply("done")]
    async with local_runtime(script, agents=agents, client=client, policies=[folder]) as runtime:
        yield Fleet(runtime, agents)


@pytest.fixture
async def agents(
    client: Client, agent_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Path]:
    """The folder of two agents, with a control plane and breakers of their own."""
    one = f"control-{uuid.uuid4()}"
    monkeypatch.setattr(names, "CONTROL_ID", one)
    monkeypatch.setattr(names, "CONTROL_QUEUE", one)
    monkeypatch.setattr(names, "BREAKERS_ID", f"breakers-{one}")
    monkeypatch.setattr(telling, "EVERY_SECONDS", 0.2)
    agent_folder("clerk", "", TOOLS)
    yield agent_folder("cook", "", TOOLS)
    for workflow_id in (names.CONTROL_ID, names.BREAKERS_ID):
        with contextlib.suppress(Exception):
            await client.get_workflow_handle(workflow_id).terminate()


async def test_an_alarm_freezes_its_agent_where_a_rule_heeds_it_and_another_agent_goes_on(
    client: Client, agents: Path, tmp_path: Path
) -> None:
    async with opened(client, agents, tmp_path / "org", HEEDED) as fleet:
        fleet.alarms("clerk")
        assert (await ended(await fleet.start("cook")))["stop_reason"] == "completed"
        handle = await fleet.start("clerk")
        async with asyncio.timeout(PATIENCE):
            while not await fleet.incidents():
                await asyncio.sleep(0.1)
        [incident] = await fleet.incidents()
        assert (str(incident.scope), incident.mode, incident.told.by) == ("agent:clerk", "freeze", "breaker alarms")
        assert incident.told.reason == f"1 alarm within 60 s, the last in the run {handle.id}: 1 alarm in 60 s"
        assert await raised(handle) == [{"call_id": "1-0", "tool": "look", "reason": "the till does not add up"}]

        await asyncio.sleep(0.5)  # until the worker's copy knows of the stop
        with pytest.raises(WorkflowFailureError) as refused:
            await ended(await fleet.start("clerk"))
        assert getattr(refused.value.cause, "type", "") == "IncidentStop"
        assert (await ended(await fleet.start("cook")))["stop_reason"] == "completed"
        with contextlib.suppress(RPCError):  # it may have ended before it was frozen
            await handle.terminate()


async def test_an_alarm_that_no_rule_heeds_stands_in_log_and_audit_and_changes_nothing(
    client: Client, agents: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(client, agents, tmp_path / "org", UNHEEDED) as fleet:
        fleet.alarms("clerk")
        handle = await fleet.start("clerk")
        result = await ended(handle)
        assert (result["stop_reason"], result["answer"]) == ("completed", "done")
        assert await raised(handle) == [{"call_id": "1-0", "tool": "look", "reason": "the till does not add up"}]
        items = (await handle.query("transcript"))["items"]
        assert [item["text"] for item in items if item["kind"] == "result"] == ["looked"]
        said = f"the tool `look` of the agent `clerk` raises an alarm in the run {handle.id}: the till does not add up"
        assert sum(said in record.getMessage() for record in caplog.records) == 1

        async def told() -> bool:
            shown = await breakers(client)
            return shown is not None and any(rule.name == "shaky-agents" and rule.windows for rule in shown.rules)

        async with asyncio.timeout(PATIENCE):
            while not await told():
                await asyncio.sleep(0.1)
        shown = await breakers(client)
        assert shown is not None
        [rule] = [one for one in shown.rules if one.name == "shaky-agents"]
        assert [(one.scope, one.failed, one.state.value) for one in rule.windows] == [("agent:clerk", 0, "closed")]
        assert shown.trips == []
        assert await fleet.incidents() == []
