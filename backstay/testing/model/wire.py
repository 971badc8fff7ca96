"""The two OpenAI APIs as bytes: what a request says, and how a scripted reply is written.

The readers accept any JSON object and pass over what they do not know. The writers produce what the official
client parses into its typed objects; ids and the model's name say `scripted`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from .script import JSON, MISSING, Api, Call, RawUsage, Reply, Usage

_CUT = {"length": "max_output_tokens", "content_filter": "content_filter"}
_CALL_TYPES = ("function_call", "reasoning")
_ERROR_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


@dataclass(frozen=True, slots=True)
class OfferedTool:
    """A function the request offers to the model, with its JSON schema as sent."""

    name: str
    parameters: JSON


@dataclass(frozen=True, slots=True)
class Bill:
    """The tokens a reply was honestly billed for."""

    input_tokens: int
    output_tokens: int


def goal_of(api: Api, body: Mapping[str, JSON]) -> str:
    """Return the text of the first user message, or an empty text."""
    for item in _items(api, body):
        if item.get("role") == "user":
            return _text(item.get("content"))
    return ""


def assistant_turns(api: Api, body: Mapping[str, JSON]) -> int:
    """Return how many decisions the request already carries.

    Chat: its assistant messages. Responses: its groups of consecutive assistant items.
    """
    turns = 0
    inside = False
    for item in _items(api, body):
        own = item.get("role") == "assistant" or item.get("type") in _CALL_TYPES
        turns += own and not (inside and api is Api.RESPONSES)
        inside = own
    return turns


def offered_tools(api: Api, body: Mapping[str, JSON]) -> list[OfferedTool]:
    """Return the function tools the request offers, in their order."""
    found: list[OfferedTool] = []
    for tool in _objects(body.get("tools")):
        function = _object(tool.get("function")) if api is Api.CHAT else tool
        name = function.get("name")
        if tool.get("type") == "function" and isinstance(name, str):
            found.append(OfferedTool(name, function.get("parameters")))
    return found


def has_called(api: Api, body: Mapping[str, JSON]) -> bool:
    """Tell whether the request's conversation holds a tool call."""
    return any(item.get("tool_calls") or item.get("type") == "function_call" for item in _items(api, body))


def last_tool_result(api: Api, body: Mapping[str, JSON]) -> str | None:
    """Return the text of the latest tool result, or None where there is none."""
    result = None
    for item in _items(api, body):
        if item.get("role") == "tool":
            result = _text(item.get("content"))
        elif item.get("type") == "function_call_output":
            result = _text(item.get("output"))
    return result


def render(
    api: Api, reply: Reply, body: Mapping[str, JSON], size: int, index: int, serial: int
) -> tuple[bytes, Bill | None]:
    """Return the body of a reply and its bill; a bill that lies counts as none.

    `size` is the request's size in bytes, `index` the decision's place, `serial` a number unique to the
    reply.
    """
    usage = reply.usage or _plausible(reply, body, size)
    fields = _chat(reply, index, serial) if api is Api.CHAT else _response(reply, index, serial)
    if isinstance(usage, RawUsage):
        if usage.value is not MISSING:
            fields["usage"] = usage.value
        return _dump(fields), None
    fields["usage"] = _chat_usage(usage) if api is Api.CHAT else _response_usage(usage)
    return _dump(fields), Bill(usage.input_tokens, usage.output_tokens)


def render_error(status: int, message: str, code: str | None = None) -> bytes:
    """Return the body of an error, as OpenAI writes it."""
    kind = _ERROR_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return _dump({"error": {"message": message, "type": kind, "param": None, "code": code}})


def render_models() -> bytes:
    """Return the list of models: one, named `scripted`."""
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


def _plausible(reply: Reply, body: Mapping[str, JSON], size: int) -> Usage:
    """Bill a quarter of the bytes in each direction, and never more output than the request allows."""
    said = len((reply.text or "").encode(errors="replace"))
    said += sum(len((call.tool + _arguments(call)).encode(errors="replace")) for call in reply.calls)
    output = max(1, said // 4)
    for name in ("max_output_tokens", "max_completion_tokens", "max_tokens"):
        limit = body.get(name)
        if isinstance(limit, int) and limit > 0:
            output = min(output, limit)
    return Usage(max(1, size // 4), output)


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
