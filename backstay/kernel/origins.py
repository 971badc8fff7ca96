"""Says where the values of a call come from: in words, for each argument, for each role, and for what its texts copy.

Positive words hold for every entry of a list, labels and `model` for at least one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

GRAMMAR: Final = 1
"""The version of what is computed here: a what-if over old histories says which one it used."""
USER: Final = "user"
PERSON: Final = "person"
TRUSTED: Final = "trusted"
CONFIG: Final = "config:"
RECORD: Final = "record"
DOCUMENT: Final = "document"
TOOL: Final = "tool:"
MODEL: Final = "model"
NONE: Final = "none"
UNTRUSTED: Final = "untrusted"
OWN_WORDS: Final = frozenset({USER, PERSON, TRUSTED, RECORD, DOCUMENT, MODEL, NONE})
"""The words that mean something here, so that no label may have them."""
ROLES: Final = ("targets", "items", "texts")
PARTS: Final = ("sources", *ROLES, "carries", "parts", "accepted")
"""The parts of a call's context that are computed here."""
MOST_FIELDS: Final = 8
"""The most fields of results that one value is said to stand in: a value such as `yes` stands in all of them."""
ABSENT: Final = (NONE,)


@dataclass(frozen=True, slots=True)
class Origins:
    """The origins of a call's values, as rules read them and histories keep them; an argument left out is `none`.

    `sources` has the words of each argument that is there. `targets`, `items` and `texts` are the same over all
    arguments of a role. `carries` has the labels of what free texts copy, `parts` the sources of the addresses, links
    and codes in them. `accepted` names the roles that the agent's own settings accept. `copied` quotes what texts copy,
    by argument, for people. `grammar` is the version of all this.
    """

    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    targets: tuple[str, ...] = ABSENT
    items: tuple[str, ...] = ABSENT
    texts: tuple[str, ...] = ABSENT
    carries: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    copied: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    grammar: int = GRAMMAR

    def unquoted(self) -> "Origins":
        """Returns the same without quotes, as rules see it."""
        return replace(self, copied={}) if self.copied else self

    def fitting(self, room: int) -> "Origins":
        """Returns the same in about `room` bytes: without the fields of results where they take more.

        Raises:
            TooLongError: it takes more even so.
        """
        if self._size() <= room:
            return self
        lean = {part: _named(getattr(self, part)) for part in ("targets", "items", "texts", "parts")}
        fitting = replace(
            self, sources={name: _named(words) for name, words in self.sources.items()}, copied={}, **lean
        )
        if fitting._size() > room:
            raise TooLongError(f"where its values come from takes more than {room} bytes")
        return fitting

    def _size(self) -> int:
        quotes = [text for each in self.copied.values() for text in each]
        words = [word for part in (*self.sources.values(), *(getattr(self, one) for one in PARTS[1:])) for word in part]
        return sum(len(text.encode("utf-8", "replace")) + 3 for text in (*self.sources, *words, *quotes))


class TooLongError(Exception):
    """A call has more values, or longer names, than its verdict can say the origins of."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of one entry: the places where it stands, its labels, and whether the organisation trusts it."""

    words: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    trusted: bool = False


def _named(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for word in words if not word.startswith(TOOL))


def combined(entries: Sequence[Origin]) -> tuple[str, ...]:
    """Returns the words of a list, sorted; without entries it is `none`."""
    if not entries:
        return ABSENT
    if len(entries) == 1:
        found = {*entries[0].words, *entries[0].labels}
    else:
        found = set(entries[0].words).intersection(*(entry.words for entry in entries))
        found |= {label for entry in entries for label in entry.labels}
    if any(not entry.words and not entry.labels for entry in entries):
        found.add(MODEL)
    if all(entry.trusted for entry in entries):
        found.add(TRUSTED)
    return bounded(found)


def bounded(words: Iterable[str]) -> tuple[str, ...]:
    """Returns words sorted, with the first few of all fields of results."""
    ordered = sorted(words)
    if len(ordered) <= MOST_FIELDS:
        return tuple(ordered)
    fields = [word for word in ordered if word.startswith(TOOL)]
    return tuple(word for word in ordered if word not in fields[MOST_FIELDS:])
