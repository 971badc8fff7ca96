"""Finds what a server refused in a request, and the dialect to ask it in instead."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import openai

from backstay.errors import ModelError

from .dialect import Dialect
from .reported import bills_in

_REFUSED = (400, 422)
_POINTERS = ("param", "loc", "path", "field", "parameter")
# Validators quote what they were sent, which names everything.
_QUOTES = ("input", "ctx", "url", "failed_generation")
# A refusal of what the model wrote says nothing of the request, though its words may name a part of it.
_OF_THE_REPLY = re.compile(r"failed_generation|tool_use_failed|output_parse_failed|json_validate_failed")
_DEEPEST = 12


@dataclass(frozen=True, slots=True)
class Mended:
    """Another dialect to ask in, and what was refused."""

    dialect: Dialect
    refused: str


def is_refusal(error: Exception) -> bool:
    """Tells whether a server said what it refuses; `mended` needs the request's body only then."""
    return any(_told(error))


def mended(dialect: Dialect, body: dict[str, Any], error: Exception) -> Mended | None:
    """Returns a dialect without what a server refused; None where it refused something else.

    The output limit is never left out, since the hold rests on it: the other word for it is tried.

    Args:
        dialect: the dialect of the request.
        body: the request's body.
        error: what came of the request.
    """
    pointed, said = _told(error)
    switches = list(_switches(dialect, body))
    for text in (" ".join(pointed), " ".join(said)):
        found = [(match.start(), mend) for pattern, mend in switches if (match := pattern.search(text))]
        if found:
            return min(found, key=lambda one: one[0])[1]
    return None


def _switches(dialect: Dialect, body: dict[str, Any]) -> Iterator[tuple[re.Pattern[str], Mended]]:
    """Yields what the request can do without, each with the words by which a server may name it."""
    if "max_tokens" in body:
        yield _named("max_tokens"), Mended(replace(dialect, output_limit="max_completion_tokens"), "max_tokens")
    if "max_completion_tokens" in body:
        yield (
            _named("max_completion_tokens"),
            Mended(replace(dialect, output_limit="max_tokens"), "max_completion_tokens"),
        )
    if "include" in body:
        pattern = re.compile(r"\binclude\b|encrypted_content", re.I)
        yield pattern, Mended(replace(dialect, include=False), "include")
    if "store" in body:
        yield _named("store"), Mended(replace(dialect, store=False), "store")
    if "parallel_tool_calls" in body:
        yield _named("parallel_tool_calls"), Mended(replace(dialect, parallel_tool_calls=None), "parallel_tool_calls")
    if dialect.strict and "tools" in body:
        yield _named("strict"), Mended(replace(dialect, strict=False), "strict")
    if any(item.get("type") in ("message", "function_call") for item in _dicts(body.get("input"))):
        pattern = re.compile(r"\binput\W*\d+\W*(?:id|status)\b", re.I)
        refused = "ids and status of items" if dialect.whole_items else "items without ids and status"
        yield pattern, Mended(replace(dialect, whole_items=not dialect.whole_items), refused)
    yield from _of_messages(dialect, _dicts(body.get("messages")))
    yield from _of_replies(dialect, _dicts(body.get("messages")) + _dicts(body.get("input")))


def _of_messages(dialect: Dialect, messages: list[dict[str, Any]]) -> Iterator[tuple[re.Pattern[str], Mended]]:
    """Yields what the messages of the chat API can be without, or have in another form."""
    if any(message.get("role") == "tool" for message in messages):
        pattern = re.compile(
            r"function_?response\W*name|\btool\b.*\bname\b|\bname\b.*\btool\b|\bmessages\b.*\bname\b", re.I
        )
        refused = "name of a tool message" if dialect.tool_name else "tool message without a name"
        yield pattern, Mended(replace(dialect, tool_name=not dialect.tool_name), refused)
    if any(message.get("tool_calls") and not message.get("content") for message in messages):
        other = "null" if dialect.empty_content == "empty" else "empty"
        yield _named("content"), Mended(replace(dialect, empty_content=other), "content of a message of calls alone")
    spoke = [message for message in messages if message.get("role") == "assistant"]
    if any("reasoning_content" not in message for message in spoke):
        mend = replace(dialect, reasoning_content=True, withheld=dialect.withheld - {"reasoning_content"})
        yield _named("reasoning_content"), Mended(mend, "message without reasoning_content")


def _of_replies(dialect: Dialect, items: list[dict[str, Any]]) -> Iterator[tuple[re.Pattern[str], Mended]]:
    """Yields the fields that are in the request only because a reply had them."""
    calls = [call for item in items for call in _dicts(item.get("tool_calls"))]
    functions = [cast("dict[str, Any]", call["function"]) for call in calls]
    for name in sorted({name for part in (*items, *calls, *functions) for name in part} - _OWN):
        mend = replace(dialect, withheld=dialect.withheld | {name}, reasoning_content=False)
        yield _named(name), Mended(mend, name)


_OWN = {
    *("role", "content", "tool_calls", "tool_call_id", "name", "id", "type", "function", "arguments"),
    *("call_id", "output", "status", "summary", "encrypted_content"),
}
"""Fields that a request has of its own accord, or cannot be without."""


def _named(name: str) -> re.Pattern[str]:
    # Some servers spell a field as their own language does.
    spelled = re.escape(name).replace("_", "_?")
    return re.compile(rf"(?<![A-Za-z0-9_]){spelled}(?![A-Za-z0-9_])", re.I)


def _told(error: Exception) -> tuple[list[str], list[str]]:
    """Returns what an error points at and what it says; nothing where it is no refusal, or may have been billed."""
    if isinstance(error, ModelError):
        return [], [str(error)] if error.kind == "refused" and not error.billed else []
    if not isinstance(error, openai.APIStatusError) or error.status_code not in _REFUSED:
        return [], []
    # The client's own `body` leaves out what stands beside the error.
    text = error.response.text
    if _OF_THE_REPLY.search(text) or bills_in(text):
        return [], []
    pointed: list[str] = []
    said: list[str] = []
    _read(text, pointed, said, 0)
    return pointed, said


def _read(value: object, pointed: list[str], said: list[str], depth: int) -> None:
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        for key, entry in cast("dict[str, object]", value).items():
            if key in _POINTERS:
                pointed.append(_pointer(entry))
            elif key not in _QUOTES:
                _read(entry, pointed, said, depth + 1)
    elif isinstance(value, list):
        for entry in cast("list[object]", value):
            _read(entry, pointed, said, depth + 1)
    elif isinstance(value, str):
        inner = _inner(value)
        if inner is None:
            said.append(value)
        else:
            _read(inner, pointed, said, depth + 1)


def _inner(text: str) -> object:
    """Returns the JSON inside a text, as a router repeats what another server said; None where it holds none."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _pointer(entry: object) -> str:
    if isinstance(entry, list):
        return ".".join(str(part) for part in cast("Iterable[object]", entry))
    return entry if isinstance(entry, str) else ""


def _dicts(value: object) -> list[dict[str, Any]]:
    entries = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("dict[str, Any]", entry) for entry in entries if isinstance(entry, dict)]
