"""Writes a request for either OpenAI API; equal requests give equal bytes on every worker."""

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from backstay.contracts.admission import ToolSpec
from backstay.contracts.conversation import Decided, Item, ModelRequest, Observed, Said
from backstay.contracts.decision import Decision, ProposedCall
from backstay.kernel import keys
from backstay.kernel.arguments import repeated_arguments

from .dialect import Dialect
from .openai_items import Items

_LONGEST_NAME = 64
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")


def render(request: ModelRequest, dialect: Dialect) -> dict[str, Any]:
    """Returns the body of the request, without the model's name.

    Args:
        request: the request to write.
        dialect: how the server wants it.
    """
    wire = _Written.of(request, dialect)
    body = _chat(request, wire) if request.model.api == "chat" else _response(request, wire)
    if request.tools and request.offers and dialect.parallel_tool_calls is not None:
        body["parallel_tool_calls"] = dialect.parallel_tool_calls
    return body


@dataclass(frozen=True, slots=True)
class _Written:
    """The conversation as one dialect has it: its items, and the id and the name of each call."""

    dialect: Dialect
    items: list[Item]
    ids: dict[str, str]
    names: dict[str, str]

    @classmethod
    def of(cls, request: ModelRequest, dialect: Dialect) -> "_Written":
        """Writes the conversation of a request."""
        offered = {tool.name: tool.shown_as for tool in request.tools}
        items = [item for item in request.conversation if not _is_empty(item)]
        calls = [call for item in items if isinstance(item, Decided) for call in item.decision.calls]
        return cls(
            dialect,
            _joined(items) if dialect.notes == "joined" else items,
            wire_ids(calls, dialect.ids),
            {call.call_id: _name(call.tool, offered) for call in calls},
        )

    def id(self, call_id: str) -> str:
        """Returns the id of a call on the wire."""
        return self.ids.get(call_id) or keys.wire_id(call_id)


def wire_ids(calls: Iterable[ProposedCall], grammar: str) -> dict[str, str]:
    """Returns an id for each call: the server's own where it is fit and no earlier call has it, else a made one.

    Args:
        calls: the calls of a conversation in its order, so that a later call changes no earlier id.
        grammar: the ids that the server takes, as a regular expression.
    """
    fit = re.compile(grammar)
    ids: dict[str, str] = {}
    taken: set[str] = set()
    for call in calls:
        own = call.wire_id
        if own is None or own in taken or not fit.fullmatch(own):
            made = (keys.wire_id(call.call_id, again) for again in itertools.count())
            own = next(id for id in made if id not in taken)
        taken.add(own)
        ids[call.call_id] = own
    return ids


def _response(request: ModelRequest, wire: _Written) -> dict[str, Any]:
    dialect = wire.dialect
    body: dict[str, Any] = {"instructions": _clean(request.instructions)} if request.instructions else {}
    body["input"] = [part for item in wire.items for part in _response_items(item, wire)]
    if request.tools and request.offers:
        strict = {"strict": False} if dialect.strict else {}
        body["tools"] = [{"type": "function", **_function(tool), **strict} for tool in request.tools]
    body["max_output_tokens"] = request.max_output_tokens
    if dialect.store:
        # The provider stores nothing, so the reply must carry its reasoning for the next request to repeat it.
        body["store"] = False
    if dialect.include:
        body["include"] = ["reasoning.encrypted_content"]
    return body


def _response_items(item: Item, wire: _Written) -> Iterable[dict[str, Any]]:
    items = Items(wire.dialect.whole_items, wire.dialect.withheld)
    if isinstance(item, Said):
        return [{"role": "user", "content": _clean(item.text)}]
    if isinstance(item, Observed):
        return [items.result(wire.id(item.call_id), _clean(item.text))]
    calls = [
        (wire.id(call.call_id), wire.names[call.call_id], repeated_arguments(call.arguments))
        for call in item.decision.calls
    ]
    return items.of(item.decision, _clean(item.decision.text or ""), calls)


def _chat(request: ModelRequest, wire: _Written) -> dict[str, Any]:
    messages: list[dict[str, Any]] = []
    if request.instructions:
        messages.append({"role": "system", "content": _clean(request.instructions)})
    messages += [_message(item, wire) for item in wire.items]
    body: dict[str, Any] = {"messages": messages}
    if request.tools and request.offers:
        strict = {"strict": False} if wire.dialect.strict else {}
        body["tools"] = [{"type": "function", "function": {**_function(tool), **strict}} for tool in request.tools]
    body[wire.dialect.output_limit] = request.max_output_tokens
    return body


def _message(item: Item, wire: _Written) -> dict[str, Any]:
    if isinstance(item, Said):
        return {"role": "user", "content": _clean(item.text)}
    if isinstance(item, Observed):
        result = {"role": "tool", "tool_call_id": wire.id(item.call_id), "content": _clean(item.text)}
        named = wire.dialect.tool_name and item.call_id in wire.names
        return result | ({"name": wire.names[item.call_id]} if named else {})
    decision = item.decision
    nothing = "" if wire.dialect.empty_content == "empty" else None
    message: dict[str, Any] = {"role": "assistant", "content": _clean(decision.text) if decision.text else nothing}
    if decision.calls:
        message["tool_calls"] = list(_tool_calls(decision, wire))
    message |= _kept(decision.extra, wire.dialect)
    if wire.dialect.reasoning_content:
        message.setdefault("reasoning_content", "")
    return message


def _tool_calls(decision: Decision, wire: _Written) -> Iterable[dict[str, Any]]:
    extras = (part.extra for part in decision.parts if part.kind == "call")
    for call, extra in itertools.zip_longest(decision.calls, extras, fillvalue=None):
        if call is None:
            return
        beside = _kept(extra or {}, wire.dialect)
        inside = _kept(beside.pop("function", {}), wire.dialect)
        function = {"name": wire.names[call.call_id], "arguments": repeated_arguments(call.arguments), **inside}
        yield {"id": wire.id(call.call_id), "type": "function", "function": function, **beside}


def _kept(extra: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    return {name: value for name, value in extra.items() if name not in dialect.withheld}


def _joined(items: Iterable[Item]) -> list[Item]:
    """Joins each text of the user's side to the one or to the result before it, so that roles alternate."""
    joined: list[Item] = []
    for item in items:
        before = joined[-1] if joined else None
        if isinstance(item, Said) and isinstance(before, Said | Observed):
            joined[-1] = replace(before, text=f"{before.text}\n\n{item.text}")
        else:
            joined.append(item)
    return joined


def _is_empty(item: Item) -> bool:
    """Tells whether an item is a decision without text and calls; servers refuse an empty message."""
    return isinstance(item, Decided) and not item.decision.text and not item.decision.calls


def _name(tool: str, offered: Mapping[str, str]) -> str:
    """Returns a name that the APIs accept, so that an invented tool name does not spoil every later request."""
    return offered.get(tool) or _FOREIGN.sub("_", tool)[:_LONGEST_NAME] or "_"


def _function(tool: ToolSpec) -> dict[str, Any]:
    return {"name": tool.shown_as, "description": _clean(tool.description), "parameters": tool.parameters}


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
