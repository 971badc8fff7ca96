"""Takes the text of a tool's result apart: each value of its JSON, with the names that lead there."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from .marks import Path
from .named import digits_of

_DEEPEST = 100


class Leaf(NamedTuple):
    """One value: the names that lead to it, without places in lists, and its text; a number has its digits.

    `inside` tells the objects apart that hold it, from the outermost to the one that it is a field of.
    """

    path: Path
    text: str
    number: bool = False
    inside: tuple[int, ...] = ()


def leaves_of(text: str) -> list[Leaf] | None:
    """Returns the values of a JSON object or list; None for plain text, and for what cannot be read in one way only."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        value: object = json.loads(text, object_pairs_hook=_once)
        return list(leaves_in(value))
    except (ValueError, RecursionError):
        return None


def leaves_in(value: object, path: Path = (), inside: tuple[int, ...] = (), depth: int = 0) -> Iterator[Leaf]:
    """Yields the values of what JSON holds; a name that no program gives a field counts too: it may be data.

    Raises:
        ValueError: it nests too deeply.
    """
    if depth > _DEEPEST:
        raise ValueError("nests too deeply")
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        inside = (*inside, id(fields))
        for name, inner in fields.items():
            if not name.isidentifier():
                yield Leaf((*path, name), name, inside=inside)
            yield from leaves_in(inner, (*path, name), inside, depth + 1)
    elif isinstance(value, list):
        for inner in cast("list[object]", value):
            yield from leaves_in(inner, path, inside, depth + 1)
    elif isinstance(value, str):
        yield Leaf(path, value, inside=inside)
    elif (digits := digits_of(value)) is not None:
        yield Leaf(path, digits, number=True, inside=inside)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuses an object with one name twice: whoever reads it next may take the other value."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found
