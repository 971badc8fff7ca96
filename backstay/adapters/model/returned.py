"""Keeps the fields of a reply that nobody here reads, so that the server gets them back as it sent them."""

import json
import logging
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, cast

from backstay.contracts.decision import LONGEST_WIRE_ID, Decision, Part
from backstay.kernel.arguments import NAMES

from .reported import fields_of

MAX_EXTRA = 200_000

_LOG = logging.getLogger("backstay.model")
_USABLE_ID = re.compile(rf"[!-~]{{1,{LONGEST_WIRE_ID}}}")

# What is read and written anew, and what only a reply has.
MESSAGE = frozenset(
    ("role", "content", "tool_calls", "refusal", "annotations", "audio", "function_call", "parsed", "index", "id")
)
CALL = frozenset(("id", "type", "function", "index", "name", "parsed_arguments", *NAMES))
FUNCTION = frozenset(("name", "parsed_arguments", *NAMES))
OUTPUT_MESSAGE = frozenset(("id", "type", "role", "status", "content"))
OUTPUT_CALL = frozenset(
    ("id", "type", "call_id", "name", "function", "parsed_arguments", "status", "created_by", "output", "error", *NAMES)
)
REASONING = ("type", "id", "summary", "content", "encrypted_content")
_PLAIN = ("text", "output_text", "refusal")


def beyond(fields: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Returns the fields that are not known, without nulls: a null says nothing, and some servers refuse it."""
    return {name: value for name, value in fields.items() if name not in known and value is not None}


def message_extra(message: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what an assistant's chat message carries beyond the known fields.

    Content of parts stays whole where one of them is no text: some servers send their thinking so.
    """
    extra = beyond(message, MESSAGE)
    content = message.get("content")
    if isinstance(content, list) and any(_is_opaque(part) for part in cast("list[object]", content)):
        extra["content"] = content
    return extra


def call_extra(call: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a call of a chat message carries beyond the known fields; `function` holds what stands there."""
    extra = beyond(call, CALL)
    inside = beyond(fields_of(call.get("function")), FUNCTION)
    return extra | ({"function": inside} if inside else {})


def usable_id(id: object) -> str | None:
    """Returns the server's id of a call; None where it gave none, or one that no request should repeat."""
    return id if isinstance(id, str) and _USABLE_ID.fullmatch(id) else None


def bounded(decision: Decision) -> Decision:
    """Returns the decision, without any of its extra fields where all together are too long to be kept."""
    extras: Iterable[dict[str, Any]] = (decision.extra, *(part.extra for part in decision.parts))
    size = sum(len(json.dumps(extra, ensure_ascii=False).encode()) for extra in extras if extra)
    if size <= MAX_EXTRA:
        return decision
    _LOG.warning("the reply carries %d bytes of extra fields, over %d: none is kept or sent back", size, MAX_EXTRA)
    parts = [Part(kind=part.kind, length=part.length) for part in decision.parts]
    return decision.model_copy(update={"extra": {}, "parts": parts})


def _is_opaque(part: object) -> bool:
    return fields_of(part).get("type") not in _PLAIN
