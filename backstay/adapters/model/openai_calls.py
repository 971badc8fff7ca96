"""Reads the calls in a reply, as servers write them: a bad one among them loses none of the good ones."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from backstay.kernel.arguments import NAMES, is_empty

from .reported import fields_of

MOST_CALLS = 500
_MAX_NAME = 200
_MAX_ARGUMENTS = 300_000
_MAX_SHOWN = 40
_ARGUMENTS = frozenset(name.casefold() for name in (*NAMES, "parsed_arguments"))
_OWN = frozenset(("function", "name", "index", "status", "created_by", "output", "error")) | {
    *("extra_content", "description", "strict")
}
# Names of what servers put beside a call: ids, kinds, times, and their own signatures over it.
_BESIDE = re.compile(
    r"(?:^|_)(?:id|type|kind|object|role|phase|time|at|signature|caller|namespace|cache_control)$|specific"
)

_NONE = re.compile(r"[ \t\n\r]*\{[ \t\n\r]*\}[ \t\n\r]*")


@dataclass(frozen=True, slots=True)
class WrittenCall:
    """A call as the reply has it.

    Attributes:
        name: empty where it names no tool.
        arguments: their text, empty where it has none.
        id: the server's.
        raw: all of its fields.
        problem: why its arguments cannot be told; None where they can.
    """

    name: str
    arguments: str
    id: object
    raw: dict[str, Any]
    problem: str | None = None


def written_calls(value: object) -> list[WrittenCall]:
    """Reads the `tool_calls` of a chat message, or the calls of a response: a list, or one call, or none.

    Returns:
        The calls in order, at most 500. What is null or empty was no call; anything else is one, if only a bad one.
    """
    return [_written(entry) for entry in _entries(value) if entry not in (None, "", {}, [])][:MOST_CALLS]


def _entries(value: object) -> list[object]:
    if isinstance(value, list):
        return cast("list[object]", value)
    fields = fields_of(value)
    if fields and all(isinstance(entry, dict | None) for entry in fields.values()) and "function" not in fields:
        return list(fields.values())  # calls by their index
    return [value]


def _written(entry: object) -> WrittenCall:
    fields = fields_of(entry)
    function: Any = fields.get("function")
    inner = fields_of(function)
    name = function if isinstance(function, str) else (inner or fields).get("name")
    problem, arguments = None, ""
    try:
        arguments = _arguments([inner, fields])
    except _UntoldError as untold:
        problem, arguments = str(untold), _text(untold.found)
    id = fields.get("call_id") or fields.get("id")
    name = name[:_MAX_NAME] if isinstance(name, str) else ""
    return WrittenCall(name, arguments[:_MAX_ARGUMENTS], id, fields, problem)


class _UntoldError(ValueError):
    """Nobody can tell the arguments of a call; `found` is what may have been meant."""

    def __init__(self, problem: str, found: object) -> None:
        super().__init__(problem)
        self.found = found


def _arguments(places: Iterable[dict[str, Any]]) -> str:
    """Returns the text of a call's arguments, from wherever the server has put them.

    They stand under their proper name, or under another that servers use. A call without any has no arguments, unless
    something stands there that may be them: a tool would then run with its defaults.

    Args:
        places: the objects in which arguments may stand.

    Raises:
        _UntoldError: they stand there twice, and differ, or under a name that nobody knows.
    """
    fields = [(name, value) for place in places for name, value in place.items() if not _is_blank(value)]
    named = [(name, value) for name, value in fields if name.casefold() in _ARGUMENTS]
    proper = [_text(value) for name, value in named if name.casefold() == NAMES[0]]
    filled = [text for text in proper if not _says_none(text)]
    others = [_text(value) for _, value in named if not _says_none(_text(value))]
    found = list(dict.fromkeys(filled or others))
    if len(found) > 1:
        found = list(dict.fromkeys(map(_plain, found)))
    if len(found) > 1 or (proper and not filled and found):
        words = " and ".join(f"`{name[:_MAX_SHOWN]}`" for name, _ in named)
        raise _UntoldError(f"the call has arguments twice ({words}), and they differ", dict(named))
    if found or proper:
        return (filled or others or proper)[0]
    if strays := {name: value for name, value in fields if _may_be_arguments(name, value)}:
        words = ", ".join(f"`{name[:_MAX_SHOWN]}`" for name in strays)
        raise _UntoldError(f"the call has no `arguments` but {words}; write its arguments as `arguments`", strays)
    return ""


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and is_empty(value))


def _says_none(text: str) -> bool:
    """Tells whether a text says that there are no arguments."""
    return _NONE.fullmatch(text) is not None


def _may_be_arguments(name: str, value: object) -> bool:
    """Tells whether a field may hold a call's arguments, or one of them, because it is none of the call's own."""
    folded = name.casefold()
    return folded not in _OWN and _BESIDE.search(folded) is None and value not in ([], {})


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _plain(text: str) -> str:
    """Returns a text of JSON in one spelling, and another text as it is."""
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except (ValueError, RecursionError):
        return text
