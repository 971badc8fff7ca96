"""Writes a request in the words of either OpenAI API; the same request is the same bytes, whoever sends it."""

import re
from collections.abc import Iterator
from typing import Any

from backstay.contracts.admission import ToolSpec
from backstay.contracts.conversation import Decided, Item, ModelRequest, Observed, Said
from backstay.contracts.decision import Decision, ProposedCall
from backstay.kernel.arguments import repeated_arguments

_LONGEST_NAME = 64
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")
# These refuse a request that asks for encrypted reasoning; every other model ignores or serves it.
_WITHOUT_REASONING = re.compile(r"(?:.*/)?(?:ft:)?(?:gpt-3|gpt-4|chatgpt-4|gpt-5-chat)")


def render(request: ModelRequest, *, newest: bool) -> dict[str, Any]:
    """The body of the request, without the model's name.

    `newest` is whether the server is OpenAI's own: it wants `max_completion_tokens`, where most compatible servers
    know `max_tokens` only.
    """
    return _chat(request, newest) if request.model.api == "chat" else _response(request)


def _response(request: ModelRequest) -> dict[str, Any]:
    names = _offered(request)
    body: dict[str, Any] = {"instructions": _clean(request.instructions)} if request.instructions else {}
    body["input"] = [part for item in request.conversation for part in _response_items(item, names)]
    if request.tools:
        body["tools"] = [{"type": "function", **_function(tool), "strict": False} for tool in request.tools]
    body["max_output_tokens"] = request.max_output_tokens
    # What is not stored must carry its own reasoning, or the next request cannot refer to it.
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
        # `strict` is false by default here, and unknown to several compatible servers.
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
    """Whether an item is a decision that says nothing: servers refuse the message it would be."""
    return isinstance(item, Decided) and not item.decision.text and not item.decision.calls


def _is_whole(entry: dict[str, Any]) -> bool:
    """Whether a reasoning item carries its content; one that only refers to the provider's store is refused."""
    return bool(entry.get("encrypted_content") or entry.get("content"))


def _called(call: ProposedCall, names: frozenset[str]) -> dict[str, str]:
    return {"name": _name(call.tool, names), "arguments": repeated_arguments(call.arguments)}


def _name(tool: str, names: frozenset[str]) -> str:
    """A name as the APIs allow it: one that a model made up must not make every later request invalid."""
    return tool if tool in names else _FOREIGN.sub("_", tool)[:_LONGEST_NAME] or "_"


def _offered(request: ModelRequest) -> frozenset[str]:
    return frozenset(tool.name for tool in request.tools)


def _function(tool: ToolSpec) -> dict[str, Any]:
    return {"name": tool.name, "description": _clean(tool.description), "parameters": tool.parameters}


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
