"""Says where the values of a call come from: in words, for each argument, for each role, and for what its texts copy.

Positive words hold for every entry of a list, labels and `model` for at least one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

GRAMMAR: Final = 2
"""The version of what is computed here: a what-if over old histories says which one it used."""
USER: Final = "user"
PERSON: Final = "person"
TRUSTED: Final = "trusted"
CONFIG: Final = "config:"
RECORD: Final = "record"
DOCUMENT: Final = "document"
TOOL: Final = "tool:"
MORE: Final = "tool:*"
"""Stands for the fields of results that are left out; rules that deny by a field count it as that one."""
MODEL: Final = "model"
NONE: Final = "none"
UNTRUSTED: Final = "untrusted"
SPEAKER: Final = "speaker"
"""The label of what a person said who did not ask for the run."""
OWN_WORDS: Final = frozenset({USER, PERSON, TRUSTED, RECORD, DOCUMENT, MODEL, NONE, SPEAKER})
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
    arguments of a role. Where fields of results are left out, because they are many or long, `tool:*` stands in their
    place. `carries` has the labels of what free texts copy, `parts` the sources of the addresses, links
    and codes in them. `accepted` names the roles that the agent's own settings accept. `copied` quotes what texts copy,
    by argument, for people; `within` tells them the fields of a value that stands in results with a label alone.
    `grammar` is the version of all this.
    """

    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    targets: tuple[str, ...] = ABSENT
    items: tuple[str, ...] = ABSENT
    texts: tuple[str, ...] = ABSENT
    carries: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    copied: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    within: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    grammar: int = GRAMMAR

    def unquoted(self) -> "Origins":
        """Returns the same without what only people read, as rules see it."""
        return replace(self, copied={}, within={}) if self.copied or self.within else self

    def fitting(self, room: int) -> "Origins":
        """Returns the same in about `room` bytes: with `tool:*` for the fields of results where they take more.

        Raises:
            TooLongError: it takes more even so.
        """
        if self._size() <= room:
            return self
        lean = {part: _briefly(getattr(self, part)) for part in ("targets", "items", "texts", "parts")}
        sources = {name: _briefly(words) for name, words in self.sources.items()}
        fitting = replace(self, sources=sources, copied={}, within={}, **lean)
        if fitting._size() > room:
            raise TooLongError(f"where its values come from takes more than {room} bytes")
        return fitting

    def _size(self) -> int:
        told = [*self.sources.values(), *self.copied.values(), *self.within.values()]
        parts = [*told, *(getattr(self, one) for one in PARTS[1:])]
        texts = [*self.sources, *(text for part in parts for text in part)]
        return len("".join(texts).encode("utf-8", "replace")) + 3 * len(texts)


class TooLongError(Exception):
    """A call has more values, or longer names, than its verdict can say the origins of."""


_MADE_UP: Final = frozenset({MODEL})
_TRUSTED: Final = frozenset({TRUSTED})


class Origin(NamedTuple):
    """The origin of one entry: the places where it stands, its labels, and whether the organisation trusts it.

    `within` has the fields of an entry that stands in results with a label alone.
    """

    words: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    trusted: bool = False
    within: frozenset[str] = frozenset()


def _briefly(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({MORE if word.startswith(TOOL) else word for word in words}))


def combined(entries: Sequence[Origin]) -> tuple[str, ...]:
    """Returns the words of a list, sorted; without entries it is `none`."""
    if not entries:
        return ABSENT
    words, labels, trusted, _ = entries[0]
    made_up = not words and not labels
    for entry in entries[1:]:
        words &= entry.words
        labels |= entry.labels
        trusted = trusted and entry.trusted
        made_up = made_up or not (entry.words or entry.labels)
    found = words | labels
    if made_up:
        found |= _MADE_UP
    return bounded(found | _TRUSTED if trusted else found)


def bounded(words: Iterable[str]) -> tuple[str, ...]:
    """Returns words sorted, with the first few of all fields of results, and `tool:*` where there are more."""
    ordered = tuple(sorted(words))
    fields = [word for word in ordered if word.startswith(TOOL)] if len(ordered) > MOST_FIELDS else []
    if len(fields) <= MOST_FIELDS:
        return ordered
    return tuple(sorted({MORE, *ordered}.difference(fields[MOST_FIELDS:])))
