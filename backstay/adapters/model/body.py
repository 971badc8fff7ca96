"""Reads the JSON body of a reply into values that can be stored, and keeps the arguments of calls as they were sent."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from backstay.kernel.arguments import NAMES, is_exact

_MAX_DEPTH = 64
_MAX_DIGITS = 1_000
_ARGUMENTS = frozenset(name.casefold() for name in NAMES)
_CALL = frozenset(("name", "function"))
_UNCHANGED = frozenset((int, float, bool, type(None)))


@dataclass(frozen=True, slots=True)
class _Odd:
    """A number that no value here can hold: NaN, an infinity, or one with too many digits; `text` spells it."""

    text: str


class _Inexact(float):
    """A number that is read as the nearest float; `text` spells what was sent."""

    text: str


class _Repeating(dict[str, Any]):
    """An object that repeats a key; `pairs` has all that it was sent with."""

    pairs: list[tuple[str, Any]]


def read_body(body: bytes) -> object:
    """Reads a JSON body.

    A number that cannot be held reads as null, so that an absurd bill does not lose the reply. The arguments of a call
    that are sent as an object become the text that was sent, with its repeated keys and its odd numbers, because only
    who reads arguments may judge them.

    Raises:
        ValueError: the body is not JSON, or nests too deep to be stored.
        RecursionError: the body nests too deep to be read.
    """
    text = body.decode("utf-8-sig")
    value = json.loads(text, parse_int=_integer, parse_float=_real, parse_constant=_Odd, object_pairs_hook=_object)
    return _plain(value)


def spelled(value: object) -> str:
    """Writes a value as JSON, as it was sent."""
    if isinstance(value, _Odd | _Inexact):
        return value.text
    if isinstance(value, dict):
        sent = value.pairs if isinstance(value, _Repeating) else cast("dict[str, object]", value).items()
        return "{" + ", ".join(f"{_quoted(key)}: {spelled(entry)}" for key, entry in sent) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(spelled, cast("list[object]", value))) + "]"
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    # Half of a surrogate pair stays an escape, which the reader of arguments refuses.
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def _integer(digits: str) -> int | _Odd:
    return int(digits) if len(digits) <= _MAX_DIGITS else _Odd(digits)


def _real(text: str) -> float | _Odd:
    number = float(text)
    if not math.isfinite(number):
        return _Odd(text)
    if is_exact(text, number):
        return number
    inexact = _Inexact(number)
    inexact.text = text
    return inexact


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        found = _Repeating(found)
        found.pairs = pairs
    return found


def _plain(value: object, depth: int = 0) -> object:
    """Returns a value that can be stored: null for odd numbers, and no character that UTF-8 cannot hold."""
    if depth > _MAX_DEPTH:
        raise ValueError("nests too deep")
    kind = type(value)  # looked at first, because a reply is mostly these, and `isinstance` is dear in a busy worker
    if kind is str:
        text = cast("str", value)
        return text if text.isascii() else text.encode("utf-8", "replace").decode()
    if kind in _UNCHANGED:
        return value
    if isinstance(value, _Odd):
        return None
    if isinstance(value, _Inexact):
        return float(value)
    if isinstance(value, list):
        return [_plain(entry, depth + 1) for entry in cast("list[object]", value)]
    if isinstance(value, dict):
        return dict(_entries(cast("dict[str, object]", value), depth))
    return value


def _entries(sent: dict[str, object], depth: int) -> Iterable[tuple[str, object]]:
    is_call = not sent.keys().isdisjoint(_CALL)
    for key, entry in sent.items():
        is_argument = is_call and key.casefold() in _ARGUMENTS and not isinstance(entry, str | None)
        yield cast("str", _plain(key)), _plain(spelled(entry) if is_argument else entry, depth + 1)
