"""The words of a server go back as it said them: one row per kind, each against a server that refuses anything else."""

import asyncio
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio.client import Client

from backstay.testing import Failure, Raw, Reply, Request, Turn
from backstay.testing.runtime import LocalRuntime, local_runtime

TOOLS = '''
from backstay.tools import tool

@tool(effect="read")
async def lookup(key: int) -> str:
    """Looks a value up."""
    return f"value {key}"
'''
TOML = """
[model]
name = "prod-chat"
api = "{api}"
give_up_after = "20s"
price = {{ input = "1.00", output = "10.00" }}
[budget]
tokens = 1_000_000
"""

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """One kind: what the server replies, and the words for what it refuses in the request that follows."""

    api: str
    reply: dict[str, Any]
    refuses: Callable[[Body], str | None]
    requests: int = 2
    input_grows: int = 0
    first: Callable[[Body], str | None] = field(default=lambda _: None)


def call(key: int, id: str | None = "call_1", **more: Any) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": "lookup", "arguments": json.dumps({"key": key})}, **more}


def chat(*calls: dict[str, Any], finish: str = "tool_calls", **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": None, "tool_calls": list(calls) or None, "refusal": None, **more}
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": usage, "model": "m"}


def response(*output: dict[str, Any]) -> dict[str, Any]:
    usage = {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120}
    return {"status": "completed", "output": list(output), "usage": usage, "model": "m"}


def function_call(key: int, id: str, **more: Any) -> dict[str, Any]:
    asked = {"name": "lookup", "arguments": json.dumps({"key": key})}
    return {"type": "function_call", "id": "fc_1", "call_id": id, "status": "completed", **asked, **more}


def reasoning(id: str, **more: Any) -> dict[str, Any]:
    return {"type": "reasoning", "id": id, "summary": [], "encrypted_content": f"g{id}", **more}


def spoke(body: Body) -> dict[str, Any]:
    """The first message of the assistant."""
    return next(message for message in body["messages"] if message["role"] == "assistant")


def ids(body: Body) -> list[str]:
    """The ids of all calls; each result must name its own."""
    calls = [call["id"] for message in body["messages"] for call in message.get("tool_calls") or ()]
    results = [message["tool_call_id"] for message in body["messages"] if message["role"] == "tool"]
    return calls if calls == results else []


def same_ids(*wanted: str) -> Callable[[Body], str | None]:
    return lambda body: None if ids(body) == list(wanted) else f"no such tool calls: {ids(body)}"


def fit_ids(body: Body) -> str | None:
    found = ids(body)
    fit = len(set(found)) == len(found) > 0 and all(len(id) == 9 and id.isalnum() for id in found if id != "same")
    return None if fit else f"Tool call id was {found}"


def carries(name: str, value: Any) -> Callable[[Body], str | None]:
    return lambda body: None if spoke(body).get(name) == value else f"missing {name}"


def alternates(body: Body) -> str | None:
    roles = [message["role"] for message in body["messages"]]
    bad = [pair for pair in itertools.pairwise(roles) if pair[1] == "user" and pair[0] in ("user", "tool")]
    return f"Unexpected role {bad}" if bad else None


def order(body: Body) -> str | None:
    found = [item.get("id") or item.get("call_id") for item in body["input"] if item.get("type") in ORDERED]
    return None if found == ["rs_1", "a", "rs_2", "b"] else f"Item was provided without its required item: {found}"


def nothing_beside(body: Body) -> str | None:
    [item] = [item for item in body["input"] if item.get("type") == "reasoning"]
    return None if item == reasoning("rs_1") else f"Unknown parameter: {sorted(item)}"


def without(name: str) -> Callable[[Body], str | None]:
    return lambda body: f"Unsupported parameter: '{name}'" if name in body else None


ORDERED = ("reasoning", "function_call")
SIGNED = {"google": {"thought_signature": "S" * 400}}
DETAILS = [{"type": "reasoning.encrypted", "data": "D", "id": None, "format": "x-v1"}]
HUGE = "x" * 300_000

ROWS: dict[str, Row] = {
    "nine letters": Row("chat", chat(call(1, "D681PevKs"), call(2, "AbCdEfGh1")), same_ids("D681PevKs", "AbCdEfGh1")),
    "functions.NAME:n": Row(
        "chat",
        chat(call(1, "functions.lookup:0"), call(2, "functions.lookup:1")),
        same_ids("functions.lookup:0", "functions.lookup:1"),
    ),
    "no id": Row("chat", chat(call(1, None), call(2, "")), fit_ids),
    "equal ids": Row("chat", chat(call(1, "same"), call(2, "same")), fit_ids),
    "hostile ids": Row("chat", chat(call(1, "x" * 5_000), call(2, "a\r\nb\x00"), call(3, "\u202e")), fit_ids),
    "a signature": Row(
        "chat",
        chat(call(1, extra_content=SIGNED)),
        lambda body: (
            None if spoke(body)["tool_calls"][0].get("extra_content") == SIGNED else "missing a thought_signature"
        ),
        input_grows=400,
    ),
    "reasoning text": Row(
        "chat",
        chat(call(1), reasoning_content="T" * 3_000),
        carries("reasoning_content", "T" * 3_000),
        input_grows=3_000,
    ),
    "reasoning details": Row("chat", chat(call(1), reasoning_details=DETAILS), carries("reasoning_details", DETAILS)),
    "what comes next": Row("chat", chat(call(1), brand_new={"a": [1, None]}), carries("brand_new", {"a": [1, None]})),
    "too much": Row("chat", chat(call(1), junk=HUGE), lambda body: "too long" if "xxx" in json.dumps(body) else None),
    "a note after a result": Row("chat", chat(call(1), finish="length"), alternates),
    "a note after the goal": Row("chat", chat(content="", finish="stop"), alternates),
    "another word for the limit": Row(
        "chat", chat(call(1)), without("max_tokens"), requests=3, first=without("max_tokens")
    ),
    "no encrypted reasoning": Row(
        "responses", response(function_call(1, "a")), without("include"), requests=3, first=without("include")
    ),
    "interleaved reasoning": Row(
        "responses",
        response(reasoning("rs_1"), function_call(1, "a"), reasoning("rs_2"), function_call(2, "b")),
        order,
    ),
    "fields of replies": Row(
        "responses", response(reasoning("rs_1", status=None, content=None), function_call(1, "a")), nothing_beside
    ),
}


def served(row: Row) -> list[Turn]:
    def first(request: Request) -> Turn:
        refused = row.first(request.body)
        return Failure(400, refused) if refused else Raw(200, json.dumps(row.reply))

    def second(request: Request) -> Turn:
        refused = row.refuses(request.body)
        return Failure(400, refused) if refused else Reply("done")

    return [first, second]


async def played(runtime: LocalRuntime, name: str) -> object:
    """Returns the fault of a row; None where there is none."""
    row = ROWS[name]
    handle = await runtime.start({"goal": f"the case `{name}`", "agent": row.api})
    result = await asyncio.wait_for(handle.result(), 60)
    asked = [request for request in runtime.model.requests if f"the case `{name}`" in request.goal]
    held = [one["facts"] for one in (await handle.query("audit"))["items"] if one["event"] == "decision_held"]
    grown = held[-1]["input_tokens"] - 120
    told = (result["status"], result["answer"], len(asked), result["spent"]["usd_unbilled"])
    fits = told == ("completed", "done", row.requests, "0.00") and grown >= row.input_grows
    return None if fits else (told, grown)


async def test_what_a_server_said_goes_back_as_it_was_said(client: Client, agent_folder: Callable[..., Path]) -> None:
    for api in ("chat", "responses"):
        agents = agent_folder(api, TOML.format(api=api), TOOLS)
    scripts = {f"the case `{name}`": served(row) for name, row in ROWS.items()}
    async with local_runtime(scripts, agents=agents, client=client) as runtime:
        ended = await asyncio.gather(*(played(runtime, name) for name in ROWS), return_exceptions=True)
    assert {name: end for name, end in zip(ROWS, ended, strict=True) if end is not None} == {}
