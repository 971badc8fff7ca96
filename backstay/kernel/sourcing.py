"""Finds where the values of one call come from: the goal, registers, results of the run, or nowhere."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, cast

from .marks import Roles
from .mentions import Match
from .named import match_of, number_of
from .origins import ABSENT, CONFIG, PERSON, RECORD, ROLES, USER, Origin, Origins, bounded, combined
from .origins import MODEL as MADE_UP
from .past import Past
from .registers import Register
from .spelling import Token
from .telling import telling
from .tokens import Placed, composed, is_plain, placed

LONGEST: Final = 12
"""The most tokens of a value that results are searched for; of a longer one they tell what it copies."""
MOST_QUOTES: Final = 3
LONGEST_QUOTE: Final = 60
_NO_ROLES: Final = Roles()
_LINES: Final[Mapping[int, str]] = {ord(sign): " " for sign in "\n\r\t"}
_TRUSTED: Final = frozenset({USER, RECORD})
Doors = Mapping[str, Mapping[str, frozenset[str]]]
"""The sources that an agent accepts beyond the trusted ones: by tool, then by argument."""


@dataclass(frozen=True, slots=True)
class Sourcing:
    """Holds the values that an agent knows apart from its runs: registers, and the sources that it accepts."""

    registers: tuple[Register, ...] = ()
    doors: Doors = field(default_factory=dict[str, Mapping[str, frozenset[str]]])


@dataclass(frozen=True, slots=True)
class Spoken:
    """Describes a call to look up.

    Attributes:
        tool: the tool's name.
        arguments: as the model wrote them, in JSON.
        typed: the same in the tool's own types.
        roles: the roles of the tool's arguments.
        by_people: the arguments that a person has put in place of the model's.
        kinds: the kinds of ids, by argument.
        fields: the names that the tool's own schema gives to fields; any other name in an object is data.
    """

    tool: str
    arguments: Mapping[str, object]
    typed: Mapping[str, object] = field(default_factory=dict[str, object])
    roles: Roles = _NO_ROLES
    by_people: frozenset[str] = frozenset()
    kinds: Mapping[str, str] = field(default_factory=dict[str, str])
    fields: frozenset[str] = frozenset()


class _Entry(NamedTuple):
    """One scalar of an argument: the name that says what it is, the value, the same in the tool's type, its tokens."""

    name: str
    value: object
    typed: object
    read: list[Placed]


class _Told(NamedTuple):
    """The labels of what texts copy, the sources of what leads somewhere in them, and quotes, by argument."""

    carries: tuple[str, ...]
    parts: tuple[str, ...]
    quotes: Mapping[str, tuple[str, ...]]


_NOTHING_TOLD: Final = _Told((), (), {})


@dataclass(frozen=True, slots=True)
class Finder:
    """Finds where the values of calls come from."""

    past: Past
    sourcing: Sourcing

    def origins(self, call: Spoken) -> Origins:
        """Returns the origins of a call's values."""
        roles, found, texts = call.roles, dict[str, list[Origin]](), list[_Entry]()
        for name, value in call.arguments.items():
            lines = _LINES if name in roles.texts else None
            if entries := _entries(_Field(name, value, call.typed.get(name)), call.fields, lines):
                found[name] = [self._origin(one, call, name) for one in entries]
                if roles.is_text(name):
                    texts += [one for one in entries if isinstance(one.value, str)]
        sources = {name: combined(found[name]) for name in sorted(found)}
        told = self._texts(texts) if texts else _NOTHING_TOLD
        return Origins(
            sources,
            _over(roles.targets, found, sources),
            _over(roles.items, found, sources),
            _over(roles.texts, found, sources),
            told.carries,
            told.parts,
            self._accepted(call, found),
            told.quotes,
            {name: bounded(words) for name, each in found.items() if (words := _within(each))},
        )

    def _origin(self, entry: _Entry, call: Spoken, argument: str) -> Origin:
        words: set[str] = {PERSON} if argument in call.by_people else set()
        within = frozenset[str]()
        if isinstance(entry.value, str) and not is_plain(entry.value):
            return Origin(frozenset(words), self._labels(entry))
        if match_of(self.past.mentions, entry.name, entry.value, entry.typed, entry.read) is Match.FULL:
            words.add(USER)
        tokens, trusted = tuple([one.token for one in entry.read]), False
        for register in self.sourcing.registers:
            if register.has(tokens):
                words.add(CONFIG + register.name)
                trusted = trusted or register.org
        if len(tokens) > LONGEST:
            labels = self._labels(entry)
        else:
            fields, labels = self.past.places(tokens)
            words |= fields | self.past.pointed(tokens, call.kinds.get(argument))
            if labels and not words:
                within = self.past.within(tokens)
        return Origin(frozenset(words), labels, trusted or not _TRUSTED.isdisjoint(words), within)

    def _accepted(self, call: Spoken, found: Mapping[str, Sequence[Origin]]) -> tuple[str, ...]:
        """Returns the roles of which all values are trusted, or have a source that the agent accepts."""
        doors = self.sourcing.doors.get(call.tool)
        return tuple(role for role in ROLES if _accepts(doors, found, call.roles.of(role))) if doors else ()

    def _labels(self, entry: _Entry) -> frozenset[str]:
        """Returns the labels of what a value copies."""
        return frozenset(label for part in self.past.copied(entry.read) for label in part.labels)

    def _texts(self, texts: Sequence[_Entry]) -> _Told:
        """Tells what free texts copy, and where what leads somewhere in them comes from."""
        carries, parts, quotes = set[str](), set[str](), dict[str, tuple[str, ...]]()
        for text in texts:
            copied, whole = self.past.copied(text.read), composed(str(text.value))
            carries |= {label for part in copied for label in part.labels}
            if copied and text.name not in quotes:
                quotes[text.name] = tuple(whole[one.start : one.end][:LONGEST_QUOTE] for one in copied[:MOST_QUOTES])
            for one in telling(whole, text.read):
                words, labels = self._part(one.token)
                parts |= words or labels or {MADE_UP}
                carries |= set() if words else labels
        return _Told(tuple(sorted(carries)), bounded(parts), quotes)

    def _part(self, token: Token) -> tuple[frozenset[str], frozenset[str]]:
        """Returns where a token of a text stands, and its labels; where it stands in the clear, those do not count."""
        fields, labels = self.past.places((token,))
        words = fields | {CONFIG + register.name for register in self.sourcing.registers if register.has((token,))}
        if self.past.mentions.of_token(token) is Match.FULL:
            words |= {USER}
        return words | self.past.pointed((token,)), labels


def _over(
    names: Sequence[str], found: Mapping[str, Sequence[Origin]], sources: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    """Returns the words over all arguments of a role; over a single one they are its own."""
    if not names:
        return ABSENT
    there = [name for name in names if name in found]
    return sources[there[0]] if len(there) == 1 else combined([one for name in there for one in found[name]])


def _within(entries: Sequence[Origin]) -> frozenset[str]:
    return frozenset(word for one in entries for word in one.within)


def _accepts(doors: Mapping[str, frozenset[str]], found: Mapping[str, Sequence[Origin]], names: Sequence[str]) -> bool:
    """Tells whether each entry of a role is trusted, or has a source that the agent accepts for its argument."""
    there = [name for name in names if name in found]
    return any(name in doors for name in there) and all(
        one.trusted or not one.words.isdisjoint(doors.get(name, ())) for name in there for one in found[name]
    )


class _Field(NamedTuple):
    """A value under a name, and the same in the tool's type."""

    name: str
    value: object
    typed: object = None


def _entries(field: _Field, known: frozenset[str], lines: Mapping[int, str] | None) -> list[_Entry]:
    """Returns the scalars of a value, and the names in it that are data; what is null is left out.

    Args:
        field: the value.
        known: the names that the tool's own schema gives to fields.
        lines: what takes the place of lines: in a free text they tell nothing.
    """
    name, value, typed = field
    if isinstance(value, str):
        text = value.translate(lines) if lines else value
        return [_Entry(name, text, typed, placed(composed(text)))]
    if isinstance(value, list | dict):
        return [one for inner in _inner(field, known) for one in _entries(inner, known, lines)]
    return [] if value is None else [_Entry(name, value, typed, number_of(value))]


def _inner(field: _Field, known: frozenset[str]) -> Iterator[_Field]:
    """Yields the values of a list; of an object too, and the names in it that are data."""
    own, value, typed = field
    if isinstance(value, list):
        types = cast("list[object]", typed) if isinstance(typed, list) else []
        for at, one in enumerate(cast("list[object]", value)):
            yield _Field(own, one, types[at] if at < len(types) else None)
    else:
        for name, one in cast("dict[str, object]", value).items():
            if name not in known:
                yield _Field(own, name)
            yield _Field(name, one)
