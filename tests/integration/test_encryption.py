"""With keys for payloads, Temporal gets to see nothing of what a run is about."""

import asyncio
import base64
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.workflowservice.v1 import QueryWorkflowRequest
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from backstay.adapters.engine.dev_server import DevServer, temporal_binary
from backstay.adapters.payload.codec import EncryptingCodec
from backstay.adapters.payload.converter import data_converter
from backstay.adapters.payload.server import Access, codec_server
from backstay.client.client import BackstayClient
from backstay.errors import CodecError
from backstay.settings import Settings
from backstay.testing import Call, Failure, Reply
from backstay.testing.runtime import local_runtime

GOAL = "find the white whale"
ACCOUNT = "account-of-captain-ahab"
ANSWER = "it was sighted off Nantucket"
REASON = "the mate says enough"
LOCAL_NOTE = {
    "activation_index", "activity_id", "activity_type", "attempt", "backoff", "complete_time", "original_schedule_time",
    "seq", "id", "deprecated",
}  # fmt: skip
KEY = os.urandom(32)
KEYS: dict[str, Any] = {"codec_keys": "2026a:" + base64.b64encode(KEY).decode()}
OTHER_KEYS: dict[str, Any] = {"codec_keys": "2025z:" + base64.b64encode(os.urandom(32)).decode()}

TOOLS = '''
from backstay.tools import ToolError, tool

@tool(effect="write")
def pay(account: str) -> str:
    """Pays."""
    return f"paid to {account}"

@tool(effect="write")
def refuse() -> str:
    """Refuses."""
    raise ToolError("no whale below")
'''

SCRIPT = [Reply(calls=[Call("pay", {"account": ACCOUNT}), Call("refuse")]), Reply(ANSWER)]


@pytest.fixture
def agents(agent_folder: Callable[..., Path]) -> Path:
    """An agent that pays."""
    return agent_folder(tools=TOOLS)


async def stored(handle: WorkflowHandle[Any, Any]) -> bytes:
    """All that the server keeps of a run."""
    events = [event.SerializeToString() async for event in handle.fetch_history_events()]
    described = (await handle.describe()).raw_description.SerializeToString()
    return b"".join([*events, described])


def payloads(message: Message, path: str = "") -> Iterator[tuple[str, Payload]]:
    """Every payload in a message, with where it stands."""
    if isinstance(message, Payload):
        yield path, message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        parts = value.values() if hasattr(value, "values") else value if not isinstance(value, Message) else [value]
        for part in parts:
            if isinstance(part, Message):
                yield from payloads(part, f"{path}.{field.name}")


async def until(holds: Callable[[], bool]) -> None:
    """Waits until a condition holds."""
    async with asyncio.timeout(30):
        while True:
            if holds():
                return
            await asyncio.sleep(0.02)


def question(client: Client, run_id: str, query: str) -> QueryWorkflowRequest:
    """A query as it goes over the wire, for an answer that nothing decodes."""
    return QueryWorkflowRequest(
        namespace=client.namespace,
        execution=WorkflowExecution(workflow_id=run_id),
        query=WorkflowQuery(query_type=query),
    )


async def temporal(server: DevServer, *arguments: str) -> tuple[int, str]:
    """Runs Temporal's own command: its exit code, and what it says."""
    process = await asyncio.create_subprocess_exec(
        temporal_binary(), *arguments, "--address", server.address,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode or 0, said.decode()


def contents(said: str) -> str:
    """Returns the output of Temporal's command, with its payloads spelled out."""
    data = re.findall(r'"data": "([^"]*)"', said)
    return "\n".join([said, *(base64.b64decode(one).decode("utf-8", "replace") for one in data)])


async def test_with_keys_every_payload_of_a_run_is_encrypted(client: Client, agents: Path) -> None:
    script = [*SCRIPT[:1], Reply("late", delay=30)]
    async with local_runtime(script, agents=agents, client=client, **KEYS) as runtime:
        run = BackstayClient(runtime.client, runtime.settings.task_queue)
        handle = await runtime.client.start_workflow(
            "AgentRun",
            {"goal": GOAL, "agent": "clerk", "metadata": {"ship": "Pequod"}},
            id=f"run-{os.urandom(4).hex()}",
            task_queue=runtime.settings.task_queue,
            static_summary=GOAL,
            memo={"note": GOAL},
        )
        await until(lambda: len(runtime.model.requests) == 2)
        for query in ("__temporal_workflow_metadata", "transcript", "status"):
            answer = await client.workflow_service.query_workflow(question(client, handle.id, query))
            assert {payload.metadata["encoding"] for _, payload in payloads(answer)} == {b"binary/encrypted"}
        await run.kill(handle.id, "mate", REASON)
        assert (await run.result(handle.id)).stop_reason == "killed"
        raw = client.get_workflow_handle(handle.id)
        kept = await stored(raw)
        for clear in (GOAL, ACCOUNT, "Pequod", REASON, "pay(", "You are a careful clerk", "Pays.", "whale"):
            assert clear.encode() not in kept, clear
        found = [
            (path, payload)
            async for event in raw.fetch_history_events()
            for path, payload in payloads(event, str(event.event_id))
        ]
        described = (await raw.describe()).raw_description
        found += payloads(described, "described")
        assert len(found) > 20
        for path, payload in found:
            if payload.metadata["encoding"] != b"binary/encrypted" and "search_attributes" not in path:
                # Of a local activity the engine keeps a note of its own beside the result.
                assert path.endswith("marker_recorded_event_attributes.details.payloads"), path
                assert set(json.loads(payload.data)) <= LOCAL_NOTE


async def test_search_attributes_carry_no_content(client: Client, agents: Path) -> None:
    async with local_runtime(SCRIPT, agents=agents, client=client, **KEYS) as runtime:
        handle = await runtime.start({"goal": GOAL, "agent": "clerk", "tenant": "pequod"})
        await handle.result()
        described = await client.get_workflow_handle(handle.id).describe()
        values = {pair.key.name: pair.value for pair in described.typed_search_attributes}
        ours = {name: value for name, value in values.items() if name.startswith("Backstay")}
        usd = ours.pop("BackstayUsd")
        assert isinstance(usd, float)
        assert ours == {
            "BackstayAgent": "clerk",
            "BackstayTenant": "pequod",
            "BackstayState": "closed",
            "BackstayStopReason": "completed",
            "BackstayPendingApprovals": 0,
        }


async def test_with_keys_messages_and_traces_of_failures_are_encrypted(client: Client, agents: Path) -> None:
    async with local_runtime(SCRIPT, agents=agents, client=client, **KEYS) as runtime:
        handle = await runtime.start({"goal": GOAL, "agent": "captain-of-nobody"})
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
        assert isinstance(caught.value.cause, ApplicationError)
        assert "no agent of that name is served here" in str(caught.value.cause)
        raw = client.get_workflow_handle(handle.id)
        kept = await stored(raw)
        for clear in (b"no agent of that name", b"activities/admit.py", b"captain-of-nobody", GOAL.encode()):
            assert clear not in kept, clear
        assert b"Encoded failure" in kept


@pytest.mark.parametrize("settings", [{}, KEYS], ids=["plain", "encrypted"])
async def test_why_the_attempt_before_failed_can_be_read(
    client: Client, agents: Path, settings: dict[str, Any]
) -> None:
    async with local_runtime([Failure(503, "the sea is rough")], agents=agents, client=client, **settings) as runtime:
        handle = await runtime.start({"goal": GOAL, "agent": "clerk"})
        await until(lambda: len(runtime.model.requests) > 1)
        [pending] = (await BackstayClient(runtime.client).describe(handle.id)).pending
        assert pending.trouble is not None
        assert "the sea is rough" in pending.trouble
        hidden = b"the sea is rough" not in await stored(client.get_workflow_handle(handle.id))
        assert hidden == bool(settings)
        if settings:
            [pending] = (await BackstayClient(client).describe(handle.id)).pending
            assert pending.trouble == "Encoded failure"
        await handle.terminate()


async def test_without_the_key_a_client_reads_nothing(client: Client, agents: Path) -> None:
    other: dict[str, Any] = {"codec_keys": "2025z:" + base64.b64encode(os.urandom(32)).decode()}
    async with local_runtime(SCRIPT, agents=agents, client=client, **KEYS) as runtime:
        handle = await runtime.start({"goal": GOAL, "agent": "clerk"})
        await handle.result()
        raw = client.get_workflow_handle(handle.id, result_type=dict)
        with pytest.raises(CodecError, match="no `BACKSTAY_CODEC_KEYS`"):
            await raw.result()
        async with local_runtime(client=client, worker=False, **other) as stranger:
            with pytest.raises(CodecError, match="`2026a`"):
                await stranger.client.get_workflow_handle(handle.id).result()


async def test_a_worker_of_the_next_key_goes_on_with_runs_of_the_last(client: Client, agents: Path) -> None:
    new = f"2027a:{base64.b64encode(os.urandom(32)).decode()},{KEYS['codec_keys']}"
    script = [*SCRIPT[:1], Reply(ANSWER, delay=2)]
    async with local_runtime(script, agents=agents, client=client, worker=False, **KEYS) as runtime:
        async with runtime.serving():
            handle = await runtime.start({"goal": GOAL, "agent": "clerk"})
            await until(lambda: bool(runtime.model.requests))
        same: dict[str, Any] = {"task_queue": runtime.settings.task_queue, "openai_base_url": runtime.model.base_url}
        async with local_runtime(agents=agents, client=client, codec_keys=new, **same) as later:
            result = await later.client.get_workflow_handle(handle.id).result()
            assert result["answer"] == ANSWER


async def test_a_start_that_no_key_of_the_worker_opens_fails_at_once(client: Client, agents: Path) -> None:
    async with local_runtime(SCRIPT, agents=agents, client=client, worker=False, **KEYS) as runtime:
        same: dict[str, Any] = {"task_queue": runtime.settings.task_queue, "openai_base_url": runtime.model.base_url}
        async with local_runtime(agents=agents, client=client, **same, **OTHER_KEYS):
            handle = await runtime.start({"goal": GOAL, "agent": "clerk"})
            async with asyncio.timeout(20):
                while (await handle.describe()).status is WorkflowExecutionStatus.RUNNING:
                    await asyncio.sleep(0.1)
    assert (await handle.describe()).status is WorkflowExecutionStatus.FAILED


async def test_a_message_that_no_key_opens_is_refused_and_harms_nothing(
    client: Client, agent_folder: Callable[..., Path]
) -> None:
    tool = "import asyncio\nfrom backstay.tools import tool\n\n@tool(effect='read')\nasync def wait() -> str:\n"
    agents = agent_folder("waiter", tools=f'{tool}    """Waits."""\n    await asyncio.sleep(4)\n    return "waited"\n')
    script: Any = [Reply(calls=[Call("wait", {})]), Reply("done")]
    async with local_runtime(script, agents=agents, client=client, **KEYS) as runtime:
        handle = await runtime.start({"goal": GOAL, "agent": "waiter"})
        async with asyncio.timeout(20):
            while not runtime.model.requests:
                await asyncio.sleep(0.05)
        sealed = {"encoding": b"binary/encrypted", "encryption-key-id": b"2026a"}
        await client.get_workflow_handle(handle.id).signal("pause", RawValue(Payload(metadata=sealed, data=b"x" * 60)))
        config: dict[str, Any] = {**client.config(), "data_converter": data_converter(Settings(**OTHER_KEYS))}
        stranger = Client(**config).get_workflow_handle(handle.id)
        with pytest.raises((WorkflowUpdateFailedError, CodecError)):  # the refusal itself is sealed
            await asyncio.wait_for(stranger.execute_update("pause", {"by": "olga"}), 10)
        assert (await asyncio.wait_for(handle.result(), 20))["answer"] == "done"
        refused = [one for one in (await handle.query("audit"))["items"] if one["event"] == "message_refused"]
    assert len(refused) == 2


async def test_plain_json_from_other_clients_starts_a_run_on_an_encrypting_worker(
    client: Client, temporal_server: DevServer, agents: Path
) -> None:
    async with local_runtime(SCRIPT, agents=agents, client=client, **KEYS) as runtime:
        run_id = f"plain-{os.urandom(4).hex()}"
        code, said = await temporal(
            temporal_server, "workflow", "start", "--type", "AgentRun", "--workflow-id", run_id,
            "--task-queue", runtime.settings.task_queue, "--input", json.dumps({"goal": GOAL, "agent": "clerk"}),
        )  # fmt: skip
        assert code == 0, said
        result = await runtime.client.get_workflow_handle(run_id).result()
        assert result["answer"] == ANSWER
        assert ANSWER.encode() not in await stored(client.get_workflow_handle(run_id))


async def test_temporals_own_command_reads_and_writes_through_the_codec_server(
    client: Client, temporal_server: DevServer, agents: Path
) -> None:
    access = Access.checked("127.0.0.1", [], "t0ken")
    async with (
        local_runtime(SCRIPT, agents=agents, client=client, **KEYS) as runtime,
        codec_server(EncryptingCodec({"2026a": KEY}), access, 0) as address,
    ):
        run_id = f"through-{os.urandom(4).hex()}"
        through = ("--codec-endpoint", address, "--codec-auth", "Bearer t0ken")
        code, said = await temporal(
            temporal_server, "workflow", "execute", "--type", "AgentRun", "--workflow-id", run_id, *through,
            "--task-queue", runtime.settings.task_queue, "--input", json.dumps({"goal": GOAL, "agent": "clerk"}),
        )  # fmt: skip
        assert code == 0, said
        assert ANSWER in said
        kept = await stored(client.get_workflow_handle(run_id))
        assert GOAL.encode() not in kept

        show = ("workflow", "show", "-w", run_id, "--output", "json")
        _, hidden = await temporal(temporal_server, *show)
        assert "whale" not in contents(hidden)
        _, shown = await temporal(temporal_server, *show, *through)
        for told in (GOAL, ACCOUNT, ANSWER, "failed: no whale below"):
            assert told in contents(shown)
        _, asked = await temporal(temporal_server, "workflow", "query", "-w", run_id, "--type", "transcript", *through)
        assert ANSWER in asked
        code, refused = await temporal(temporal_server, *show, "--codec-endpoint", address)
        assert "whale" not in contents(refused)
