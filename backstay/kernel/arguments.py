"""Reads the arguments a model wrote for a tool: strictly, and without ever raising."""

import json
import re
from dataclasses import dataclass
from typing import Any, cast

MAX_BYTES = 256 * 1024
MAX_DEPTH = 64
SHOWN_CHARACTERS = 200
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_UNWRITABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Arguments that are no usable JSON object; `problem` says why, and never repeats their values."""

    problem: str


def read_arguments(raw: str) -> dict[str, Any] | Unreadable:
    """Reads one JSON object, strictly: nothing is repaired, nothing is guessed.

    Refused are texts that are no object, repeat a key, nest deeper than 64, exceed 256 KiB, or hold NaN, infinity,
    a number that overflows, a NUL or half of a surrogate pair.
    """
    if len(raw.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        return Unreadable(f"the arguments are longer than {MAX_BYTES} bytes")
    if _depth(raw) > MAX_DEPTH:
        return Unreadable(f"the arguments nest deeper than {MAX_DEPTH} levels")
    try:
        value = json.loads(raw, object_pairs_hook=_object, parse_constant=_constant, parse_float=_finite)
    except _RefusedError as refused:
        return Unreadable(str(refused))
    except ValueError:
        return Unreadable("the arguments are not valid JSON")
    if not isinstance(value, dict):
        return Unreadable("the arguments are not a JSON object")
    if _unwritable(cast("object", value)):
        return Unreadable("the arguments hold a NUL character or a broken surrogate pair")
    return cast("dict[str, Any]", value)


def repeated_arguments(raw: str) -> str:
    """Returns the arguments for later requests; what is no object is wrapped in one, cut short.

    Some servers parse the arguments in their chat template, and fail where they are not JSON.
    """
    if not isinstance(read_arguments(raw), Unreadable):
        return raw
    shown = raw[:SHOWN_CHARACTERS].encode("utf-8", "replace").decode()
    return json.dumps({"_invalid_arguments": shown}, ensure_ascii=False)


class _RefusedError(ValueError):
    """JSON that Python's reader accepts and this one refuses."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = {key for key, _ in pairs}
    if len(keys) != len(pairs):
        raise _RefusedError("the arguments repeat a key")
    return dict(pairs)


def _constant(_: str) -> Any:
    raise _RefusedError("the arguments hold NaN or infinity, which JSON has not")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise _RefusedError("the arguments hold a number that overflows")
    return number


def _depth(raw: str) -> int:
    """Returns how deep a text nests, or 0 where it has too few brackets to be too deep."""
    if raw.count("[") + raw.count("{") <= MAX_DEPTH:
        return 0  # however they nest, they are not too deep
    deepest = depth = 0
    for character in _STRING.sub("", raw):
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _unwritable(value: object) -> bool:
    if isinstance(value, str):
        return _UNWRITABLE.search(value) is not None
    if isinstance(value, dict):
        entries = cast("dict[str, object]", value)
        return any(_unwritable(key) or _unwritable(entry) for key, entry in entries.items())
    if isinstance(value, list):
        return any(_unwritable(entry) for entry in cast("list[object]", value))
    return False
