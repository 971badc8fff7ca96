"""Reads a text in the ways that writers may have meant it, and knows where each sign stood.

What one writer spelled, another may spell again, so that readings build on one another. Where a text can be read in two
ways, as `key=abcd` can, each way is one reading; the likely ones come first, and their number is bounded.
"""

import heapq
import itertools
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from .escapes import ALIKE, CLEAR, UNCLEAR, Escape

_ROUNDS: Final = 12
_FEWEST: Final = 8
_MOST: Final = 300
_SIGNS: Final = 4_000_000
"""Bounds of the work: so many readings at least and at most, and between them so many signs in all."""
_BLANK: Final = str.maketrans(" ", "+")


@dataclass(frozen=True)
class View:
    """One reading of a text: what was read before with one kind of escapes undone; the text itself has none."""

    text: str
    before: "View | None" = None
    kind: Escape | None = None

    def read(self, kind: Escape) -> "View":
        """Undoes one kind of escapes once."""
        read = kind.undone(self.text)
        return self if read == self.text else View(read, self, kind)

    def clear(self) -> "View":
        """Undoes all escapes that cannot be taken for anything else."""
        view = self
        for _ in range(_ROUNDS):
            before = view
            for kind in CLEAR:
                if kind is ALIKE and unicodedata.is_normalized("NFKC", view.text):
                    continue
                if kind.is_in(view.text):
                    view = view.read(kind)
            if view is before:
                break
        return view

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Returns the part of the text itself that a part of this reading was made from."""
        view, last = self, end - 1
        first, last = (start, start + 1), (last, last + 1)
        while view.before is not None:
            first, last = view.stood(first[0]), view.stood(last[1] - 1)
            view = view.before
        return first[0], last[1]

    def stood(self, at: int) -> tuple[int, int]:
        """Returns where one sign stood in the reading before."""
        index = bisect_right(self._undone, at, key=_place) - 1
        if index < 0:
            return at, at + 1
        _, end, was, ended = self._undone[index]
        return (was, ended) if at < end else (ended + at - end, ended + at - end + 1)

    @cached_property
    def _undone(self) -> list[tuple[int, int, int, int]]:
        """Lists the signs that stand for something else: their place and end here, and before."""
        undone: list[tuple[int, int, int, int]] = []
        shift = 0
        if self.before is None or self.kind is None:
            return undone
        for match in self.kind.pattern.finditer(self.before.text):
            was = match.start()
            for sign, taken in self.kind.signs(match[0]):
                here = was - shift
                undone.append((here, here + len(sign), was, was + taken))
                shift += taken - len(sign)
                was += taken
        return undone


def views(text: str, most: int = _MOST) -> Iterator[View]:
    """Yields the readings of a text, the text itself first, then the likeliest; none is yielded twice.

    Args:
        text: any text.
        most: the bound of readings.
    """
    first = View(text)
    yield first
    seen = {text}
    tried = itertools.count()
    ways: list[tuple[int, int, View, Escape | None]] = [(0, next(tried), first, None)]
    left = min(most, max(_FEWEST, _SIGNS // (len(text) + 1)))
    while ways and left:
        unlikely, _, before, kind = heapq.heappop(ways)
        view = (before.read(kind) if kind else before).clear()
        left -= 1
        if view.text not in seen:
            seen.add(view.text)
            yield view
        elif kind:
            continue
        for more, another in enumerate(kind for kind in UNCLEAR if kind.is_in(view.text)):
            heapq.heappush(ways, (unlikely + more, next(tried), view, another))


def small(text: str) -> str:
    """Returns a text in small letters, as long as it was and the same in any surroundings; a URL's `+` is a blank."""
    text = text.translate(_BLANK) if " " in text else text
    if text.isascii():
        return text.lower()
    return text.replace("\u0130", "i").replace("Σ", "σ").lower().replace("ς", "σ")


def _place(undone: tuple[int, int, int, int]) -> int:
    return undone[0]
