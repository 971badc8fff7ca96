"""Reads the kind of a model's reply: an answer, calls, or unusable."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, cast

from .events import DecisionKind


@dataclass(frozen=True, slots=True)
class Reading:
    """The kind of a reply; `problem` tells the model why an unusable one is."""

    kind: DecisionKind
    problem: str | None = None


WRITTEN = "you wrote a tool call as text, and nothing was executed; call the tool, or answer in words"
_FENCED = re.compile(r"```(?:json|tool_call)?(.*?)```|<tool_call>(.*?)(?:</tool_call>|$)", re.DOTALL)
_NAME_KEYS = ("name", "tool", "tool_name", "function")
_ARGUMENT_KEYS = ("arguments", "parameters", "args", "input")


def read_reply(
    text: str | None, calls: int, finish: str, tools: Collection[str] = (), problem: str | None = None
) -> Reading:
    """Reads a reply; a cut one is never acted upon, because its last call may be half of what was meant.

    Args:
        text: the text beside the calls.
        calls: the number of calls.
        finish: `stop`, `length` (cut) or `filtered`.
        tools: the names the model may call.
        problem: why the reply cannot be used, where that is known already.
    """
    if finish == "length":
        return Reading(DecisionKind.MALFORMED, "your reply was cut by the length limit; answer shorter")
    if finish == "filtered":
        return Reading(DecisionKind.MALFORMED, "your reply was withheld by the provider's content filter")
    if problem is not None:
        return Reading(DecisionKind.MALFORMED, problem)
    if calls:
        return Reading(DecisionKind.CALLS)
    if text and written_call(text, tools):
        return Reading(DecisionKind.MALFORMED, WRITTEN)
    if text and text.strip():
        return Reading(DecisionKind.ANSWER)
    return Reading(DecisionKind.MALFORMED, "your reply was empty; answer, or call a tool")


def written_call(text: str, tools: Collection[str]) -> bool:
    """Tells whether a text spells out a tool call as JSON, fenced or not; no user may get that as the answer."""
    fenced = [part for groups in _FENCED.findall(text) for part in groups if part.strip()]
    return any(_spells_call(part, tools) for part in (text, *fenced))


def _spells_call(text: str, tools: Collection[str]) -> bool:
    if text.strip()[:1] not in ("{", "["):
        return False
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return False
    entries = cast("list[Any]", value) if isinstance(value, list) else [value]
    return any(_is_call(cast("dict[str, Any]", entry), tools) for entry in entries if isinstance(entry, dict))


def _is_call(entry: dict[str, Any], tools: Collection[str]) -> bool:
    while isinstance(inner := entry.get("function"), dict):
        entry = cast("dict[str, Any]", inner)
    name = next((entry[key] for key in _NAME_KEYS if isinstance(entry.get(key), str)), None)
    arguments = any(key in entry for key in _ARGUMENT_KEYS)
    return arguments and name is not None and (name in tools or len(entry) == 2)
