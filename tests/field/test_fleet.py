"""Workers of one queue differ during a rollout: a run waits for one that serves it, and does nothing twice.

Each row is what the first worker after the approval lacks, and what stands in the run's page meanwhile.
"""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from backstay.client.connection import connect
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

Handle = WorkflowHandle[Any, Any]

TOOLS = '''
from pathlib import Path
from backstay.tools import tool

@tool(effect="once")
def pay(amount: int) -> str:
    """Pays."""
    with (Path(__file__).parents[2] / "paid.log").open("a") as log:
        log.write(f"{amount}\\n")
    return "paid"
'''
CHANGED = TOOLS.replace("amount: int", "amount: int, currency: str = 'EUR'")
GONE = TOOLS.replace("def pay", "def pay_out")
TOML = """
[model]
give_up_after = "30s"
[approval]
require = { pay = "finance" }
groups = { finance = ["alice"] }
"""
SCRIPT = [Reply(calls=[Call("pay", {"amount": 5})]), Reply("done")]
LACKS = {
    "the agent": (None, "this worker does not serve the agent `clerk`; start one that does"),
    "the tool": (GONE, "does not serve the tool `pay` of the agent `clerk` as the run was admitted with it"),
    "its version": (CHANGED, "does not serve the tool `pay` of the agent `clerk` as the run was admitted with it"),
}


class Rollout:
    """A run that waits for approval with no worker, and two folders of agents: as admitted, and as rolled out."""

    def __init__(self, runtime: LocalRuntime, handle: Handle, place: Path) -> None:
        self.runtime, self.handle, self.place = runtime, handle, place

    @asynccontextmanager
    async def worker(self, tools: str | None, give_up_after: str = "30s", **options: Any) -> AsyncIterator[None]:
        """A worker on a connection of its own whose agent has these tools, or that does not serve the agent."""
        agents = self.place / f"agents-{abs(hash(tools))}"
        for name, code in (("other", TOOLS), *([("clerk", tools)] if tools else [])):
            (agents / name).mkdir(parents=True, exist_ok=True)
            toml = TOML if "def pay(" in code else TOML.partition("[approval]")[0]
            toml = toml.replace("30s", give_up_after)
            (agents / name / "agent.toml").write_text('instructions = "You are a careful clerk."\n' + toml)
            (agents / name / "tools.py").write_text(code)
        address = self.runtime.client.service_client.config.target_host
        client = await connect(target_host=address, namespace="default")
        settings = self.runtime.settings.model_copy(update={"agents": [agents]})
        async with dataclasses.replace(self.runtime, client=client, settings=settings).serving(**options):
            yield

    async def trouble(self, words: str) -> None:
        """Waits until the run says what it waits for, in its status and in its page."""
        async with asyncio.timeout(30):
            while words not in ((await self.handle.query("status"))["trouble"] or ""):
                await asyncio.sleep(0.05)
            while "**Trouble:** this worker" not in (page := await self._page()):
                await asyncio.sleep(0.05)
        assert words in page

    async def _page(self) -> str:
        return (await self.handle.query("__temporal_workflow_metadata")).current_details

    def paid(self) -> list[str]:
        log = self.place / "paid.log"
        return log.read_text().split() if log.exists() else []

    async def codes(self) -> list[str]:
        records = (await self.handle.query("audit"))["items"]
        return [one["facts"]["verdict"]["code"] for one in records if one["event"] == "call_judged"]


@pytest.fixture
def rollout(client: Client, tmp_path: Path) -> Callable[..., Any]:
    """Opens a rollout: the run has its yes, and no worker has seen it."""

    @asynccontextmanager
    async def opened(answered: bool = True, give_up_after: str = "30s", tools: str = TOOLS) -> AsyncIterator[Rollout]:
        async with local_runtime(SCRIPT, client=client, worker=False) as runtime:
            handle: Any = None
            found = Rollout(runtime, handle, tmp_path)
            async with found.worker(tools, give_up_after=give_up_after):
                found.handle = await runtime.start({"goal": "pay", "agent": "clerk"})
                async with asyncio.timeout(30):
                    while not (pending := (await found.handle.query("status"))["pending_approvals"]):
                        await asyncio.sleep(0.05)
            if answered:
                await found.handle.signal("approve", {"approval_id": pending[0]["approval_id"], "by": "alice"})
            yield found

    return opened


@pytest.mark.parametrize("lacking", LACKS)
async def test_a_yes_waits_for_a_worker_that_serves_its_call_and_is_done_once(
    rollout: Callable[..., Any], lacking: str
) -> None:
    tools, words = LACKS[lacking]
    # With one poll at a time, so that it does not get the first attempts all by itself.
    async with rollout() as found, found.worker(tools, max_concurrent_activity_task_polls=1):
        await found.trouble(words)
        async with found.worker(TOOLS):
            result = await asyncio.wait_for(found.handle.result(), 60)
            codes = await found.codes()
    assert (result["status"], result["spent"]["usd_unbilled"], found.paid()) == ("completed", "0.00", ["5"])
    assert codes == ["needs_approval", "permitted"]


@pytest.mark.parametrize("lacking", LACKS)
async def test_a_call_that_is_handed_to_a_worker_without_it_waits_for_another(
    rollout: Callable[..., Any], lacking: str
) -> None:
    tools, words = LACKS[lacking]
    async with rollout() as found:
        # One worker has the agent and judges, the other executes and lacks it.
        async with found.worker(TOOLS, no_remote_activities=True), found.worker(tools, workflows=[]):
            await found.trouble(words)
        async with found.worker(TOOLS):
            result = await asyncio.wait_for(found.handle.result(), 60)
    assert (result["status"], result["spent"]["usd_unbilled"], found.paid()) == ("completed", "0.00", ["5"])
    assert result["spent"]["tool_calls"] == 1


async def test_an_effect_that_calls_share_is_performed_by_a_worker_that_serves_it(rollout: Callable[..., Any]) -> None:
    shared, changed = (code.replace("@tool(", '@tool(dedupe="tenant", ') for code in (TOOLS, CHANGED))
    async with rollout(tools=shared) as found, found.worker(changed, max_concurrent_activity_task_polls=1):
        await found.trouble("does not serve the tool `pay`")
        async with found.worker(shared):
            result = await asyncio.wait_for(found.handle.result(), 60)
            codes = await found.codes()
    assert (result["status"], found.paid()) == ("completed", ["5"])
    assert codes == ["needs_approval", "permitted"]


async def test_a_run_that_no_worker_comes_to_serve_fails_by_name_and_pays_for_nothing(
    rollout: Callable[..., Any],
) -> None:
    async with rollout(give_up_after="2s") as found, found.worker(None):
        with pytest.raises(WorkflowFailureError) as failed:
            await asyncio.wait_for(found.handle.result(), 60)
        assert (await found.handle.query("status"))["trouble"] is None
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, "does not serve the agent `clerk`" in cause.message) == ("ModelUnavailable", True)
    spent = cause.details[0]["spent"]
    assert (spent["model_calls"], spent["tool_calls"], spent["usd_unbilled"], found.paid()) == (1, 0, "0.00", [])


async def test_a_tool_that_was_rolled_out_everywhere_is_told_to_the_model(rollout: Callable[..., Any]) -> None:
    async with rollout(give_up_after="2s") as found, found.worker(CHANGED):
        result = await asyncio.wait_for(found.handle.result(), 60)
        codes = await found.codes()
    assert (result["status"], codes, found.paid()) == ("completed", ["needs_approval", "schema_drift"], [])


async def test_a_run_that_waits_for_its_worker_obeys_a_pause_and_a_kill(rollout: Callable[..., Any]) -> None:
    async with rollout() as found, found.worker(None):
        await found.trouble("does not serve the agent")
        await found.handle.execute_update("pause", {"by": "olga"})
        assert (await found.handle.query("status"))["state"] == "paused"
        await found.handle.execute_update("kill", {"by": "olga", "reason": "no need"})
        result = await asyncio.wait_for(found.handle.result(), 60)
    assert (result["stop_reason"], found.paid()) == ("killed", [])


async def test_an_edit_that_cannot_be_judged_here_is_refused_and_its_approval_stays_open(
    rollout: Callable[..., Any],
) -> None:
    async with rollout(answered=False) as found, found.worker(CHANGED):
        [approval] = (await found.handle.query("status"))["pending_approvals"]
        edit = {"approval_id": approval["approval_id"], "by": "alice", "args": {"amount": 4}}
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await found.handle.execute_update("edit", edit)
        assert isinstance(refused.value.cause, ApplicationError)
        assert refused.value.cause.type == "Unserved"
        assert (await found.handle.query("status"))["pending_approvals"] == [approval]


async def test_a_start_that_nobody_serves_fails_at_once_and_lists_who_is_served(rollout: Callable[..., Any]) -> None:
    async with rollout() as found, found.worker(None):
        handle = await found.runtime.start({"goal": "pay", "agent": "nobody"})
        with pytest.raises(WorkflowFailureError) as failed:
            await asyncio.wait_for(handle.result(), 30)
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, "served are `default`, `other`" in cause.message) == ("InvalidInput", True)
