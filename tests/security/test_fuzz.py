"""Whatever is started or sent: no run is wedged or terminated, no command breaks, and nothing is printed raw."""

import asyncio
import contextlib
import io
import os
import unicodedata
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError

from backstay.adapters.engine.dev_server import DevServer
from backstay.cli.commands import answers, approvals, list, pause, result, show, watch
from backstay.cli.shell.connected import Connected
from backstay.cli.shell.failure import explain
from backstay.cli.shell.terminal import Output
from backstay.client.client import BackstayClient
from backstay.client.connection import connect
from backstay.errors import BackstayError
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

from .hostile import ATTACKS, MESSAGES, OPEN, Attack, Message, raw

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3_600)]

Handle = WorkflowHandle[Any, Any]

TOGETHER = 10
EXAMPLES = 5_000 if os.environ.get("BACKSTAY_SOAK") == "1" else 200
"""Starts and messages, together; attacks are played ten at once."""
PATIENCE = 30.0
SCRIPT = [Reply(calls=[Call("pay", {"amount": 5, "note": "\x1b[2Jfor \u202eyou"})]), Reply("\x07done\u2066")]
TOML = """
instructions = "You are a careful clerk."
[approval]
require = { pay = "finance" }
groups = { finance = ["alice"] }
"""
TOOLS = '''
from backstay.tools import tool

@tool(effect="once")
def pay(amount: int, note: str) -> str:
    """Pays."""
    return f"paid {amount} {note}"
'''
JOINERS = "\u200c\u200d"
"""Letters and emoji need these."""


class Place:
    """A worker, and the commands that read its runs, all in one loop that runs while an attack is played."""

    def __init__(self, runtime: LocalRuntime, runner: asyncio.Runner) -> None:
        self.runtime = runtime
        self.runner = runner
        self.client = BackstayClient(runtime.client, runtime.settings.task_queue)

    async def started(self, attack: Attack) -> Handle | None:
        """Starts the run; None where client or server refuse such a start."""
        pairs = [
            SearchAttributePair(SearchAttributeKey.for_keyword(name), text) for name, text in attack.attributes.items()
        ]
        try:
            return await self.runtime.client.start_workflow(
                "AgentRun",
                args=[raw(one) for one in attack.args],
                id=f"{attack.run_id}{uuid.uuid4()}",
                task_queue=self.runtime.settings.task_queue,
                memo={name: raw(value) for name, value in attack.memo.items()},
                search_attributes=TypedSearchAttributes(pairs),
                static_summary=attack.summary,
            )
        except (RPCError, ValueError):
            return None

    async def asked(self, handle: Handle) -> str:
        """The id of the open approval, once it is there; none where the run has closed."""
        async with asyncio.timeout(PATIENCE):
            while (await handle.describe()).status is WorkflowExecutionStatus.RUNNING:
                if pending := (await handle.query("status"))["pending_approvals"]:
                    return pending[0]["approval_id"]
        return ""

    async def sent(self, handle: Handle, message: Message, approval_id: str) -> None:
        """Sends a message, which the run, the server or the client may refuse."""
        args = [
            {**one, "approval_id": approval_id} if isinstance(one, dict) and one.get("approval_id") == OPEN else one
            for one in message.args
        ]
        send: Callable[..., Awaitable[Any]] = handle.execute_update if message.update else handle.signal
        with contextlib.suppress(RPCError, ValueError, WorkflowUpdateFailedError):
            await asyncio.wait_for(send(message.name, args=[raw(one) for one in args]), PATIENCE)

    async def opened(self, attack: Attack) -> Handle | None:
        """Starts the run and sends it what the attack sends."""
        handle = await self.started(attack)
        if handle is not None:
            approval_id = await self.asked(handle)
            for message in attack.messages:
                await self.sent(handle, message, approval_id)
        return handle

    async def closed(self, handle: Handle) -> None:
        """Ends a run, and looks at what became of it."""
        with contextlib.suppress(RPCError):
            await handle.signal("kill", args=[])
        with contextlib.suppress(WorkflowFailureError):
            await asyncio.wait_for(handle.result(), PATIENCE)
        await assert_unharmed(handle)

    async def attacked(self, attacks: Sequence[Attack]) -> None:
        """Plays some attacks at once, and reads their runs while they are open and once they have closed."""
        played = await asyncio.gather(*map(self.opened, attacks))
        runs = [handle for handle in played if handle is not None]
        await self.listed()
        for handle in runs:
            await read(show.show(handle.id, output=Output.TABLE))
            await read(answers.approve(handle.id, "apr_\u202eodd", by="mallory", yes=True, output=Output.JSON))
        await asyncio.gather(*map(self.closed, runs))
        await self.listed()
        for handle in runs:
            await read(result.result(handle.id, output=Output.TABLE))
        for handle in runs[:2]:  # each reading of a closed run is a replay
            await read(show.show(handle.id, output=Output.JSON))
            await read(watch.watch(handle.id))
            await read(pause.pause(handle.id, by="olga", output=Output.TABLE))
            _ = [record async for record in self.client.audit(handle.id)]

    async def listed(self) -> None:
        """Reads the lists that all runs stand in."""
        for output in Output:
            await read(list.list(output=output))
            await read(approvals.approvals(output=output))


async def read(command: Any) -> None:
    """Runs a command, and looks at what it prints."""
    assert_fit_to_be_shown(await printed(command))


async def printed(command: Any) -> str:
    """Returns what a command prints; only our own errors are explained, any other would be a traceback."""
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="utf-8", write_through=True)
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        try:
            await command
        except BackstayError as error:
            explain(error)
    return written.getvalue().decode()


def assert_fit_to_be_shown(text: str) -> None:
    steering = [one for one in text if unicodedata.category(one) in ("Cc", "Cf", "Cs") and one not in f"\n{JOINERS}"]
    assert not steering, (steering, text)
    assert "Traceback" not in text


async def assert_unharmed(handle: Handle) -> None:
    """The run has closed by itself, and none of its workflow tasks has failed but for a message that came meanwhile."""
    assert (await handle.describe()).status in (WorkflowExecutionStatus.COMPLETED, WorkflowExecutionStatus.FAILED)
    late = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND
    async for event in handle.fetch_history_events():
        failed = event.workflow_task_failed_event_attributes
        assert event.event_type != EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED or failed.cause == late, failed


@pytest.fixture(scope="module")
def place(temporal_server: DevServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A worker for all attacks, and commands that run in its loop."""
    folder: Path = tmp_path_factory.mktemp("fuzz") / "agents" / "clerk"
    folder.mkdir(parents=True)
    (folder / "agent.toml").write_text(TOML)
    (folder / "tools.py").write_text(TOOLS)

    stack = contextlib.AsyncExitStack()
    with asyncio.Runner() as runner, pytest.MonkeyPatch.context() as patched:
        client = runner.run(connect(target_host=temporal_server.address, namespace="default"))
        runtime = runner.run(stack.enter_async_context(local_runtime(SCRIPT, agents=folder.parent, client=client)))
        link = Connected(BackstayClient(client, runtime.settings.task_queue), None)

        async def connected(**_: Any) -> Connected:
            return link

        for module in ("answers", "approvals", "list", "pause", "result", "show", "watch"):
            patched.setattr(f"backstay.cli.work.{module}.run_loop", lambda work: work)
            patched.setattr(f"backstay.cli.work.{module}.connected", connected)
        yield Place(runtime, runner)
        runner.run(stack.aclose())


@settings(
    max_examples=EXAMPLES // (TOGETHER * (1 + MESSAGES)),
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # each try to shrink an attack takes a second
    derandomize=EXAMPLES == 200,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(attacks=st.lists(ATTACKS, min_size=TOGETHER, max_size=TOGETHER))
def test_no_start_and_no_message_harms_a_run_or_a_command(place: Place, attacks: Sequence[Attack]) -> None:
    place.runner.run(place.attacked(attacks))
