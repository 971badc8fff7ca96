"""A run from its request to its result."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from temporalio.client import Client

from backstay.kernel.audit import AuditHead, verify
from backstay.testing import Call, Reply, Usage
from backstay.testing.runtime import local_runtime

COUNTING = '''
from backstay.tools import ToolCall, tool

@tool(effect="write")
def add(call: ToolCall, left: int, right: int) -> int:
    """Adds two numbers."""
    return left + right

@tool(effect="read")
def unlisted() -> str:
    """Is in no list."""
    return "no"
'''

APIS = pytest.mark.parametrize("api", ["responses", "chat"])


@APIS
async def test_a_run_calls_a_tool_and_answers(client: Client, agent_folder: Callable[..., Path], api: str) -> None:
    agents = agent_folder(toml='tools = ["add"]\n', tools=COUNTING)
    script = [
        Reply(calls=[Call("add", {"left": 2, "right": 3})], usage=Usage(1000, 10)),
        Reply("it is 5", usage=Usage(1100, 20, cached_tokens=1000)),
    ]
    async with local_runtime(script, agents=agents, client=client, model_api=api) as runtime:
        result = await runtime.run_to_end({"goal": "2 + 3?", "agent": "clerk"})
        assert (result.status, result.stop_reason, result.answer) == ("completed", "completed", "it is 5")
        assert result.spent.tools == {"add": 1}
        assert (result.spent.input_tokens, result.spent.output_tokens) == (2100, 30)
        assert result.spent.usd == "0.00036"  # 270 for the first call, 90 for the second, in micro-dollars
        assert [request.api for request in runtime.model.requests] == [api, api]


async def test_an_unlisted_tool_is_denied_and_the_run_goes_on(
    client: Client, agent_folder: Callable[..., Path]
) -> None:
    agents = agent_folder(toml='tools = ["add"]\n', tools=COUNTING)
    script = [Reply(calls=[Call("unlisted"), Call("add", {"left": 1, "right": 1})]), Reply("2")]
    async with local_runtime(script, agents=agents, client=client) as runtime:
        handle = await runtime.start({"goal": "go", "agent": "clerk"})
        result = await handle.result()
        assert result["status"] == "completed"
        items = (await handle.query("transcript"))["items"]
        assert [(item["tool"], item["status"]) for item in items if item["kind"] == "result"] == [
            ("unlisted", "denied"),
            ("add", "completed"),
        ]


async def test_the_result_carries_the_head_of_a_whole_audit_chain(client: Client) -> None:
    async with local_runtime([Reply("hello")], client=client) as runtime:
        handle = await runtime.start({"goal": "hello"})
        result = await handle.result()
        records = (await handle.query("audit"))["items"]
        assert verify(records) == AuditHead(result["audit"]["records"], result["audit"]["head"])


async def test_a_kill_cancels_the_model_call_within_a_second(client: Client) -> None:
    async with local_runtime([Reply("late", delay=30)], client=client) as runtime:
        handle = await runtime.start({"goal": "wait"})
        while not runtime.model.requests:
            await asyncio.sleep(0.02)
        began = asyncio.get_running_loop().time()
        assert await handle.execute_update("kill", {"by": "olga", "reason": "enough"}) == {"state": "stopping"}
        result = await handle.result()
        assert asyncio.get_running_loop().time() - began < 3
        assert (result["status"], result["stop_reason"]) == ("stopped", "killed")
        assert runtime.model.cancelled == 1
        assert json.dumps(result["spent"]["usd_unbilled"]) != '"0.00"'
