"""Writes a request for either OpenAI API; equal requests give equal bytes on every worker."""

import re
from collections.abc import Iterator
from typing import Any

from backstay.contracts.admission import ToolSpec
from backstay.contracts.conversation import Decided, Item, ModelRequest, Observed, Said
from backstay.contracts.decision import Decision, ProposedCall
from backstay.kernel.arguments import repeated_arguments

_LONGEST_NAME = 64
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")
# These models refuse a request for encrypted reasoning; all others accept or ignore it.
_WITHOUT_REASONING = re.compile(r"(?:.*/)?(?:ft:)?(?:gpt-3|gpt-4|chatgpt-4|gpt-5-chat)")


def render(request: ModelRequest, *, newest: bool) -> dict[str, Any]:
    """Returns the body of the request, without the model's name.

    Args:
        request: the request to write.
        newest: the server is OpenAI's own and wants `max_completion_tokens`; most others know only `max_tokens`.
    """
    return _chat(request, newest) if request.model.api == "chat" else _response(request)


def _response(request: ModelRequest) -> dict[str, Any]:
    names = _offered(request)
    body: dict[str, Any] = {"instructions": _clean(request.instructions)} if request.instructions else {}
    body["input"] = [part for item in request.conversation for part in _response_items(item, names)]
    if request.tools:
        body["tools"] = [{"type": "function", **_function(tool), "strict": False} for tool in request.tools]
    body["max_output_tokens"] = request.max_output_tokens
    # The provider stores nothing, so the reply must carry its reasoning for the next request to repeat it.
    body["store"] = False
    if not _WITHOUT_REASONING.match(request.model.name):
        body["include"] = ["reasoning.encrypted_content"]
    return body


def _response_items(item: Item, names: frozenset[str]) -> Iterator[dict[str, Any]]:
    if isinstance(item, Said):
        yield {"role": "user", "content": _clean(item.text)}
    elif isinstance(item, Observed):
        yield {"type": "function_call_output", "call_id": item.call_id, "output": _clean(item.text)}
    elif not _is_empty(item):
        decision = item.decision
        yield from (entry for entry in decision.reasoning if _is_whole(entry))
        if decision.text:
            yield {"role": "assistant", "content": _clean(decision.text)}
        for call in decision.calls:
            yield {"type": "function_call", "call_id": call.call_id, **_called(call, names)}


def _chat(request: ModelRequest, newest: bool) -> dict[str, Any]:
    names = _offered(request)
    messages: list[dict[str, Any]] = []
    if request.instructions:
        messages.append({"role": "system", "content": _clean(request.instructions)})
    messages += [_message(item, names) for item in request.conversation if not _is_empty(item)]
    body: dict[str, Any] = {"messages": messages}
    if request.tools:
        # Chat defaults `strict` to false, and several compatible servers do not know the field.
        body["tools"] = [{"type": "function", "function": _function(tool)} for tool in request.tools]
    body["max_completion_tokens" if newest else "max_tokens"] = request.max_output_tokens
    return body


def _message(item: Item, names: frozenset[str]) -> dict[str, Any]:
    if isinstance(item, Said):
        return {"role": "user", "content": _clean(item.text)}
    if isinstance(item, Observed):
        return {"role": "tool", "tool_call_id": item.call_id, "content": _clean(item.text)}
    decision: Decision = item.decision
    message: dict[str, Any] = {"role": "assistant", "content": _clean(decision.text) if decision.text else None}
    if decision.calls:
        message["tool_calls"] = [
            {"id": call.call_id, "type": "function", "function": _called(call, names)} for call in decision.calls
        ]
    return message


def _is_empty(item: Item) -> bool:
    """Tells whether an item is a decision without text and calls; servers refuse an empty message."""
    return isinstance(item, Decided) and not item.decision.text and not item.decision.calls


def _is_whole(entry: dict[str, Any]) -> bool:
    """Tells whether a reasoning item carries its content; servers refuse one that only names a stored item."""
    return bool(entry.get("encrypted_content") or entry.get("content"))


def _called(call: ProposedCall, names: frozenset[str]) -> dict[str, str]:
    return {"name": _name(call.tool, names), "arguments": repeated_arguments(call.arguments)}


def _name(tool: str, names: frozenset[str]) -> str:
    """Returns a name that the APIs accept, so that an invented tool name does not spoil every later request."""
    return tool if tool in names else _FOREIGN.sub("_", tool)[:_LONGEST_NAME] or "_"


def _offered(request: ModelRequest) -> frozenset[str]:
    return frozenset(tool.name for tool in request.tools)


def _function(tool: ToolSpec) -> dict[str, Any]:
    return {"name": tool.name, "description": _clean(tool.description), "parameters": tool.parameters}


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
