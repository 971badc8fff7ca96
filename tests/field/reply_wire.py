"""Writes replies as servers do, on either API, and refuses the next request as they refuse it."""

import json
import re
from collections.abc import Mapping
from typing import Any, cast

from backstay.testing import Raw, Reply, Request, Turn, Usage

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
BILL = {
    "chat": {"prompt_tokens": 900, "completion_tokens": 10, "total_tokens": 910},
    "responses": {"input_tokens": 900, "output_tokens": 10, "total_tokens": 910},
}


def body(api: str, text: str | None = None, calls: object = (), finish: str = "stop", **more: Any) -> Raw:
    """A reply of either API; each call is the object that the chat API has in `tool_calls`."""
    if api == "chat":
        listed = list(cast("tuple[object, ...]", calls)) if isinstance(calls, tuple) else calls
        message = {"role": "assistant", "content": text, "tool_calls": listed}
        sent = {"choices": [{"index": 0, "finish_reason": finish, "message": message}]}
    else:
        said = [{"type": "message", "content": [{"type": "output_text", "text": text}]}] if text else []
        flat = [_flat(call) for call in cast("tuple[Any, ...]", calls)]
        sent = {"status": "completed", "output": [*said, *flat]}
    return Raw(200, json.dumps({"model": "served-1", "usage": BILL[api], **sent, **more}))


def call(name: object = "look", arguments: object = '{"key": 1}', **more: Any) -> dict[str, Any]:
    """A call as the chat API writes it."""
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def _flat(call: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call.get("id"), **call["function"]}


def strict(turn: Turn) -> Turn:
    """Lets a turn happen only where the request is one that real servers take; any other is refused."""

    def judged(request: Request) -> Turn:
        problem = fault(cast("Any", request.body))
        return turn if problem is None else Raw(400, json.dumps({"error": {"message": problem}}))

    return judged


def done() -> Turn:
    """The answer that ends a run."""
    return strict(Reply("done", usage=Usage(1_000, 10)))


def fault(sent: Mapping[str, Any]) -> str | None:
    """Returns what a real server refuses in a request: calls without a result, names and arguments it cannot read."""
    items = sent.get("messages") or sent["input"]
    called = [one for item in items for one in item.get("tool_calls") or []]
    called += [item for item in items if item.get("type") == "function_call"]
    ids = [one.get("id") or one.get("call_id") for one in called]
    results = [item.get("tool_call_id") or item.get("call_id") for item in items if _is_result(item)]
    if ids != results or len(set(ids)) != len(ids):
        return f"calls {ids} have the results {results}"
    for one in called:
        function = one.get("function") or one
        if not NAME.fullmatch(function["name"]):
            return f"the name {function['name']!r}"
        if not isinstance(_parsed(function["arguments"]), dict):
            return f"the arguments {function['arguments'][:80]!r}"
    return None


def told(sent: Mapping[str, Any]) -> str:
    """All that a request tells the model, as one text; a note of the runtime may end the goal."""
    items = sent.get("messages") or sent["input"]
    return "\n".join(str(item.get("content") or item.get("output") or "") for item in items)


def _is_result(item: Mapping[str, Any]) -> bool:
    return item.get("role") == "tool" or item.get("type") == "function_call_output"


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None
