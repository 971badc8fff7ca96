"""Finds the records and documents that the goal points to, and what they say: a person named the whole, so its parts.

A record is an object that names itself by a clean field which stands whole in the goal, such as an entry of an address
book by its name. A document is a labelled text that the user pointed to: only what is the only one of its kind in it
counts, because whoever wrote it may have planted a second one.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final

from . import spelling
from .amounts import SHORT
from .leaves import Leaf
from .marks import Marks
from .spelling import Kind, Token
from .telling import telling
from .tokens import composed, placed

Names = Callable[[str], bool]
"""Tells whether a text stands whole in the goal."""
_ADDRESSES: Final = frozenset({Kind.MAIL, Kind.NAME, Kind.IBAN})


class Records:
    """Holds the values of the records and documents that the goal of a run points to."""

    def __init__(self) -> None:
        self._values: dict[tuple[Token, ...], set[str | None]] = {}
        self._only: set[tuple[Token, ...]] = set()

    @property
    def weight(self) -> int:
        """The bytes of memory that it takes, about."""
        return 400 * (len(self._values) + len(self._only))

    def has(self, tokens: tuple[Token, ...], kind: str | None) -> bool:
        """Tells whether a value is that of a field of a record; an id, only of a field with ids of its kind."""
        return kind in self._values.get(tokens, ())

    def documents(self, tokens: tuple[Token, ...]) -> bool:
        """Tells whether a value is the only one of its kind in a document."""
        return tokens in self._only

    def add(self, leaves: Iterable[Leaf], marks: Marks, names: Names) -> None:
        """Adds the records of a result that was read."""
        each = list(leaves)
        naming = {tuple(name.split(".")) for name in marks.names}
        named: dict[int, Leaf] = {}
        for leaf in each:
            if leaf.path in naming and leaf.inside and not marks.labels_at(leaf.path) and names(leaf.text):
                named.setdefault(leaf.inside[-1], leaf)
        if not named:
            return
        labelled: dict[int, list[str]] = defaultdict(list)
        for leaf in each:
            for record in leaf.inside:
                if record not in named or leaf is named[record]:
                    continue
                if marks.labels_at(leaf.path):
                    labelled[record].append(leaf.text)
                else:
                    self._know(leaf, marks.kind_at(leaf.path))
        for texts in labelled.values():
            self.add_document(texts)

    def add_document(self, texts: Iterable[str]) -> None:
        """Adds a labelled text that the user pointed to."""
        found: dict[Kind, set[Token]] = defaultdict(set)
        for text in map(composed, texts):
            for one in telling(text, placed(text)):
                if one.token.kind in _ADDRESSES:
                    found[one.token.kind].add(one.token)
        self._only.update(tuple(tokens) for tokens in found.values() if len(tokens) == 1)

    def _know(self, leaf: Leaf, kind: str | None) -> None:
        """Remembers a value of a record; a number, or a short word, only as an id of a declared kind."""
        tokens = (
            (spelling.exact(leaf.text),) if leaf.number else tuple(one.token for one in placed(composed(leaf.text)))
        )
        common = len(tokens) == 1 and (tokens[0].kind is Kind.NUMBER or len(tokens[0].text) <= SHORT)
        if tokens and (kind is not None or not common):
            self._values.setdefault(tokens, set()).add(kind)
