"""Records the histories of the control plane, of the sweeps of incidents and of the breakers, for `record_histories`.

They live for ever, or until an incident is over, so that what is recorded is a link of them: the first one, which
continues as new much earlier than elsewhere, and the next.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner

from backstay.adapters.engine import breakers as telling
from backstay.adapters.engine.dev_server import dev_server
from backstay.app import folders, worker
from backstay.app.application import application
from backstay.client import control_plane
from backstay.client.connection import connect
from backstay.client.control_plane import PlaneState
from backstay.client.incidents import report
from backstay.contracts import names
from backstay.contracts.breakers import BreakersView
from backstay.contracts.control import AccessOrder, ConfirmOrder, LiftOrder, LimitOrder, StopOrder
from backstay.errors import OrderRefusedError
from backstay.kernel.breaker import Report, ReportKind
from backstay.kernel.control import Incident
from backstay.kernel.keys import incident_workflow_id
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

NAMES = (
    *("control_plane", "control_plane_next", "control_plane_lost"),
    *("incident", "incident_next", "incident_of_tool"),
    *("breakers", "breakers_next"),
)
MONEY = "breakers_money"
SHORT_LINKS: Mapping[str, tuple[Any, str, int]] = {
    "control_plane": (folders.control_plane, "CHANGES_PER_LINK", 8),
    "incident": (folders.incident_sweep, "MOST_EVENTS", 40),
    "breakers": (folders.breakers, "SIGNALS_PER_LINK", 16),
}
"""The histories of links that are cut short, and the constant that says where: it must be the same in a replay."""

TOML = 'instructions = "You are a careful clerk."\n[stop]\nfailures = 1\n'
TOOLS = '''
import asyncio
from pathlib import Path
from backstay.tools import ToolCall, ToolError, tool

HERE = Path(__file__).parent

@tool(effect="read")
async def wait(call: ToolCall) -> str:
    """Waits at the gate."""
    while not (HERE / "open").exists():
        await asyncio.sleep(0.05)
    if (HERE / f"broken-{call.run_id}").exists():
        raise ToolError("broken")
    return "go"

@tool(effect="read")
async def look() -> str:
    """Looks at the shop."""
    if (HERE / "closed").exists():
        raise ToolError("the shop is closed")
    return "open"
'''
ORG = """
[[breakers]]
name = "shaky"
scope = "agent"
on = ["tool_failures"]
of_last = 3
min_runs = 2
hold = "1s"
[[breakers]]
name = "dear"
scope = "agent"
on = "usd"
limit = "500"
then = "freeze"
"""
SCRIPTS = {name: [Reply(calls=[Call(name)]), Reply("done")] for name in ("wait", "look")}
BY, WHY = "olga@example.com", "it pays twice"
PATIENCE = 60.0
Handle = WorkflowHandle[Any, Any]
Keep = Callable[[Handle, str], Awaitable[None]]


@contextlib.contextmanager
def short_link(name: str) -> Generator[None]:
    """Makes links of one of `SHORT_LINKS` end where its history does, outside of the sandbox of workflows."""
    module, constant, most = SHORT_LINKS[name]
    usual: int = getattr(module, constant)
    setattr(module, constant, most)
    try:
        yield
    finally:
        setattr(module, constant, usual)


@dataclass(frozen=True, slots=True)
class Fleet:
    """Two agents, `clerk` and `cook`, of one worker."""

    runtime: LocalRuntime
    agents: Path
    keep: Keep

    @property
    def client(self) -> Client:
        return self.runtime.client

    async def start(self, agent: str, goal: str) -> Handle:
        return await self.runtime.start({"goal": goal, "agent": agent})

    async def end(self, agent: str, count: int) -> None:
        """Lets runs end, one after the other."""
        for _ in range(count):
            with contextlib.suppress(Exception):
                await (await self.start(agent, "look")).result()

    def touch(self, agent: str, name: str) -> Path:
        file = self.agents / agent / name
        file.touch()
        return file

    async def stops(self) -> list[Incident]:
        view = (await control_plane.in_force(self.client)).view
        return [] if view is None else view.state.stops

    async def link(self, workflow_id: str) -> str:
        """The run id of the latest link."""
        return (await self.client.get_workflow_handle(workflow_id).describe()).run_id

    async def keep_link(self, workflow_id: str, link: str | None, name: str) -> None:
        """Writes the history of a link; None is the latest."""
        link = link or await self.link(workflow_id)
        await self.keep(self.client.get_workflow_handle(workflow_id, run_id=link), name)


async def until(holds: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await holds():
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def _fleet(keep: Keep) -> AsyncGenerator[Fleet]:
    agents = Path.cwd() / "entities"
    for agent in ("clerk", "cook"):
        (agents / agent).mkdir(parents=True, exist_ok=True)
        (agents / agent / "agent.toml").write_text(TOML)
        (agents / agent / "tools.py").write_text(TOOLS)
    org = Path.cwd() / "org"
    org.mkdir(exist_ok=True)
    (org / "org.toml").write_text(ORG)
    setattr(worker, "sandbox", lambda **_: UnsandboxedWorkflowRunner())  # noqa: B010
    telling.EVERY_SECONDS = 0.2
    async with dev_server() as server:
        client = await connect(target_host=server.address, namespace="default", identity="recorder")
        settings: dict[str, Any] = {"agents": agents, "policies": [org], "client": client, "task_queue": "recorded"}
        async with local_runtime(SCRIPTS, **settings) as runtime:
            yield Fleet(runtime, agents, keep)


async def record_control(keep: Keep) -> None:
    """Records all of `NAMES`, in the directory in which it runs."""
    async with _fleet(keep) as fleet:
        with contextlib.ExitStack() as plane:
            plane.enter_context(short_link("control_plane"))
            await _breakers(fleet)
            await _incident(fleet, plane)
        await _lost(fleet)


async def record_money(keep: Keep) -> None:
    """Records `MONEY`: an agent is stopped because of its money, and let go again."""
    async with _fleet(keep) as fleet:
        settings = fleet.runtime.settings
        rules = application(settings).breakers

        async def cost(usd: int) -> None:
            reports = telling.BreakerReports(fleet.client, rules, settings.task_queue)
            async with reports.kept():
                reports.tell(Report(ReportKind.DECISION, "clerk", "acme", usd=usd))

        async def half_open() -> bool:
            view: Any = await fleet.client.get_workflow_handle(names.BREAKERS_ID).query(names.WATCHED)
            states = [window.state for rule in BreakersView.model_validate(view).rules for window in rule.windows]
            return "half_open" in states

        await cost(600_000_000)
        await until(fleet.stops)
        await cost(1)
        await asyncio.sleep(3)  # it asks whether the stop was lifted
        [incident] = await fleet.stops()
        await control_plane.lift(fleet.client, LiftOrder(by=BY, reason=WHY, incident_id=incident.id))
        await until(half_open)
        await cost(1)
        await fleet.keep_link(names.BREAKERS_ID, None, MONEY)


async def _breakers(fleet: Fleet) -> None:
    """A breaker trips, and is closed again in the next link, once canaries went well."""
    fault = fleet.touch("cook", "closed")
    with short_link("breakers"):
        await fleet.end("cook", 3)
        await until(fleet.stops)
        first = await fleet.link(names.BREAKERS_ID)

        async def continued() -> bool:
            await fleet.end("clerk", 1)
            return await fleet.link(names.BREAKERS_ID) != first

        await until(continued)
    fault.unlink()
    [incident] = await fleet.stops()
    await control_plane.lift(fleet.client, LiftOrder(by=BY, reason=WHY, incident_id=incident.id))
    await asyncio.sleep(0.5)
    await fleet.end("cook", 3)

    async def closed() -> bool:
        view: Any = await fleet.client.get_workflow_handle(names.BREAKERS_ID).query(names.WATCHED)
        states = [window.state for rule in BreakersView.model_validate(view).rules for window in rule.windows]
        return set(states) == {"closed"}

    await until(closed)
    await fleet.keep_link(names.BREAKERS_ID, first, "breakers")
    await fleet.keep_link(names.BREAKERS_ID, None, "breakers_next")


async def _incident(fleet: Fleet, plane: contextlib.ExitStack) -> None:
    """Runs are frozen; canaries fail and trip the stop again, then others go well, and all follow."""
    client, runs = fleet.client, [await fleet.start("clerk", "wait") for _ in range(4)]
    link = await fleet.link(names.CONTROL_ID)
    sweep = incident_workflow_id("i1")
    await control_plane.block(client, AccessOrder(by=BY, reason=WHY, tool="pay"))
    await control_plane.limit(client, LimitOrder(by=BY, reason=WHY, tenant="acme", runs=5))
    with short_link("incident"):
        await control_plane.stop(
            client, StopOrder(by=BY, reason=WHY, incident_id="i1", scope="agent:clerk", freeze=True)
        )
        await until(lambda: report(client, "i1"))
        first = await fleet.link(sweep)

        async def continued() -> bool:
            return await fleet.link(sweep) != first

        await until(continued)

    async def swept() -> bool:
        found = await report(client, "i1")
        return found is not None and found.view.done

    await until(swept)
    fleet.touch("clerk", f"broken-{runs[0].id}")
    fleet.touch("clerk", "open")
    await control_plane.lift(client, LiftOrder(by=BY, reason=WHY, incident_id="i1", canaries=[runs[0].id], watch=30))

    async def tripped() -> bool:
        return any(one.canary is None and len(one.lifted) > 1 for one in await fleet.stops())

    await until(tripped)
    await control_plane.lift(client, LiftOrder(by=BY, reason=WHY, incident_id="i1", canaries=[runs[1].id], watch=1))

    async def renewed() -> bool:
        return await fleet.link(names.CONTROL_ID) != link

    await until(renewed)
    plane.close()
    for run in runs[1:]:
        await run.result()
    await client.get_workflow_handle(sweep).result()
    await fleet.keep_link(sweep, first, "incident")
    await fleet.keep_link(sweep, None, "incident_next")
    await control_plane.stop(client, StopOrder(by=BY, reason=WHY, incident_id="i2", scope="tool:pay"))
    with contextlib.suppress(OrderRefusedError):
        await control_plane.lift(client, LiftOrder(by=BY, reason=WHY, incident_id="i1"))
    await control_plane.lift(client, LiftOrder(by=BY, reason=WHY, incident_id="i2"))
    await client.get_workflow_handle(incident_workflow_id("i2")).result()
    await fleet.keep_link(incident_workflow_id("i2"), None, "incident_of_tool")
    await control_plane.allow(client, AccessOrder(by=BY, reason=WHY, tool="pay"))
    await fleet.keep_link(names.CONTROL_ID, link, "control_plane")
    await fleet.keep_link(names.CONTROL_ID, None, "control_plane_next")


async def _lost(fleet: Fleet) -> None:
    """The control plane is terminated, comes back closed, and is confirmed."""
    await fleet.client.get_workflow_handle(names.CONTROL_ID).terminate()

    async def unconfirmed() -> bool:
        return (await control_plane.in_force(fleet.client)).state is PlaneState.UNCONFIRMED

    await until(unconfirmed)
    await control_plane.block(fleet.client, AccessOrder(by=BY, reason=WHY, tool="pay"))
    await control_plane.confirm(fleet.client, ConfirmOrder(by=BY, reason=WHY))
    await fleet.keep_link(names.CONTROL_ID, None, "control_plane_lost")
