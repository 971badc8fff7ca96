"""Tells which values stand in a text, such as the goal of a run, as a whole and not as a piece of something else.

It is a heuristic of words, and no understanding. A value that is unclear in one of the two spellings, such as `1.500`,
that is short, or that stands in a sentence with a word such as `never`, is a weak match.
"""

import bisect
import re
from collections.abc import Iterable, Sequence
from typing import Final

from . import spelling
from .amounts import REFERENCES, SHORT, Match, amount_matches, is_common, is_money, is_reference, meanings
from .denials import denied
from .spelling import Kind, Token
from .tokens import Placed, composed, is_plain, placed

__all__ = ["REFERENCES", "Match", "Mentions"]

_TIMES: Final = frozenset({Kind.DATE, Kind.TIME})
_NOTHING: Final = "\0"
"""The sign of a token that no value has."""
_QUOTED: Final = re.compile(
    r"(?<!\w)(?:\"(?P<a>[^\"\n]{1,200})\"|'(?P<b>[^'\n]{1,200})'|“(?P<c>[^“”\n]{1,200})”|„(?P<d>[^„“”\n]{1,200})[“”]"
    r"|«(?P<e>[^«»\n]{1,200})»|‘(?P<f>[^‘’\n]{1,200})’|`(?P<g>[^`\n]{1,200})`)(?!\w)"
)


class Mentions:
    """The tokens of one text of up to a megabyte, indexed once, so that asking for a value takes microseconds."""

    def __init__(self, text: str) -> None:
        text = composed(text)
        found = placed(text)
        self._times: dict[Token, Match] = {}
        self._numbers: dict[Token, Match] = {}
        self._amounts: dict[Token, Match] = {}
        self._signs: dict[Token, str] = {}
        taken_back = denied(text, found)
        for at, match in amount_matches(text, found).items():
            match = Match.WEAK if taken_back[at] else match
            _keep(self._amounts, found[at].token, match)
            for one in meanings(found[at].token):
                _keep(self._amounts, one, match)
        for at in range(len(found)):
            self._index(found, at, Match.WEAK if taken_back[at] else Match.FULL)
        # One sign for each token: a search in a string, which takes linear time, finds tokens that follow each other.
        in_order = [(token, said) for token, said in _whole(text, found, taken_back) if token.kind not in _TIMES]
        self._all = "".join(self._signs.setdefault(token, chr(len(self._signs) + 1)) for token, _ in in_order)
        self._said = "".join(self._signs[token] if said else _NOTHING for token, said in in_order)
        self._words: dict[Token, Match] = {}
        for token, said in in_order:
            self._words[token] = Match.FULL if said or self._words.get(token) is Match.FULL else Match.WEAK

    def of_text(self, value: str, read: Sequence[Placed] | None = None) -> Match:
        """Tells how a text stands here: its tokens follow each other; its dates and times need only be here.

        A value with hidden or control signs stands nowhere.

        Args:
            value: the text.
            read: the tokens of the composed text, where they are known already; none of one that is not plain.
        """
        if read is None:
            read = placed(composed(value)) if is_plain(value) else []
        if len(read) == 1:
            return self.of_token(read[0].token)
        return self._of_several(composed(value), read)

    def _of_several(self, text: str, found: Sequence[Placed]) -> Match:
        whole = [token for token, _ in _whole(text, found, [False] * len(found))]
        in_order = [token for token in whole if token.kind not in _TIMES]
        matches = [_found(self._times, token) for token in whole if token.kind in _TIMES]
        if in_order:
            joined = _joined([one.token for one in found])
            matches.append(max(self._of_order(in_order), self._of_order([joined]), key=_rank))
        return min(matches, key=_rank, default=Match.NONE)

    def of_token(self, token: Token) -> Match:
        """Tells how a single token stands here."""
        if token.kind is Kind.NUMBER:
            return self._of_number(token)
        if token.kind in _TIMES:
            return _found(self._times, token)
        return self._of_word(token)

    def of_amount(self, value: str, read: Sequence[Placed] | None = None) -> Match:
        """Tells how an amount stands here that is written as a text; the number of an order or a bill is none.

        Args:
            value: the text.
            read: the tokens of the composed text, where they are known already.
        """
        token = spelling.number(value) or spelling.scaled(value)
        return self.of_text(value, read) if token is None else _found(self._amounts, token)

    def of_number(self, digits: str) -> Match:
        """Tells how an amount stands here of which the digits are sure, with a point before its places."""
        return self.of_sum(spelling.exact(digits))

    def of_sum(self, token: Token) -> Match:
        """Tells how an amount stands here that is known as a token."""
        return _found(self._amounts, token)

    def _of_number(self, token: Token) -> Match:
        date = spelling.compact_date(token)
        return max(_found(self._numbers, token), _found(self._times, date) if date else Match.NONE, key=_rank)

    def _of_word(self, token: Token) -> Match:
        """Tells how one token stands here as it is written; one of two letters may do so by accident."""
        match = self._words.get(token, Match.NONE)
        return Match.WEAK if match is Match.FULL and len(token.text) <= SHORT else match

    def _of_order(self, in_order: Sequence[Token]) -> Match:
        """Tells how tokens follow each other here."""
        if len(in_order) == 1:
            return self._of_word(in_order[0])
        signs = [self._signs.get(token) for token in in_order]
        wanted = "".join(sign for sign in signs if sign)
        if None in signs or wanted not in self._all:
            return Match.NONE
        return Match.FULL if wanted in self._said else Match.WEAK

    def _index(self, found: Sequence[Placed], at: int, said: Match) -> None:
        token = found[at].token
        if token.kind is Kind.NUMBER:
            _keep(self._numbers, token, Match.WEAK if is_common(found, at) else said)
            if (date := spelling.compact_date(token)) and not is_money(found, at):
                _keep(self._times, date, Match.WEAK if is_reference(found, at) else said)
        elif token.kind in _TIMES:
            _keep(self._times, token, said)
            for one in token.meanings() if token.kind is Kind.DATE else ():
                # "15 May 2024" is also the fifteenth of May.
                _keep(self._times, Token(Kind.DATE, f"-{one.text[4:]}"), Match.WEAK if token.is_unclear else said)


def _rank(match: Match) -> int:
    return match.rank


def _keep(index: dict[Token, Match], token: Token, match: Match) -> None:
    """Adds a token to an index; what an unclear one may mean is there weakly."""
    index[token] = max(index.get(token, Match.NONE), match, key=_rank)
    for one in meanings(token) if token.is_unclear and token.kind is Kind.NUMBER else token.meanings():
        if one != token:
            index.setdefault(one, Match.WEAK)


def _found(index: dict[Token, Match], token: Token) -> Match:
    """Returns how a token stands in an index; one that is unclear stands there weakly in each of its meanings."""
    if token in index or not token.is_unclear:
        return index.get(token, Match.NONE)
    return Match.WEAK if any(one in index for one in token.meanings()) else Match.NONE


def _whole(text: str, found: Sequence[Placed], taken_back: Sequence[bool]) -> Iterable[tuple[Token, bool]]:
    """Yields the tokens, and whether each is said and not taken back; a quoted file name with blanks is one token."""
    at, starts = 0, [one.start for one in found]
    for quote in _QUOTED.finditer(text):
        start, end = quote.span(quote.lastgroup or 0)
        first, last = bisect.bisect_left(starts, start), bisect.bisect_left(starts, end)
        inside = [one.token for one in found[first:last]]
        if len(inside) > 1 and inside[-1].kind is Kind.NAME:
            yield from ((one.token, not no) for one, no in zip(found[at:first], taken_back[at:first], strict=True))
            yield _joined(inside), not taken_back[first]
            at = last
    yield from ((one.token, not no) for one, no in zip(found[at:], taken_back[at:], strict=True))


def _joined(inside: Sequence[Token]) -> Token:
    return Token(Kind.NAME, " ".join(token.text for token in inside))
