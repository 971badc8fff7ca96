"""Compares names of tools with patterns in which `*` stands for any characters."""

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

ANY = "*"
Value = TypeVar("Value")


def is_pattern(text: str) -> bool:
    """Tells whether a text may fit several names."""
    return ANY in text


def fits(pattern: str, name: str) -> bool:
    """Tells whether a name fits a pattern, case and all."""
    # Part by part, because a regular expression with many stars may take for ever on a name that a server chose.
    first, *rest = pattern.split(ANY)
    if not rest:
        return first == name
    *middle, last = rest
    if not name.startswith(first) or not name.endswith(last) or len(name) < len(first) + len(last):
        return False
    at, end = len(first), len(name) - len(last)
    for part in middle:
        found = name.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def all_fitting(patterns: Mapping[str, Value], name: str) -> list[Value]:
    """Returns the values of all patterns that a name fits, in the order written."""
    return [value for pattern, value in patterns.items() if fits(pattern, name)]


def nearest_fitting(patterns: Mapping[str, Value], name: str) -> list[Value]:
    """Returns the values of the patterns that say the most about a name.

    Returns:
        The value of the name itself, else of the pattern with the most characters beside its stars, of several where
        they have equally many; nothing where the name fits none.
    """
    found = [pattern for pattern in patterns if fits(pattern, name)]
    most = max(map(_weight, found), default=0)
    return [patterns[pattern] for pattern in found if _weight(pattern) == most]


def idle(patterns: Iterable[str], names: Iterable[str]) -> list[str]:
    """Returns the patterns that no name fits."""
    known = list(names)
    return [pattern for pattern in patterns if not any(fits(pattern, name) for name in known)]


def _weight(pattern: str) -> int:
    return 2 * len(re.sub(r"\*", "", pattern)) + (not is_pattern(pattern))
