"""Tells which parts of a text are copied from others: four tokens in a row that stand in labelled texts alone.

A text comes here as a string with one sign for each of its tokens; a gap is a token that cannot be copied.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from .tokens import Placed

SPAN: Final = 4
"""The tokens that a text must have in common with another one, in a row, to be copied from it."""
GAP: Final = "\0"
"""The sign of a token that no text has."""
_CLEAN: Final = 1
_SPAN_BYTES: Final = 104
_NOTHING: Final = frozenset[int]()


class Copied(NamedTuple):
    """A part of a text that stands in labelled results: where it begins and ends, and their labels."""

    start: int
    end: int
    labels: frozenset[str]


class Spans:
    """The spans of all texts so far, each with the labels of the texts that it stands in."""

    def __init__(self) -> None:
        self._masks: dict[int, int] = {}
        self._labels: dict[str, int] = {}

    @property
    def weight(self) -> int:
        """The bytes of memory that it takes, about."""
        return _SPAN_BYTES * len(self._masks)

    def add(self, string: str, labels: Iterable[str] = (), without: "frozenset[int] | set[int]" = _NOTHING) -> None:
        """Adds a text.

        Args:
            string: its signs.
            labels: its labels; what stands in a text without any is copied from nowhere.
            without: the spans that do not count in it.
        """
        mask = sum(1 << self._labels.setdefault(label, len(self._labels) + 1) for label in labels) or _CLEAN
        masks = self._masks
        for span in spans_of(string):
            if span not in without:
                masks[span] = masks.get(span, 0) | mask

    def copied(self, string: str, found: Sequence[Placed]) -> list[Copied]:
        """Returns the parts of a text that are copied from labelled ones.

        Args:
            string: its signs.
            found: its tokens, one for each sign.
        """
        parts: list[Copied] = []
        for at in range(len(string) - SPAN + 1):
            mask = self._masks.get(hash(string[at : at + SPAN]), 0)
            if mask and not mask & _CLEAN:
                labels = frozenset(label for label, place in self._labels.items() if mask >> place & 1)
                _join(parts, Copied(found[at].start, found[at + SPAN - 1].end, labels))
        return parts


def spans_of(string: str) -> Iterator[int]:
    """Yields the spans of a text, each as a number; one with a gap is none."""
    for at in range(len(string) - SPAN + 1):
        span = string[at : at + SPAN]
        if GAP not in span:
            yield hash(span)


def _join(parts: list[Copied], part: Copied) -> None:
    """Adds a part, or lengthens the last one where they overlap and are of one kind."""
    if parts and part.start <= parts[-1].end and part.labels == parts[-1].labels:
        parts[-1] = Copied(parts[-1].start, part.end, part.labels)
    else:
        parts.append(part)
