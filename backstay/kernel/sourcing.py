"""Finds where the values of one call come from: the goal, registers, results of the run, or nowhere."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, cast

from . import spelling
from .marks import Roles
from .mentions import Match
from .named import digits_of, match_of
from .origins import CONFIG, PERSON, RECORD, ROLES, USER, Origin, Origins, bounded, combined
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
    quotes: dict[str, tuple[str, ...]]


_Entries = Mapping[str, Sequence[_Entry]]


@dataclass(frozen=True, slots=True)
class Finder:
    """Finds where the values of calls come from."""

    past: Past
    sourcing: Sourcing

    def origins(self, call: Spoken) -> Origins:
        """Returns the origins of a call's values."""
        entries = _entries_of(call)
        found = {name: [self._origin(one, call, name) for one in each] for name, each in entries.items()}
        roles = {role: [name for name in call.roles.of(role) if name in found] for role in ROLES}
        targets, items, texts = (combined([one for name in roles[role] for one in found[name]]) for role in ROLES)
        told = self._texts(texts_of(call, entries))
        doors = self.sourcing.doors.get(call.tool)
        return Origins(
            {name: combined(found[name]) for name in sorted(found)},
            targets,
            items,
            texts,
            carries=told.carries,
            parts=told.parts,
            copied=told.quotes,
            accepted=tuple(role for role in ROLES if _accepts(doors, found, roles[role])) if doors else (),
        )

    def _origin(self, entry: _Entry, call: Spoken, argument: str) -> Origin:
        value, words = entry.value, {PERSON} if argument in call.by_people else set[str]()
        if match_of(self.past.mentions, entry.name, value, entry.typed, entry.read) is Match.FULL:
            words.add(USER)
        tokens = [one.token for one in entry.read]
        hides = isinstance(value, str) and not is_plain(value)
        known = [] if hides else self._registers(tokens)
        words.update(CONFIG + register.name for register in known)
        if hides or len(tokens) > LONGEST:
            labels = frozenset(label for part in self.past.copied(entry.read) for label in part.labels)
        else:
            found = self.past.places(tokens)
            words |= found.fields | self.past.pointed(tokens, call.kinds.get(argument))
            labels = found.labels
        trusted = not _TRUSTED.isdisjoint(words) or any(register.org for register in known)
        return Origin(frozenset(words), labels, trusted)

    def _registers(self, tokens: Sequence[Token]) -> list[Register]:
        return [register for register in self.sourcing.registers if tokens and register.has(tokens)]

    def _texts(self, texts: Iterable[_Entry]) -> _Told:
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
        found = self.past.places([token])
        words = set(found.fields) | {CONFIG + register.name for register in self._registers([token])}
        if self.past.mentions.of_token(token) is Match.FULL:
            words.add(USER)
        return frozenset(words | self.past.pointed([token])), found.labels


def texts_of(call: Spoken, entries: _Entries) -> Iterator[_Entry]:
    """Yields the free texts of a call: of the arguments that are declared so, else of all that have no other role."""
    roles = call.roles
    for name, each in entries.items():
        if name in roles.texts or (not roles.texts and name not in roles.targets and name not in roles.items):
            yield from (entry for entry in each if isinstance(entry.value, str))


def _accepts(doors: Mapping[str, frozenset[str]], found: Mapping[str, Sequence[Origin]], names: Sequence[str]) -> bool:
    """Tells whether each entry of a role is trusted, or has a source that the agent accepts for its argument."""
    return any(name in doors for name in names) and all(
        one.trusted or not one.words.isdisjoint(doors.get(name, ())) for name in names for one in found[name]
    )


def _entries_of(call: Spoken) -> _Entries:
    """Returns the scalars of each argument that is there; a free text may have lines, which tell nothing."""
    entries: dict[str, Sequence[_Entry]] = {}
    for name, value in call.arguments.items():
        lines = _LINES if name in call.roles.texts else None
        reader = _Reader(call.fields, lines)
        if each := list(reader.scalars(name, value, call.typed.get(name))):
            entries[name] = each
    return entries


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the scalars of an argument: `fields` are names of the tool's own, `lines` what its lines become."""

    fields: frozenset[str]
    lines: Mapping[int, str] | None

    def scalars(self, name: str, value: object, typed: object) -> Iterator[_Entry]:
        """Yields the scalars of a value, and the names in it that are data; what is null is left out."""
        if isinstance(value, list):
            each = cast("list[object]", value)
            types = cast("list[object]", typed) if isinstance(typed, list) else []
            for at, one in enumerate(each):
                yield from self.scalars(name, one, types[at] if at < len(types) else None)
        elif isinstance(value, dict):
            for inner, one in cast("dict[str, object]", value).items():
                if inner not in self.fields:
                    yield self._text(name, inner, None)
                yield from self.scalars(inner, one, None)
        elif isinstance(value, str):
            yield self._text(name, value, typed)
        elif value is not None:
            digits = digits_of(value)
            read = [] if digits is None else [Placed(spelling.exact(digits), 0, len(digits))]
            yield _Entry(name, value, typed, read)

    def _text(self, name: str, value: str, typed: object) -> _Entry:
        text = value.translate(self.lines) if self.lines else value
        return _Entry(name, text, typed, placed(composed(text)))
