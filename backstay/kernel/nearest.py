"""Finds the name that somebody meant who mistyped one: by its letters, or by its words in any order."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

_CUTOFF = 0.6
_LETTERS = 3
"""So many letters of a name tell which one it is."""
_MARKS = re.compile("[-_. ]")
_HUMP = re.compile("(?<=[a-z0-9])(?=[A-Z])")
_ENDING = re.compile("(?:ers|ed|er|es|s|d|e|r)$")
"""The endings that tell `requires`, `required` and `requester` apart from `require`, and many from one."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Returns the known name that is most like a mistyped one, whatever its case, dashes and dots; None if none is.

    A name of the same words comes first, then one of like letters, then one that holds all words that were typed.
    """
    typed, plain = _plain(name), {_plain(one): one for one in known}
    if worded := [one for one in plain.values() if _words(one) == _words(name)]:
        return worded[0]
    begun = [one for one in plain if len(typed) >= _LETTERS and one.startswith(typed)]
    if found := get_close_matches(typed, plain, 1, _CUTOFF) or begun:
        return plain[found[0]]
    return _holding(_words(name), plain.values())


def _holding(typed: list[str], known: Iterable[str]) -> str | None:
    """Returns the name with the fewest words beside those that were typed, or with the most of them; None if none."""
    told = {one for one in typed if len(one) >= _LETTERS}
    shared = {one: len(told.intersection(_words(one))) for one in known}
    near = [one for one, count in shared.items() if count and (count == len(told) or count == len(_words(one)))]
    return max(near, key=lambda one: (shared[one], -len(_words(one))), default=None)


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Returns the question that names the nearest known name; None where none is near."""
    found = nearest(name, known)
    return f"did you mean `{found}`?" if found else None


def _words(name: str) -> list[str]:
    """Returns the words of a name in the order of the alphabet, each without the ending that tells number or tense."""
    parted = _MARKS.sub(" ", _HUMP.sub(" ", name[:200])).casefold().split()
    return sorted(_ENDING.sub("", one) if len(one) > _LETTERS else one for one in parted)


def _plain(name: str) -> str:
    return _MARKS.sub("", name.casefold())[:200]
