"""Remembers what the results of a run's calls said, so that asking where a value stands takes microseconds.

Each token has a sign: a search in a string, which takes linear time, finds tokens that follow each other. What one
result says under one name is one string; a table of spans tells what free texts copy.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from . import spelling
from .leaves import Leaf, leaves_in, leaves_of
from .marks import UNKNOWN, Marks
from .mentions import Match, Mentions
from .origins import DOCUMENT, RECORD, TOOL
from .records import Records
from .spans import GAP, Copied, Spans, spans_of
from .spelling import Kind, Token
from .telling import telling
from .tokens import Placed, composed, placed

MOST_SIGNS: Final = 1_000_000
PARENT: Final = ":parent"
"""Stands for the tool where a run above told something; no tool has such a name."""
_TIMES: Final = frozenset({Kind.DATE, Kind.TIME})
_SURROGATES: Final = 0xD800
_BEHIND_SURROGATES: Final = 0xE000
_NEITHER: Final = frozenset[str]()
_NEITHER_GROUP: Final = frozenset[int]()
_RECORD: Final = frozenset({RECORD})
_DOCUMENT: Final = frozenset({DOCUMENT})
_OFTEN: Final = 8
"""The chunks from which on it is noted which groups say a sign, so that asking takes no longer in a long run."""
_SIGN_BYTES: Final = 220
_CHUNK_BYTES: Final = 150
_PLACE_BYTES: Final = 24
_OFTEN_BYTES: Final = 300


class FullError(Exception):
    """The results of a run have more different words than can be told apart."""


@dataclass(frozen=True, slots=True)
class Result:
    """One result of a run: the tool, whether the tool only reads, the arguments it got, and what the model reads.

    `labels` stand on all of it, beside the marks of the tool.
    """

    tool: str
    reads: bool
    arguments: Mapping[str, object]
    text: str
    labels: frozenset[str] = frozenset()


class Places(NamedTuple):
    """The places of a value in results: the clean fields as `tool:NAME.FIELD`, and the labels of others."""

    fields: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()


NOWHERE: Final = Places()


@dataclass(slots=True)
class _Said:
    """Holds the values of one result under one name: strings of signs, one for each value."""

    strings: list[str] = field(default_factory=list[str])
    signs: set[str] = field(default_factory=set[str])


class Past:
    """The results of one run so far."""

    def __init__(self, goal: str, marks: Mapping[str, Marks]) -> None:
        """Begins with the goal.

        Args:
            goal: the goal; what it says was copied from nowhere, and it may name records.
            marks: of each tool's results.
        """
        self.records = Records()
        self.mentions = Mentions(goal)
        self._size = 0
        self._marks = marks
        self._signs: dict[Token, str] = {}
        self._groups: dict[tuple[Places, str], int] = {}
        self._places: list[Places] = []
        self._words: list[str] = []
        self._chunks: list[tuple[str, int]] = []
        self._where: dict[str, list[int]] = {}
        self._often: dict[str, set[int]] = {}
        self._spans = Spans()
        self._spans.add(self._string(_tokens(goal)))

    @property
    def weight(self) -> int:
        """The bytes of memory that it takes, about."""
        return self._size + self._spans.weight + self.records.weight

    def add(self, result: Result) -> None:
        """Adds a result.

        Raises:
            FullError: there is no room for its words.
        """
        marks = self._marks_of(result)
        leaves = leaves_of(result.text)
        try:
            echo = self._own(result, found=leaves is not None and result.reads)
        except (ValueError, RecursionError):  # nobody can tell then which words are its own
            echo, marks = _NO_ECHO, UNKNOWN
        said: dict[int, _Said] = {}
        for leaf in leaves if leaves is not None else [Leaf((), result.text)]:
            labels = marks.labels_at(leaf.path) if leaves is not None else marks.everywhere
            word = ".".join((result.tool, *leaf.path))
            group = self._group(Places(labels=labels) if labels else Places(frozenset({TOOL + word})), TOOL + word)
            read = [spelling.exact(leaf.text)] if leaf.number else [one.token for one in placed(composed(leaf.text))]
            self._say(said.setdefault(group, _Said()), read, labels, echo)
        for group, one in said.items():
            self._keep(group, one)
        if result.reads:
            self._point(result, leaves, marks)

    def _marks_of(self, result: Result) -> Marks:
        marks = Marks() if result.tool == PARENT else self._marks.get(result.tool, UNKNOWN)
        if not result.labels:
            return marks
        # Of a child run nobody can tell which field has which label.
        return replace(marks, labels={**marks.labels, **dict.fromkeys(result.labels, ())}, clean=())

    def pointed(self, tokens: tuple[Token, ...], kind: str | None = None) -> frozenset[str]:
        """Tells whether a value is that of a `record`, or of a `document`, that the goal points to.

        Args:
            tokens: those of the value.
            kind: of the id that it is, if it is one.
        """
        found = _RECORD if self.records.has(tokens, kind) else _NEITHER
        return found | _DOCUMENT if self.records.documents(tokens) else found

    def _point(self, result: Result, leaves: Sequence[Leaf] | None, marks: Marks) -> None:
        """Takes down the records of a result, and the result itself, where the goal points to them."""
        if marks.names and leaves is not None:
            self.records.add(leaves, marks, self._names)
        named = result.arguments.get(marks.names_result) if marks.names_result else None
        if isinstance(named, str) and marks.everywhere and (self._names(named) or self.pointed(tuple(_tokens(named)))):
            texts = (
                [leaf.text for leaf in leaves if marks.labels_at(leaf.path)] if leaves is not None else [result.text]
            )
            self.records.add_document(texts)

    def _names(self, text: str) -> bool:
        return self.mentions.of_text(text) is Match.FULL

    def places(self, tokens: Sequence[Token]) -> Places:
        """Returns where a value stands: its tokens follow each other; its dates and times need only be there too.

        Args:
            tokens: those of the value, whole and in order.
        """
        return self._of(self._standing(tokens))

    def within(self, tokens: Sequence[Token]) -> frozenset[str]:
        """Returns the fields of results in which a value stands, those with labels too, for people.

        Args:
            tokens: those of the value, whole and in order.
        """
        return frozenset(self._words[group] for group in self._standing(tokens))

    def _standing(self, tokens: Sequence[Token]) -> Set[int]:
        """Returns the groups that say a value."""
        if len(tokens) == 1:
            return self._saying(tokens[0])
        signs = [self._signs.get(token) for token in tokens]
        known = [sign for sign in signs if sign is not None]
        if not known or len(known) < len(signs):
            return _NEITHER_GROUP
        pairs = zip(tokens, known, strict=True)
        return self._found("".join(sign for token, sign in pairs if token.kind not in _TIMES), known)

    def copied(self, found: Sequence[Placed]) -> list[Copied]:
        """Returns the parts of a text that stand in labelled results, and neither in the goal nor in clean ones.

        Args:
            found: the tokens of the text.
        """
        return self._spans.copied("".join([self._signs.get(one.token, GAP) for one in found]), found)

    def _own(self, result: Result, *, found: bool) -> "_Echo":
        """Returns what a call said itself: its result, where it only gives that back, vouches for nothing.

        What is `found` in records, an address or a code, is there whoever asked for it; a link or a text may only be
        given back.
        """
        telling_ones: set[Token] = set()
        spans: set[int] = set()
        for leaf in leaves_in(dict(result.arguments)):
            text = composed(leaf.text)
            read = placed(text)
            own = (one.token for one in telling(text, read))
            telling_ones.update(token for token in own if token.kind is Kind.NAME or not found)
            spans.update(spans_of(self._string(one.token for one in read)))
        return _Echo(telling_ones, spans)

    def _say(self, said: _Said, read: Sequence[Token], labels: frozenset[str], echo: "_Echo") -> None:
        """Takes down one value: its words, and the spans that it may be copied by."""
        if labels:
            echo = _NO_ECHO
        kept = [None if token in echo.telling else token for token in read]
        signs = [GAP if token is None else self._sign(token) for token in kept]
        pairs = list(zip(kept, signs, strict=True))
        said.strings.append("".join(sign for token, sign in pairs if token is None or token.kind not in _TIMES))
        said.signs.update(sign for token, sign in pairs if token is not None)
        for token in kept:
            if token is not None and token.is_unclear:
                said.signs.update(self._sign(one) for one in _meanings(token))
        self._spans.add("".join(signs), labels, echo.spans)

    def _keep(self, group: int, said: _Said) -> None:
        number = len(self._chunks)
        string = GAP.join(said.strings)
        self._chunks.append((string, group))
        for sign in said.signs:
            numbers = self._where.setdefault(sign, [])
            numbers.append(number)
            if len(numbers) > _OFTEN:
                self._often[sign].add(group)
            elif len(numbers) == _OFTEN:
                self._often[sign] = {self._chunks[one][1] for one in numbers}
                self._size += _OFTEN_BYTES
        self._size += _CHUNK_BYTES + 2 * len(string) + _PLACE_BYTES * len(said.signs)

    def _saying(self, token: Token) -> Set[int]:
        """Returns the groups that say a token; of an unclear one, all that say one of its meanings."""
        if token.is_unclear:
            return {group for one in _meanings(token) for group in self._groups_of(self._signs.get(one, GAP))}
        return self._groups_of(self._signs.get(token, GAP))

    def _groups_of(self, sign: str) -> Set[int]:
        numbers = self._where.get(sign, ())
        return self._often[sign] if len(numbers) >= _OFTEN else {self._chunks[number][1] for number in numbers}

    def _found(self, pattern: str, signs: Sequence[str]) -> Set[int]:
        """Returns the groups that say some signs together; looks through what was said until each is found once."""
        each = dict.fromkeys(signs)
        groups, *others = map(self._groups_of, each)
        most = len(set(groups).intersection(*others))
        rarest, *rest = sorted((self._where.get(sign, []) for sign in each), key=len)
        found: set[int] = set()
        for number in rarest:
            if len(found) == most:
                break
            string, group = self._chunks[number]
            if group not in found and all(_holds(one, number) for one in rest) and pattern in string:
                found.add(group)
        return found

    def _of(self, groups: Set[int]) -> Places:
        if len(groups) == 1:
            return self._places[next(iter(groups))]
        return _both([self._places[group] for group in groups]) if groups else NOWHERE

    def _string(self, read: Iterable[Token]) -> str:
        return "".join(map(self._sign, read))

    def _sign(self, token: Token) -> str:
        known = self._signs.get(token)
        if known is not None:
            return known
        number = len(self._signs) + 1
        if number > MOST_SIGNS:
            raise FullError(f"the results of the run have more than {MOST_SIGNS} different words")
        sign = chr(number if number < _SURROGATES else number - _SURROGATES + _BEHIND_SURROGATES)
        self._signs[token] = sign
        self._size += _SIGN_BYTES
        return sign

    def _group(self, places: Places, word: str) -> int:
        key = (places, word)
        if key not in self._groups:
            self._groups[key] = len(self._places)
            self._places.append(places)
            self._words.append(word)
        return self._groups[key]


class _Echo(NamedTuple):
    """The words of a call's own arguments: what leads somewhere or opens something, and the spans of its texts."""

    telling: "set[Token] | frozenset[Token]"
    spans: "set[int] | frozenset[int]"


_NO_ECHO: Final = _Echo(frozenset(), frozenset())


def _tokens(text: str) -> list[Token]:
    return [one.token for one in placed(composed(text))]


def _meanings(token: Token) -> list[Token]:
    return [token, *token.meanings()]


def _holds(ordered: Sequence[int], number: int) -> bool:
    at = bisect_left(ordered, number)
    return at < len(ordered) and ordered[at] == number


def _both(each: Sequence[Places]) -> Places:
    return Places(
        frozenset(name for one in each for name in one.fields), frozenset(name for one in each for name in one.labels)
    )
