"""Spells JSON values for digests."""

import json
from typing import Any, cast

import rfc8785

from backstay.kernel.arguments import EXACT


def canonical(value: object) -> bytes:
    """Returns the one spelling of a JSON value: RFC 8785, extended by the integers beyond 2**53, which it cannot hold.

    Such an integer is spelled as the float that equals it, or, where none does, as a text that no argument may hold.
    So equal values have one spelling, and different ones never share it.
    """
    if _is_plain(value):
        return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    return rfc8785.dumps(cast("Any", _exact(value)))


def _is_plain(value: object) -> bool:
    """Tells whether Python's own writer, which is much faster, spells a value as RFC 8785 does.

    It differs in floats, in the order of keys beyond ASCII, and in what it does with half of a surrogate pair.
    """
    kind = type(value)
    if kind is str:
        return cast("str", value).isascii()
    if kind is int:
        return abs(cast("int", value)) <= EXACT
    if kind is dict:
        entries = cast("dict[object, object]", value)
        return all(type(key) is str and _is_plain(key) and _is_plain(entry) for key, entry in entries.items())
    if kind is list:
        return all(map(_is_plain, cast("list[object]", value)))
    return value is None or kind is bool


def _exact(value: object) -> object:
    if isinstance(value, int) and abs(value) > EXACT:
        near = float(value)
        return near if int(near) == value else f"\0{value}"
    if isinstance(value, list | tuple):
        return [_exact(entry) for entry in cast("list[object]", value)]
    if isinstance(value, dict):
        return {key: _exact(entry) for key, entry in cast("dict[object, object]", value).items()}
    return value
