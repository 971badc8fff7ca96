"""Weighs values in bytes of memory, so that a limit of memory means what it says."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import cast

_SCALARS = frozenset((str, bytes, int, float, bool, type(None)))


def weight(value: object) -> int:
    """Returns the bytes that a value and all it holds take; what it holds twice counts twice."""
    total, held = 0, [value]
    while held:
        one = held.pop()
        total += sys.getsizeof(one)
        if type(one) not in _SCALARS:
            held += _parts(one)
    return total


def _parts(value: object) -> Iterable[object]:
    if isinstance(value, str | bytes):
        return ()
    if isinstance(value, dict | Mapping):  # nearly all are dictionaries, which is quicker to see
        entries = cast("Mapping[object, object]", value)
        return [*entries.keys(), *entries.values()]
    if isinstance(value, list | tuple | set | frozenset):
        return cast("Iterable[object]", value)
    if is_dataclass(value):
        return [getattr(value, field.name) for field in fields(value)]
    return [vars(value)] if hasattr(value, "__dict__") else ()
