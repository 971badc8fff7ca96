"""Replies as model servers really write them, a row per kind, played on a worker against a server that is as strict."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError

from backstay.contracts.run import RunResult
from backstay.testing import Attempts, Raw, Turn
from backstay.testing.runtime import LocalRuntime, local_runtime
from tests.field.reply_wire import body, call, done, told

TOOLS = '''
from pathlib import Path
from backstay.tools import ToolCall, tool

def log(call, line):
    with Path(call.metadata["log"]).open("a") as file:
        file.write(line + "\\n")

@tool(effect="write")
def look(call: ToolCall, key: int) -> str:
    """Looks something up."""
    log(call, f"look {key}")
    return f"value {key}"

@tool(effect="write")
def add(call: ToolCall, keys: list[int], by_name: dict[str, int | None] | None = None) -> str:
    """Adds up."""
    log(call, f"add {keys} {by_name}")
    return "added"

@tool(effect="write")
def pay(call: ToolCall, amount: float | None = None) -> str:
    """Pays an amount, or the whole balance."""
    log(call, f"pay {amount}")
    return "paid"

@tool(effect="write")
def page(call: ToolCall, size: int = 3, word: str = "none") -> str:
    """Turns a page."""
    log(call, f"page {size} {word}")
    return ""

@tool(effect="read")
def names() -> dict[str, object]:
    """Lists names as a file system has them."""
    return {"files": ["report.txt", "caf\\udce9.txt"], "raw": [{"body": b"\\xff"}]}
'''
TOML = "[model]\nmax_output_tokens = 200\n[stop]\nmalformed = 3\n"
APIS = ("chat", "responses")
AT_ONCE = 8
"""So few rows at once that none waits longer for a busy machine than a client waits for its server."""
NAMELESS = "there is no such tool, because the call names none"
MARKED = "you wrote a tool call as text"


@dataclass(frozen=True)
class Row:
    """A first reply, what it does, what the model is told of it, and the answer in the end."""

    first: Callable[[str], Turn]
    did: tuple[str, ...] = ()
    told: str = ""
    answer: str = "done"
    unbilled: bool = False
    apis: tuple[str, ...] = APIS
    requests: int = 2


def calls(*written: Any, did: tuple[str, ...] = (), told: str = "", apis: tuple[str, ...] = APIS) -> Row:
    return Row(lambda api: body(api, calls=written), did, told, apis=apis)


def one(name: object, arguments: object, *did: str, told: str = "") -> Row:
    return calls(call(name, arguments), did=did, told=told)


def sent_as_is(name: str, arguments: str, told: str) -> Row:
    """Arguments as an object, spelled as no JSON writer spells them."""
    blank = call(name, {"spelled": 1})

    def first(api: str) -> Turn:
        whole = str(body(api, calls=(blank,)).body)
        return Raw(200, whole.replace('{"spelled": 1}', arguments))

    return Row(first, told=told)


def text(written: str, answer: str = "done", told: str = "") -> Row:
    return Row(lambda api: body(api, written), told=told, answer=answer, requests=1 if answer != "done" else 2)


def failing(status: int, sent: str, told: str) -> Row:
    return Row(lambda _: Raw(status, sent), told=told, unbilled=True)


def after(sent: str, unbilled: bool, apis: tuple[str, ...] = APIS) -> Row:
    """An error in a body of HTTP 200 that passes."""
    return Row(lambda api: Attempts(Raw(200, sent), body(api, "fine")), answer="fine", unbilled=unbilled, apis=apis)


LOOKED = ("look 1",)
ROWS: dict[str, Row] = {
    "empty arguments": one("page", "", "page 3 none"),
    "blank arguments": one("page", " \n", "page 3 none"),
    "null for arguments": one("page", None, "page 3 none"),
    "null as a text": one("page", "null", "page 3 none"),
    "no arguments": calls({"id": "c1", "function": {"name": "page"}}, did=("page 3 none",)),
    "an empty result": one("page", "{}", "page 3 none", told="(no output)"),
    "a whole number with a point": one("look", '{"key": 1.0}', *LOOKED),
    "a whole number with an exponent, in a list": one("add", '{"keys": [3e0, 2.0]}', "add [3, 2] None"),
    "whole numbers in an object": one("add", {"keys": [], "by_name": {"a": 4.0}}, "add [] {'a': 4}"),
    "a number that is not whole": one("look", '{"key": 1.5}', told="`key`"),
    "an integer of 64 bits": one("look", '{"key": 1234567890123456789}', "look 1234567890123456789"),
    "an integer beyond 64 bits": one("look", '{"key": 98765432109876543210}', told="beyond 64 bits"),
    "null for a default": one("page", '{"size": null, "word": "x"}', "page 3 x"),
    "null where it is a value": one("pay", '{"amount": null}', "pay None"),
    "null where a value is needed": one("look", '{"key": null}', told="`key`"),
    "NaN in an object": sent_as_is("pay", '{"amount": NaN}', "NaN"),
    "infinity in an object": sent_as_is("pay", '{"amount": -Infinity}', "infinity"),
    "a thousand digits in an object": sent_as_is("pay", f'{{"amount": {"9" * 1_001}}}', "64 bits"),
    "an overflow in an object": sent_as_is("pay", '{"amount": 1e999}', "overflows"),
    "a repeated key in an object": sent_as_is("pay", '{"amount": 9999, "amount": 1}', "repeat a key"),
    "a repeated key deep in an object": sent_as_is("add", '{"keys": [], "by_name": {"a": 1, "a": 2}}', "repeat a key"),
    "a call without a name": calls(call(), call(None, ""), did=LOOKED, told=NAMELESS + "; the tools are"),
    "a call of nothing": calls(call(), {"id": "c2", "function": {}}, did=LOOKED, told=NAMELESS),
    "a null beside a call": calls(None, call(), None, did=LOOKED, apis=("chat",)),
    "a word beside a call": calls(call(), "look", did=LOOKED, told=NAMELESS, apis=("chat",)),
    "one call instead of a list": Row(lambda api: body(api, calls=call()), LOOKED, apis=("chat",)),
    "no list of calls": Row(lambda api: body(api, "fine", calls=""), answer="fine", apis=("chat",), requests=1),
    "long arguments that are refused": one("look", {"key": 1, "note": "x" * 100_000}, told="unknown field"),
    "an unknown tool": one("mail", "{}", told="the tools are `add`, `look`, `names`, `page`, `pay`"),
    "a tool with a prefix": one("functions.look", '{"key": 1}', told="write `look`"),
    "a tool in another case": one("Look", '{"key": 1}', told="write `look`"),
    "undecodable names in a result": one(
        "names", "{}", told='{"files":["report.txt","caf?.txt"],"raw":[{"body":"\ufffd"}]}'
    ),
    "thoughts before the answer": text("<think>hm</think>\n\nfine", "fine"),
    "thoughts without a beginning": text("hm</think>fine", "fine"),
    "thoughts without an end": text("<thinking>hm", told="empty"),
    "thoughts in a channel": text(
        "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>fine", "fine"
    ),
    "a tool that is only mentioned": text("I used look to find it.", "I used look to find it."),
    "a call in tags": text("<function=look><parameter=key>1</parameter></function>", told=MARKED),
    "a call in tags behind words": text("I look.\n<tool_call>\n<function=look>", told=MARKED),
    "a call in tokens": text("<|tool_calls_section_begin|><|tool_call_begin|>functions.look:0", told=MARKED),
    "a call in wide tokens": text("<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>look", told=MARKED),
    "a call in brackets": text('[TOOL_CALLS] [{"name": "look", "arguments": {"key": 1}}]', told=MARKED),
    "a call behind a token": text('<|python_tag|>{"name": "look", "parameters": {"key": 1}}', told=MARKED),
    "a call in a channel": text('<|channel|>commentary to=functions.look<|message|>{"key":1}', told=MARKED),
    "a call that is invoked": text('<invoke name="look"><parameter name="key">1</parameter>', told=MARKED),
    "a call as code": text("```tool_code\nprint(look(key=1))\n```", told=MARKED),
    "a call as a step": text('Thought: hm\nAction: look\nAction Input: {"key": 1}', told=MARKED),
    "a call as an action": text('{"action": "look", "arguments": {"key": 1}}', told=MARKED),
    "a call as a function": text('{"function": {"name": "look", "arguments": "{}"}}', told=MARKED),
    "a call that the provider refuses": failing(
        400, '{"error": {"code": "tool_use_failed", "message": "Failed.", "failed_generation": "<function"}}', "Failed."
    ),
    "a call that the server cannot parse": failing(
        500, '{"error": {"code": 500, "message": "Failed to parse tool call arguments as JSON: x"}}', "as JSON"
    ),
    "a call that a gateway quotes": failing(
        400,
        '{"error": {"code": 400, "message": "Provider error", "metadata": {"raw": '
        '"{\\"error\\": {\\"message\\": \\"error parsing tool call: raw\\"}}"}}}',
        "error parsing tool call",
    ),
    "a bad call in a good status": failing(200, '{"error": {"code": "tool_use_failed", "message": "No."}}', "No."),
    "a limit by its name": after('{"error": {"code": "rate_limit_exceeded", "message": "slow down"}}', unbilled=False),
    "a limit in words": after('{"error": "Rate limit exceeded"}', unbilled=False),
    "an error by its type": after('{"object": "error", "type": "overloaded_error", "message": "busy"}', unbilled=True),
    "an error beside an empty choice": after(
        '{"choices": [{"message": {"content": null}}], "error": {"code": "server_error"}}', True, apis=("chat",)
    ),
    "a finish that is an error": after(
        '{"choices": [{"message": {"content": "par"}, "finish_reason": "error"}]}', True, apis=("chat",)
    ),
    "a finish that says so": Row(
        lambda api: body(api, finish="malformed_function_call"), told="could not be read", apis=("chat",)
    ),
}
PLAYED = [(api, name) for name, row in ROWS.items() for api in row.apis]


@pytest.fixture
async def runtime(client: Client, agent_folder: Callable[..., Path]) -> AsyncIterator[LocalRuntime]:
    """A worker with two agents, one for each API; the goal of a run names its row."""
    scripts: dict[str, list[Turn]] = {f"<{api}: {name}>": [ROWS[name].first(api), done()] for api, name in PLAYED}
    for api in APIS:
        agents = agent_folder(api, TOML.replace("[model]", f'[model]\napi = "{api}"'), TOOLS)
    async with local_runtime(scripts, agents=agents, client=client) as opened:  # pyright: ignore[reportPossiblyUnboundVariable]
        yield opened


async def play(runtime: LocalRuntime, room: asyncio.Semaphore, log: Path, api: str, name: str) -> list[str]:
    """Plays a row once there is room for it; returns what differs from it."""
    row, goal = ROWS[name], f"<{api}: {name}>"
    given = {"goal": goal, "agent": api, "metadata": {"log": str(log)}}
    try:
        async with room:
            result: RunResult = await runtime.run_to_end(given)
    except WorkflowFailureError as error:
        return [f"{api}: {name}: failed, {error.cause}"]
    asked = [request for request in runtime.model.requests if goal in request.goal]
    said = told(asked[1].body) if len(asked) > 1 else ""
    did = tuple(log.read_text().splitlines()) if log.exists() else ()
    found = {
        "answer": (result.answer, row.answer),
        "did": (did, row.did),
        "told": (row.told in said or said, True),
        "bill": (Decimal(result.spent.usd_unbilled) > 0, row.unbilled),
        "requests": (len(asked), row.requests),
        "long": (any(len(request.raw) > 20_000 for request in asked), False),
    }
    return [f"{api}: {name}: {key} is {is_!r}, not {wanted!r}" for key, (is_, wanted) in found.items() if is_ != wanted]


@pytest.mark.timeout(600)
async def test_each_reply_does_what_it_says_and_nothing_else(runtime: LocalRuntime, tmp_path: Path) -> None:
    logs = (tmp_path / f"{number}.log" for number in itertools.count())
    room = asyncio.Semaphore(AT_ONCE)
    played = [play(runtime, room, log, *row) for log, row in zip(logs, PLAYED, strict=False)]
    differing = list(itertools.chain.from_iterable(await asyncio.gather(*played)))
    assert not differing, "\n".join(differing)


ERRORS: dict[str, tuple[str, str]] = {
    "a list by place": (
        '{"detail": [{"loc": ["body", "tools", 0], "msg": "is odd"}]}',
        "HTTP 422: body.tools.0: is odd",
    ),
    "a list of errors": ('{"errors": [{"message": "one"}, {"message": "two"}]}', "HTTP 422: one; two"),
    "errors by field": ('{"errors": {"model": ["is unknown"]}}', "HTTP 422: model: is unknown"),
    "deep in messages": ('{"message": {"error": {"detail": "deep"}}}', "HTTP 422: deep"),
    "plain text": ("no such model", "HTTP 422: no such model"),
    "a page": ("<html><title>Bad\nGateway</title><p>x</p></html>", "HTTP 422: Bad Gateway"),
    "many words": ('{"error": {"message": "' + "word " * 150 + 'end"}}', "word end"),
}


async def test_the_words_of_a_provider_reach_the_person_in_full(
    client: Client, agent_folder: Callable[..., Path]
) -> None:
    scripts: dict[str, list[Turn]] = {f"<{name}>": [Raw(422, sent)] for name, (sent, _) in ERRORS.items()}
    async with local_runtime(scripts, agents=agent_folder("clerk", TOML), client=client, model_api="chat") as opened:
        for name, (_, words) in ERRORS.items():
            handle = await opened.start({"goal": f"<{name}>", "agent": "clerk"})
            with pytest.raises(Exception) as failed:  # noqa: PT011
                await asyncio.wait_for(handle.result(), 20)
            assert words in str(failed.value.__cause__), name
