"""What Temporal gets to see: nothing of a tool's secrets, and with keys for payloads nothing of what a run is about."""

import asyncio
import base64
import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from backstay.adapters.codec_server import Access, codec_server
from backstay.adapters.dev_server import DevServer, temporal_binary
from backstay.adapters.payload_codec import EncryptingCodec
from backstay.client import BackstayClient
from backstay.errors import CodecError
from backstay.testing import Call, Reply
from backstay.testing.local_runtime import LocalRuntime, local_runtime

CANARY = 'canary/"4f1c+9'
GOAL = "find the white whale"
ACCOUNT = "account-of-captain-ahab"
ANSWER = "it was sighted off Nantucket"
REASON = "the mate says enough"
KEY = os.urandom(32)
KEYS = {"codec_keys": "2026a:" + base64.b64encode(KEY).decode()}

TOOLS = '''
import base64
import logging
from urllib.parse import quote

from backstay.tools import ToolCall, ToolError, tool

@tool(effect="write", secrets=["SHOP_TOKEN"])
def pay(call: ToolCall, account: str) -> dict[str, str]:
    """Pays."""
    token = call.secret("SHOP_TOKEN")
    print(token)
    logging.getLogger("shop").warning("paying with %s", token)
    basic = base64.b64encode(f"shop:{token}".encode()).decode()
    return {"account": account, "token": token, "basic": basic, "url": "https://shop/?t=" + quote(token, safe="")}

@tool(effect="write", secrets=["SHOP_TOKEN"])
def crash(call: ToolCall) -> str:
    """Crashes."""
    raise RuntimeError(f"401 for {call.secret('SHOP_TOKEN')!r}")

@tool(effect="write", secrets=["SHOP_TOKEN"])
async def refuse(call: ToolCall) -> str:
    """Refuses."""
    raise ToolError("no: " + call.secret("SHOP_TOKEN"))

@tool(effect="read")
def sneak(call: ToolCall) -> str:
    """Asks for what it has not declared."""
    return call.secret("SHOP_TOKEN")

@tool(effect="read", secrets=["NOT_THERE"])
def missing(call: ToolCall) -> str:
    """Asks for what is not there."""
    return call.secret("NOT_THERE")

@tool(effect="read")
def long(call: ToolCall) -> str:
    """Says more than fits, with a secret where it is cut."""
    import os
    return "x" * 31_990 + os.environ["SHOP_TOKEN"] * 3
'''

SCRIPT = [
    Reply(calls=[Call("pay", {"account": ACCOUNT}), Call("crash"), Call("refuse")]),
    Reply(calls=[Call("sneak"), Call("missing"), Call("long")]),
    Reply(ANSWER),
]


@pytest.fixture
def agents(agent_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """An agent whose tools leak their secret in every way."""
    monkeypatch.setenv("SHOP_TOKEN", CANARY)
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


async def results(runtime: LocalRuntime, run_id: str) -> dict[str, str]:
    """What the model read of each call."""
    items = [item async for item in BackstayClient(runtime.client).transcript(run_id)]
    return {str(item.tool): str(item.text) for item in items if item.kind == "result"}


async def temporal(server: DevServer, *arguments: str) -> tuple[int, str]:
    """Runs Temporal's own command: its exit code, and what it says."""
    process = await asyncio.create_subprocess_exec(
        temporal_binary(), *arguments, "--address", server.address,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode or 0, said.decode()


@pytest.mark.parametrize("settings", [{}, KEYS], ids=["plain", "encrypted"])
async def test_a_secret_reaches_neither_history_nor_model_nor_log(
    client: Client,
    agents: Path,
    settings: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with local_runtime(SCRIPT, agents=agents, client=client, **settings) as runtime:
        handle = await runtime.start({"goal": GOAL, "agent": "clerk"})
        await handle.result()
        assert CANARY in capsys.readouterr().out  # the tool had the value indeed
        leaks = [CANARY, json.dumps(CANARY)[1:-1], "canary", base64.b64encode(CANARY.encode()).decode()[:12]]
        history = await stored(handle)
        said_to_model = json.dumps([request.body for request in runtime.model.requests])
        for leak in leaks:
            assert leak.encode() not in history
            assert leak not in said_to_model
            assert leak not in caplog.text
        read = await results(runtime, handle.id)
    mark = "[secret SHOP_TOKEN]"
    assert json.loads(read["pay"])["token"] == mark
    assert json.loads(read["pay"])["url"] == f"https://shop/?t={mark}"
    assert json.loads(read["pay"])["basic"].endswith(mark)
    assert read["crash"] == f"failed: RuntimeError: 401 for '{mark}'"
    assert read["refuse"] == f"failed: no: {mark}"
    assert '@tool(secrets=["SHOP_TOKEN"])' in read["sneak"]
    assert "no secret `NOT_THERE`" in read["missing"]
    assert read["long"].startswith("x" * 31_990 + "[secret")
    assert f"paying with {mark}" in caplog.text


async def test_with_keys_every_payload_of_a_run_is_encrypted(client: Client, agents: Path) -> None:
    script = [*SCRIPT[:2], Reply("late", delay=30)]
    async with local_runtime(script, agents=agents, client=client, **KEYS) as runtime:
        run = BackstayClient(runtime.client, runtime.settings.task_queue)
        handle = await runtime.client.start_workflow(
            "AgentRun",
            {"goal": GOAL, "agent": "clerk", "metadata": {"ship": "Pequod"}},
            id=f"whale-{os.urandom(4).hex()}",
            task_queue=runtime.settings.task_queue,
            static_summary=GOAL,
            memo={"note": GOAL},
        )
        while len(runtime.model.requests) < 3:
            await asyncio.sleep(0.02)
        page = await handle.query("__temporal_workflow_metadata", rpc_timeout=None)
        assert page is not None
        await run.kill(handle.id, "mate", REASON)
        assert (await run.result(handle.id)).stop_reason == "killed"
        raw = client.get_workflow_handle(handle.id)
        kept = await stored(raw)
        for clear in (GOAL, ACCOUNT, "Pequod", REASON, CANARY, "pay(", "You are a careful clerk", "Pays."):
            assert clear.encode() not in kept, clear
        found = [
            (path, payload)
            async for event in raw.fetch_history_events()
            for path, payload in payloads(event, str(event.event_id))
        ]
        described = (await raw.describe()).raw_description
        found += payloads(described, "described")
        in_clear = {path for path, payload in found if payload.metadata["encoding"] != b"binary/encrypted"}
        assert len(found) > 30
        assert not [path for path in in_clear if "search_attributes" not in path]


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


async def test_without_the_key_a_client_reads_nothing(client: Client, agents: Path) -> None:
    other = {"codec_keys": "2025z:" + base64.b64encode(os.urandom(32)).decode()}
    async with local_runtime(SCRIPT, agents=agents, client=client, **KEYS) as runtime:
        handle = await runtime.start({"goal": GOAL, "agent": "clerk"})
        await handle.result()
        raw = client.get_workflow_handle(handle.id, result_type=dict)
        with pytest.raises(Exception, match="binary/encrypted"):
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
            while len(runtime.model.requests) < 1:
                await asyncio.sleep(0.02)
        settings = runtime.settings.model_copy(update={"codec_keys": new}).model_dump(include={"agents", "task_queue"})
        async with local_runtime(
            client=client, **settings, codec_keys=new, openai_base_url=runtime.model.base_url
        ) as later:
            result = await later.client.get_workflow_handle(handle.id).result()
            assert result["answer"] == ANSWER


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
        assert GOAL not in hidden
        _, shown = await temporal(temporal_server, *show, *through)
        assert GOAL in shown
        assert ACCOUNT in shown
        _, asked = await temporal(temporal_server, "workflow", "query", "-w", run_id, "--type", "transcript", *through)
        assert ANSWER in asked
        code, refused = await temporal(temporal_server, *show, "--codec-endpoint", address)
        assert GOAL not in refused


def test_the_root_logger_is_as_it_was() -> None:
    assert not [one for handler in logging.getLogger().handlers for one in handler.filters]
