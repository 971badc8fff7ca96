"""Writes a request for either OpenAI API; equal requests give equal bytes on every worker."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from backstay.contracts.admission import Api, ToolSpec
from backstay.contracts.conversation import Decided, Item, ModelRequest, Observed, Said
from backstay.contracts.decision import Decision, ProposedCall
from backstay.kernel import keys
from backstay.kernel.arguments import repeated_arguments

from .dialect import Dialect
from .openai_items import Items

_LONGEST_NAME = 64
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")
_NONE: Set[str] = frozenset()


ITEMS: Mapping[Api, str] = {"chat": "messages", "responses": "input"}
"""The field of a body that holds the conversation."""


@dataclass(frozen=True, slots=True)
class CallIds:
    """The ids that earlier calls of a conversation have on the wire, by their own ids, and as a set."""

    by_call: dict[str, str] = field(default_factory=dict[str, str])
    taken: set[str] = field(default_factory=set[str])


def render(request: ModelRequest, dialect: Dialect) -> dict[str, Any]:
    """Returns the body of the request, without the model's name.

    Args:
        request: the request to write.
        dialect: how the server wants it.
    """
    items = [*first_items(request), *WireItems.of(request, dialect, request.conversation).entries()]
    return {ITEMS[request.model.api]: items, **frame(request, dialect)}


def frame(request: ModelRequest, dialect: Dialect) -> dict[str, Any]:
    """Returns the body of a request without its conversation and the model's name; it is never empty."""
    body = _chat(request, dialect) if request.model.api == "chat" else _response(request, dialect)
    if request.tools and request.offers and dialect.parallel_tool_calls is not None:
        body["parallel_tool_calls"] = dialect.parallel_tool_calls
    return body


def first_items(request: ModelRequest) -> list[dict[str, Any]]:
    """Returns what stands before the conversation: the instructions, in the chat API."""
    if request.model.api != "chat" or not request.instructions:
        return []
    return [{"role": "system", "content": _clean(request.instructions)}]


@dataclass(frozen=True, slots=True)
class WireItems:
    """Some items of a conversation as one dialect has them, and the id and the name of each call among them."""

    api: Api
    dialect: Dialect
    items: Sequence[Item]
    ids: Mapping[str, str]
    names: Mapping[str, str]
    earlier: CallIds

    @classmethod
    def of(
        cls, request: ModelRequest, dialect: Dialect, items: Sequence[Item], earlier: CallIds | None = None
    ) -> "WireItems":
        """Writes items of a request.

        Args:
            request: the request.
            dialect: how the server wants it.
            items: its conversation, or a part that begins where no note is joined to what stands before.
            earlier: the ids of calls before those items.
        """
        before = earlier or CallIds()
        offered = {tool.name: tool.shown_as for tool in request.tools}
        said = [item for item in items if not is_empty(item)]
        calls = [call for item in said if isinstance(item, Decided) for call in item.decision.calls]
        return cls(
            request.model.api,
            dialect,
            _joined(said) if dialect.notes == "joined" else said,
            wire_ids(calls, dialect.ids, before.taken),
            {call.call_id: _name(call.tool, offered) for call in calls},
            before,
        )

    def entries(self) -> list[dict[str, Any]]:
        """Returns the items as the body has them."""
        if self.api == "chat":
            return [_message(item, self) for item in self.items]
        return [entry for item in self.items for entry in _response_items(item, self)]

    def id(self, call_id: str) -> str:
        """Returns the id of a call on the wire."""
        return self.ids.get(call_id) or self.earlier.by_call.get(call_id) or keys.wire_id(call_id)


def wire_ids(calls: Iterable[ProposedCall], grammar: str, before: Set[str] = _NONE) -> dict[str, str]:
    """Returns an id for each call: the server's own where it is fit and no earlier call has it, else a made one.

    Args:
        calls: the calls of a conversation in its order, so that a later call changes no earlier id.
        grammar: the ids that the server takes, as a regular expression.
        before: the ids of calls before those.
    """
    fit = re.compile(grammar)
    ids: dict[str, str] = {}
    taken: set[str] = set()
    for call in calls:
        own = call.wire_id
        if own is None or own in taken or own in before or not fit.fullmatch(own):
            made = (keys.wire_id(call.call_id, again) for again in itertools.count())
            own = next(id for id in made if id not in taken and id not in before)
        taken.add(own)
        ids[call.call_id] = own
    return ids


def _response(request: ModelRequest, dialect: Dialect) -> dict[str, Any]:
    body: dict[str, Any] = {"instructions": _clean(request.instructions)} if request.instructions else {}
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


def _response_items(item: Item, wire: WireItems) -> Iterable[dict[str, Any]]:
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


def _chat(request: ModelRequest, dialect: Dialect) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if request.tools and request.offers:
        strict = {"strict": False} if dialect.strict else {}
        body["tools"] = [{"type": "function", "function": {**_function(tool), **strict}} for tool in request.tools]
    body[dialect.output_limit] = request.max_output_tokens
    return body


def _message(item: Item, wire: WireItems) -> dict[str, Any]:
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


def _tool_calls(decision: Decision, wire: WireItems) -> Iterable[dict[str, Any]]:
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


def is_empty(item: Item) -> bool:
    """Tells whether an item is a decision without text and calls; servers refuse an empty message."""
    return isinstance(item, Decided) and not item.decision.text and not item.decision.calls


def _name(tool: str, offered: Mapping[str, str]) -> str:
    """Returns a name that the APIs accept, so that an invented tool name does not spoil every later request."""
    return offered.get(tool) or _FOREIGN.sub("_", tool)[:_LONGEST_NAME] or "_"


def _function(tool: ToolSpec) -> dict[str, Any]:
    return {"name": tool.shown_as, "description": _clean(tool.description), "parameters": tool.parameters}


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
