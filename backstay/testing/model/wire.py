"""Reads requests and writes scripted replies for both OpenAI APIs.

The readers accept any JSON object and ignore unknown fields. The official client can parse every written reply; ids and
the model's name are marked `scripted`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from .script import JSON, MISSING, Api, Call, Failure, RawUsage, Reply, Request, Usage

_CUT = {"length": "max_output_tokens", "content_filter": "content_filter"}
_CALL_TYPES = ("function_call", "reasoning")
_ERROR_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


@dataclass(frozen=True, slots=True)
class OfferedTool:
    """A function that the request offers to the model, with its JSON schema as sent."""

    name: str
    parameters: JSON


@dataclass(frozen=True, slots=True)
class Bill:
    """The billed tokens of a reply with an honest bill."""

    input_tokens: int
    output_tokens: int


def goal_of(api: Api, body: Mapping[str, JSON]) -> str:
    """Returns the text of the first user message, or an empty text."""
    for item in _items(api, body):
        if item.get("role") == "user":
            return _text(item.get("content"))
    return ""


def assistant_turns(api: Api, body: Mapping[str, JSON]) -> int:
    """Counts the decisions that the request carries.

    A chat request carries one per assistant message, a responses request one per group of adjacent assistant items.
    """
    turns = 0
    inside = False
    for item in _items(api, body):
        own = item.get("role") == "assistant" or item.get("type") in _CALL_TYPES
        turns += own and not (inside and api is Api.RESPONSES)
        inside = own
    return turns


def offered_tools(api: Api, body: Mapping[str, JSON]) -> list[OfferedTool]:
    """Returns the function tools that the request offers, in order."""
    found: list[OfferedTool] = []
    for tool in _objects(body.get("tools")):
        function = _object(tool.get("function")) if api is Api.CHAT else tool
        name = function.get("name")
        if tool.get("type") == "function" and isinstance(name, str):
            found.append(OfferedTool(name, function.get("parameters")))
    return found


def has_called(api: Api, body: Mapping[str, JSON]) -> bool:
    """Tells whether the request's conversation holds a tool call."""
    return any(item.get("tool_calls") or item.get("type") == "function_call" for item in _items(api, body))


def last_tool_result(api: Api, body: Mapping[str, JSON]) -> str | None:
    """Returns the text of the latest tool result, or None where there is none."""
    result = None
    for item in _items(api, body):
        if item.get("role") == "tool":
            result = _text(item.get("content"))
        elif item.get("type") == "function_call_output":
            result = _text(item.get("output"))
    return result


def render(reply: Reply, request: Request, serial: int) -> tuple[bytes, Bill | None]:
    """Writes the body of a reply.

    Args:
        reply: the scripted reply.
        request: the request to answer.
        serial: a number unique to the reply, for its ids.

    Returns:
        The body, and the bill unless it is a false one.
    """
    chat = request.api is Api.CHAT
    usage = reply.usage or _plausible(reply, request)
    fields = _chat(reply, request.index, serial) if chat else _response(reply, request.index, serial)
    if isinstance(usage, RawUsage):
        if usage.value is not MISSING:
            fields["usage"] = usage.value
        return _dump(fields), None
    fields["usage"] = _chat_usage(usage) if chat else _response_usage(usage)
    return _dump(fields), Bill(usage.input_tokens, usage.output_tokens)


def render_error(status: int, message: str, code: str | None = None, param: str | None = None) -> bytes:
    """Writes the body of an error in OpenAI's form."""
    kind = _ERROR_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return _dump({"error": {"message": message, "type": kind, "param": param, "code": code}})


def too_long(request: Request, window: int | None) -> Failure | None:
    """Returns the refusal of a request that does not fit a window beside its reply; None where it fits."""
    asked, room = max(1, len(request.raw) // 4), _most_output(request)
    if window is None or asked + room <= window:
        return None
    code = "context_length_exceeded"
    if request.api is Api.RESPONSES:
        said = "Your input exceeds the context window of this model. Please adjust your input and try again."
        return Failure(400, said, code, param="input")
    said = (
        f"This model's maximum context length is {window} tokens. However, you requested {asked + room} tokens "
        f"({asked} in the messages, {room} in the completion). Please reduce the length of the messages or completion."
    )
    return Failure(400, said, code, param="messages")


def render_models() -> bytes:
    """Writes the list of models: one, named `scripted`."""
    model = {"id": "scripted", "object": "model", "created": 0, "owned_by": "scripted"}
    return _dump({"object": "list", "data": [model]})


def _chat(reply: Reply, index: int, serial: int) -> dict[str, JSON]:
    message: dict[str, JSON] = {"role": "assistant", "content": reply.text, "refusal": None}
    if reply.calls:
        message["tool_calls"] = [
            {"id": id, "type": "function", "function": {"name": call.tool, "arguments": _arguments(call)}}
            for id, call in _identified(reply.calls, index)
        ]
    finish = reply.finish or ("tool_calls" if reply.calls else "stop")
    return {
        "id": f"scripted-chat-{serial}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": "scripted",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
    }


def _response(reply: Reply, index: int, serial: int) -> dict[str, JSON]:
    cut = _CUT.get(reply.finish or "")
    status = "incomplete" if cut else "completed"
    output: list[JSON] = []
    if reply.text is not None:
        text: JSON = {"type": "output_text", "text": reply.text, "annotations": [], "logprobs": []}
        message = {"id": f"scripted-message-{serial}", "type": "message", "role": "assistant"}
        output.append({**message, "status": status, "content": [text]})
    for number, (id, call) in enumerate(_identified(reply.calls, index)):
        item = {"id": f"scripted-item-{serial}-{number}", "type": "function_call", "status": status}
        output.append({**item, "call_id": id, "name": call.tool, "arguments": _arguments(call)})
    return {
        "id": f"scripted-response-{serial}",
        "object": "response",
        "created_at": int(time.time()),
        "model": "scripted",
        "status": status,
        "error": None,
        "incomplete_details": {"reason": cut} if cut else None,
        "instructions": None,
        "metadata": {},
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }


def _chat_usage(usage: Usage) -> JSON:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def _response_usage(usage: Usage) -> JSON:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def _plausible(reply: Reply, request: Request) -> Usage:
    """Bills a quarter of the bytes in each direction, and never more output than the request allows."""
    said = len((reply.text or "").encode(errors="replace"))
    said += sum(len((call.tool + _arguments(call)).encode(errors="replace")) for call in reply.calls)
    output = max(1, said // 4)
    return Usage(max(1, len(request.raw) // 4), min(output, _most_output(request) or output))


def _most_output(request: Request) -> int:
    """Returns the most output that a request allows, 0 where it sets no limit."""
    limits = [request.body.get(name) for name in ("max_output_tokens", "max_completion_tokens", "max_tokens")]
    return min((limit for limit in limits if isinstance(limit, int) and limit > 0), default=0)


def _identified(calls: Sequence[Call], index: int) -> Iterator[tuple[str, Call]]:
    for number, call in enumerate(calls):
        yield call.id or f"scripted-call-{index}-{number}", call


def _arguments(call: Call) -> str:
    return call.args if isinstance(call.args, str) else json.dumps(call.args)


def _dump(value: Mapping[str, JSON]) -> bytes:
    return json.dumps(value).encode()


def _items(api: Api, body: Mapping[str, JSON]) -> list[Mapping[str, JSON]]:
    if api is Api.CHAT:
        return _objects(body.get("messages"))
    given = body.get("input")
    return [{"role": "user", "content": given}] if isinstance(given, str) else _objects(given)


def _text(content: JSON) -> str:
    if isinstance(content, str):
        return content
    parts = (part.get("text") for part in _objects(content))
    return "\n".join(part for part in parts if isinstance(part, str))


def _object(value: JSON) -> Mapping[str, JSON]:
    return cast("Mapping[str, JSON]", value) if isinstance(value, Mapping) else {}


def _objects(value: JSON) -> list[Mapping[str, JSON]]:
    return [_object(item) for item in value] if isinstance(value, list) else []
