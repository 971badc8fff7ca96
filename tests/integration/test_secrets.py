"""A tool's secret reaches neither the history, nor the model, nor the log, whatever the tool does with it."""

import asyncio
import base64
import json
import logging
import os
import sys
import uuid
from asyncio.subprocess import PIPE
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

from backstay.adapters.engine.dev_server import DevServer
from backstay.client.client import BackstayClient
from backstay.testing import Call, Reply, ScriptedModel
from backstay.testing.runtime import LocalRuntime, local_runtime

ROOT = Path(__file__).resolve().parents[2]
CANARY = 'canary/"4f1c+9'
KEYS: dict[str, Any] = {"codec_keys": "2026a:" + base64.b64encode(os.urandom(32)).decode()}

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
    Reply(calls=[Call("pay", {"account": "A1"}), Call("crash"), Call("refuse")]),
    Reply(calls=[Call("sneak"), Call("missing"), Call("long")]),
    Reply("done"),
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


async def results(runtime: LocalRuntime, run_id: str) -> dict[str, str]:
    """Returns the results that the model read, one for each call."""
    items = [item async for item in BackstayClient(runtime.client).transcript(run_id)]
    return {str(item.tool): str(item.text) for item in items if item.kind == "result"}


@pytest.mark.parametrize("settings", [{}, KEYS], ids=["plain", "encrypted"])
async def test_a_secret_reaches_neither_history_nor_model_nor_log(
    client: Client,
    agents: Path,
    settings: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with local_runtime(SCRIPT, agents=agents, client=client, **settings) as runtime:
        handle = await runtime.start({"goal": "pay", "agent": "clerk"})
        await handle.result()
        assert capsys.readouterr().out == "[secret SHOP_TOKEN]\n"  # the tool had the value indeed
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
    assert mark in json.loads(read["pay"])["basic"]
    assert read["crash"] == f"failed: RuntimeError: 401 for '{mark}'"
    assert read["refuse"] == f"failed: no: {mark}"
    assert '@tool(secrets=["SHOP_TOKEN"])' in read["sneak"]
    assert "no secret `NOT_THERE`" in read["missing"]
    assert read["long"].startswith("x" * 31_990 + "[secret")
    assert f"paying with {mark}" in caplog.text


async def test_a_worker_inside_a_program_prints_no_secret_and_gives_the_output_back(
    client: Client, agents: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", CANARY)
    before = sys.stdout, sys.stderr
    async with local_runtime(SCRIPT, agents=agents, client=client) as runtime:
        await (await runtime.start({"goal": "pay", "agent": "clerk"})).result()
        print("the program's own", CANARY, file=sys.stderr)
        async with local_runtime([], agents=agents, client=client):
            pass
        print("with one worker left", CANARY)
    assert (sys.stdout, sys.stderr) == before
    print("afterwards", CANARY)
    printed = capsys.readouterr()
    mark = "[secret SHOP_TOKEN]"
    assert printed.out == f"{mark}\nwith one worker left {mark}\nafterwards {CANARY}\n"
    assert printed.err == f"the program's own {mark}\n"


async def test_a_worker_prints_no_secret(client: Client, temporal_server: DevServer, agents: Path) -> None:
    queue = f"printing-{uuid.uuid4()}"
    async with ScriptedModel([Reply(calls=[Call("pay", {"account": "A1"})]), Reply("done")]) as model:
        environment = {
            **os.environ,
            "BACKSTAY_AGENTS": str(agents),
            "BACKSTAY_TASK_QUEUE": queue,
            "BACKSTAY_MODEL_PRICE": "input=0.25,output=2.00",
            "OPENAI_BASE_URL": model.base_url,
            "TEMPORAL_ADDRESS": temporal_server.address,
        }
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "worker.py", cwd=ROOT, env=environment, stdout=PIPE, stderr=PIPE
        )
        try:
            request = {"goal": "pay", "agent": "clerk"}
            result = await client.execute_workflow("AgentRun", request, id=queue, task_queue=queue)
        finally:
            worker.terminate()
            printed, logged = await asyncio.wait_for(worker.communicate(), 40)
    assert result["status"] == "completed"
    assert printed == b"[secret SHOP_TOKEN]\n"
    assert b"paying with [secret SHOP_TOKEN]" in logged
    assert b"canary" not in logged


def test_the_root_logger_is_as_it_was() -> None:
    assert not [one for handler in logging.getLogger().handlers for one in handler.filters]


HANGING = '''
import time

from backstay.tools import ToolCall, tool

async def ask(call: ToolCall) -> None:
    raise RuntimeError("401 for " + call.secret("SHOP_TOKEN"))

@tool(effect="once", timeout="300ms", secrets=["SHOP_TOKEN"], reconcile=ask)
def send(call: ToolCall) -> None:
    """Hangs."""
    time.sleep(1)
'''


async def test_a_secret_in_the_failure_of_a_reconcile_function_reaches_no_history(
    client: Client, agent_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", CANARY)
    script = [Reply(calls=[Call("send")]), Reply("done")]
    async with local_runtime(script, agents=agent_folder(tools=HANGING), client=client) as runtime:
        handle = await runtime.start({"goal": "send", "agent": "clerk"})
        assert (await handle.result())["stop_reason"] == "outcome_unknown"
        kept = await stored(handle)
        assert b"canary" not in kept
        assert b"RuntimeError: 401 for [secret SHOP_TOKEN]" in kept
        assert "canary" not in caplog.text
