"""Reads a text as whole tokens, each typed and in one spelling, so that no piece of a name or number is a token.

Longest first: a link, an IBAN with blanks, a date, a time, a phone number, a number with blanks; then what stands
between blanks: a mail address, a number, a host or file name with its path, and words with inner hyphens and
apostrophes. `old-notes.txt` is one token, and so is `1,500`. Signs that look alike are different ones: nothing is
folded but capitals, accents that are written apart, and the apostrophes and hyphens of a typesetter in a word. The
time it takes grows with the length of the text alone.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from . import spelling
from .spelling import Kind, Token

Special = tuple[list[Token], int] | None
"""Tokens, and where they end in the text; None where it only looked like them."""


class Placed(NamedTuple):
    """A token, and where its spelling stands in the text."""

    token: Token
    start: int
    end: int


_BLANK: Final = " \t\n\r\f\v\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_QUOTES: Final = '"<>`“”„«»‘‚、。，：；！？（）【】「」《》'
_CURRENCY: Final = "$¢£¤¥\u20a0-\u20cf"
_APART: Final = rf"{_BLANK}{_QUOTES}{_CURRENCY}()\[\]{{}},;:|=*^#№…—―¡¿•"
_CHUNK: Final = f"[^{_APART}]"
_FIRST: Final = f"[^{_APART}'’]"
_WORD: Final = rf"[^{_APART}\-'’./\\@+~!?%&]"
_GAP: Final = "[ \t\r\n\xa0\u2009\u202f]"
_END: Final = rf"(?!{_WORD})(?!['’./\\@:,+~-]{{1,3}}{_WORD})"

_MONTH: Final = (
    "(?i:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    "|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DAY: Final = "[0-3]?[0-9]"
_NTH: Final = "(?:st|nd|rd|th)?"
_YEAR: Final = f"(?:19|20)[0-9]{{2}}(?!{_WORD})"
_CLOCK: Final = r"[0-2]?[0-9]:[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?"
_ZONE: Final = "[Zz]|[+-][0-9]{2}:?[0-9]{2}"
_HALF: Final = rf"[AaPp](?:[Mm]|\.[Mm]\.?)(?!{_WORD})"

# Each repetition is bounded, or takes all that it has looked at: no part of a text is looked at again and again.
_PIECE: Final = re.compile(rf"{_FIRST}{_CHUNK}*+(?:(?<=[0-9])[,:](?=[0-9]){_CHUNK}++)*+|[{_CURRENCY}#№]")
_LINK: Final = re.compile(rf"(?:[A-Za-z][A-Za-z0-9+.-]{{0,30}}://|[A-Za-z]:[\\/])[^{_BLANK}{_QUOTES}]*+")
_MONTH_FIRST: Final = re.compile(
    rf"(?P<m1>{_MONTH})\.?{_GAP}(?P<d1>{_DAY}){_NTH}(?!{_WORD})(?:,?{_GAP}(?P<y1>{_YEAR}))?"
    rf"|(?P<m2>{_MONTH})\.?,?{_GAP}(?P<y2>{_YEAR})"
)
_FIGURES: Final = re.compile(
    rf"(?P<day>(?P<d1>{_DAY}){_NTH}\.?(?:{_GAP}|[/-])(?:of{_GAP})?(?P<m1>{_MONTH})(?!{_WORD})"
    rf"(?:(?:[.,]?{_GAP}|[/-])(?P<y1>{_YEAR}))?)"
    r"|(?P<iso>(?P<y4>[0-9]{4})(?P<by4>[/-])(?P<m4>[0-9]{1,2})(?P=by4)(?P<d4>[0-9]{1,2})"
    rf"(?:[Tt](?P<t4>{_CLOCK})(?P<z4>{_ZONE})?)?{_END})"
    rf"|(?P<basic>(?P<y8>(?:19|20)[0-9]{{2}})(?P<m8>[01][0-9])(?P<d8>[0-3][0-9])[Tt](?P<t8>[0-2][0-9][0-5][0-9])"
    rf"(?P<s8>[0-5][0-9])?(?P<z8>{_ZONE})?{_END})"
    rf"|(?P<dotted>(?P<y9>(?:19|20)[0-9]{{2}})\.(?P<m9>[01][0-9])\.(?P<d9>[0-3][0-9]){_END})"
    rf"|(?P<last>[0-9]{{1,2}}(?P<by5>[./-])[0-9]{{1,2}}(?P=by5)(?:[0-9]{{4}}|[0-9]{{2}}){_END})"
    rf"|(?P<clock>(?P<t6>{_CLOCK})(?P<z6>{_ZONE})?(?:{_GAP}?(?P<h6>{_HALF}))?{_END})"
    rf"|(?P<hour>(?P<t7>[01]?[0-9]){_GAP}?(?P<h7>{_HALF}))"
    rf"|(?P<phone>(?:\+[0-9](?:[ ()/.\xa0-]{{0,3}}[0-9]){{6,17}}"
    rf"|00[1-9][0-9](?:[ ()/.\xa0-]{{0,3}}[0-9]){{7,16}}){_END})"
    rf"|(?P<card>[0-9]{{4}}(?:[ -][0-9]{{4}}){{2,4}}{_END})"
    rf"|(?P<local>(?:[2-9][0-9]{{2}}(?:\) ?|[ .-])[0-9]{{3}}[ .-][0-9]{{4}}|0[1-9](?:[ .-][0-9]{{2}}){{4}}"
    rf"|0[1-9][0-9]{{1,4}}(?:\) ?|[ /-])[0-9]{{3,8}}(?:[ -][0-9]{{2,8}}){{0,3}}){_END})"
    rf"|(?P<scaled>(?P<many>[+-]?[0-9]{{1,9}}(?:[.,][0-9]{{1,9}})?){_GAP}(?P<scale>(?i:{spelling.SCALE}))(?!{_WORD}))"
    rf"|(?P<spaced>[+-]?[1-9][0-9]{{0,2}}(?:[ \xa0\u2009\u202f][0-9]{{3}}){{1,6}}(?:[.,][0-9]{{1,9}})?{_END})"
)
_PART: Final = re.compile(rf"[-+~!?%&]*+{_WORD}++(?:[-'’,:]++{_WORD}++)*+[+~%]*+|[-+~!?%&'’,:]++")
_DIGITS: Final = re.compile(r"[0-9]++(?:[-/:.,'’][0-9]++)++")
_ENDED: Final = re.compile(rf"(?<={_WORD})[.!?'’]++$")
_ENDED_LINK: Final = re.compile(rf"(?:(?<={_WORD})\.|[,;:!?'’)\]}}*])++$")
_TAIL: Final = re.compile(rf"[:=#$@(\[{{][^{_BLANK}{_QUOTES},;)]++")
_PORT: Final = re.compile(rf":[0-9][^{_BLANK}{_QUOTES},;)]*+")
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\ufffd\U000e0100-\U000e01ef]"
)
_SYMBOL: Final = re.compile(f"[{_CURRENCY}#№%‰]")
_PERCENT: Final = re.compile(r"(.*[0-9])([%‰])", re.DOTALL)
_EVEN: Final = re.compile(r"(?<=[0-9])[.,][-\u2013\u2014]{1,2}$")
_GLUED: Final = re.compile(
    r"(?P<before>USD|EUR|GBP|CHF|JPY|CNY|INR|AUD|CAD|SEK|NOK|DKK|PLN)(?P<sum>[0-9].*)"
    r"|(?P<paid>.*[0-9])(?P<after>(?i:usd|eur|euro|gbp|chf|jpy|cny|inr|aud|cad|sek|nok|dkk|pln))",
    re.DOTALL,
)
_OWED: Final = re.compile(f"[-\u2212][{_CURRENCY}]")
_SCHEMES: Final = frozenset({"mailto", "tel", "sms"})
_HAS_WORD: Final = re.compile(_WORD)
_OPEN: Final = re.compile(r"[*|^`]|^\S+\?$")
_MOST_MARKS = 30
_LONGEST_LOCAL = 64
_LOCAL_SIGNS: Final = "!#$%&'*+/=?^_`{|}~.-¢£¤¥€"


def tokens(text: str) -> list[Token]:
    """Returns the tokens of a text in their order."""
    return [one.token for one in placed(composed(text))]


def placed(text: str) -> list[Placed]:
    """Returns the tokens of a composed text in their order, and where they stand."""
    found: list[Placed] = []
    at = 0
    while (piece := _PIECE.search(text, at)) is not None:
        start, at = piece.span()
        one = piece[0]
        read: list[Token] = []
        if one.isalpha() and one[:3].lower() not in spelling.MONTHS and text[at : at + 1] != ":":
            read.append(spelling.word(one))
        elif (special := _special(text, start, at)) is not None:
            read, at = special
        elif one.lower() not in _SCHEMES:
            at = _read(text, start, at, read)
        found += [Placed(token, start, at) for token in read]
    return found


def is_plain(value: str) -> bool:
    """Tells whether a value shows all that it is: no control, hidden or placeholder sign, and no look-alike.

    Only such a value may be said to stand in a text. A blank is its only separator; `*`, or a `?` that ends a single
    word, could stand for something else.
    """
    if not value.isprintable() or _OPEN.search(value):
        return False
    return value.isascii() or not (_INVISIBLE.search(value) or _unstable(value))


def _read(text: str, start: int, end: int, found: list[Token]) -> int:
    """Adds the tokens of what stands between two separators, and returns where it ends."""
    part = text[start:end]
    if not part[-1].isalnum():
        part = _EVEN.sub("", _ENDED.sub("", part))
    part = part.removesuffix("'s").removesuffix("’s") or part
    if part.isalnum() and part[0].isalpha():
        found += _glued(part) or [spelling.word(part)]
    elif "@" in part.strip("@"):
        found.append(spelling.mail(_local(text, start) + part))
    elif amount := _amount(f"-{part}" if _OWED.fullmatch(text, max(start - 2, 0), start) else part):
        found += amount
    elif "/" in part or "\\" in part or part == ".." or "." in part.rstrip("."):
        return _read_name(text, start, end, part, found)
    elif _SYMBOL.fullmatch(part):
        found.append(Token(Kind.SYMBOL, part))
    else:
        words = [one for one in _PART.findall(part) if _HAS_WORD.search(one)]
        found += [spelling.number(one) or _digits(one) or spelling.word(one) for one in words]
    return end


def _local(text: str, start: int) -> str:
    """Returns what stands before a mail address and may belong to it, so that no piece of one is a token.

    A quoted name may end there, or one with a sign such as `$`; marks of emphasis alone, as in `**a@b.com**`, do not.
    """
    before = text[max(start - _LONGEST_LOCAL, 0) : start]
    outside = before.rstrip("*`{|'")
    quoted = outside.endswith("”") or (
        outside.endswith('"') and text[max(start - 1_000, 0) : start].count('"') % 2 == 0
    )
    if quoted or (outside and (outside[-1].isalnum() or outside[-1] in _LOCAL_SIGNS)):
        return before[max(before.rfind(sign) for sign in " \n\t<(,;:") + 1 :]
    return ""


def _read_name(text: str, start: int, end: int, part: str, found: list[Token]) -> int:
    """Adds a host or a file name with what belongs to it: port, path, query."""
    tail = _PORT.match(text, end) or (_TAIL.match(text, end) if re.search(r"[/\\?]", part) else None)
    if tail is None:
        found.append(spelling.name(part))
        return end
    found.append(spelling.name(_ENDED_LINK.sub("", text[start : tail.end()])))
    return tail.end()


def _amount(part: str) -> list[Token]:
    """Returns the number that a part is, with the currency or the percent sign that stands at it without a blank."""
    if (one := spelling.number(part) or spelling.scaled(part) or _digits(part)) is not None:
        return [one]
    if (percent := _PERCENT.fullmatch(part)) and (share := spelling.number(percent[1])):
        return [share, Token(Kind.SYMBOL, percent[2])]
    return _glued(part)


def _glued(part: str) -> list[Token]:
    """Returns a number and the name of the currency that stands at it; nothing where a part is no such thing."""
    glued = _GLUED.fullmatch(part)
    figures = glued and (glued["sum"] or glued["paid"])
    paid = figures and (spelling.number(figures) or spelling.scaled(figures))
    if not glued or not paid:
        return []
    return [spelling.word(glued["before"]), paid] if glued["before"] else [paid, spelling.word(glued["after"])]


def _digits(part: str) -> Token | None:
    return spelling.code(part) if _DIGITS.fullmatch(part) else None


def _special(text: str, start: int, end: int) -> Special:
    """Reads what may go beyond the next separator: by how it begins, or by the colon that it goes on with."""
    first = text[start]
    if first.isdecimal() or first in "+-":
        return _figures(text, start)
    if text.startswith((":/", ":\\"), end):
        link = _LINK.match(text, start)
        return ([spelling.name(_ENDED_LINK.sub("", link[0]))], link.end()) if link else None
    if text[start + 2 : start + 4].isdecimal() and (found := spelling.iban(text, start)):
        return [found[0]], found[1]
    if text[start : start + 3].lower() in spelling.MONTHS and (match := _MONTH_FIRST.match(text, start)):
        year, month = match["y1"] or match["y2"], match["m1"] or match["m2"]
        return _with_end(spelling.date(year, month, match["d1"]), match)
    return None


def _figures(text: str, start: int) -> Special:
    match = _FIGURES.match(text, start)
    kind = match.lastgroup if match else None
    if match is None or kind is None:
        return None
    return _FIGURE[kind](match)


_FIGURE: Final[Mapping[str, Callable[[re.Match[str]], Special]]] = {
    "day": lambda match: _with_end(spelling.date(match["y1"], match["m1"], match["d1"]), match),
    "iso": lambda match: _with_end(
        spelling.date(match["y4"], match["m4"], match["d4"]), match, spelling.time(match["t4"], None, match["z4"])
    ),
    "basic": lambda match: _with_end(
        spelling.date(match["y8"], match["m8"], match["d8"]),
        match,
        spelling.time(f"{match['t8'][:2]}:{match['t8'][2:]}:{match['s8'] or '00'}", None, match["z8"]),
    ),
    "dotted": lambda match: _with_end(spelling.date(match["y9"], match["m9"], match["d9"]), match),
    "last": lambda match: _with_end(spelling.day_month_year(match[0]), match),
    "clock": lambda match: (spelling.time(match["t6"], match["h6"], match["z6"]), match.end()),
    "hour": lambda match: (spelling.time(match["t7"], match["h7"]), match.end()),
    "phone": lambda match: _with_end(spelling.phone(match[0]), match),
    "card": lambda match: _with_end(spelling.grouped(match[0]), match),
    "local": lambda match: _with_end(spelling.grouped(match[0]), match),
    "scaled": lambda match: _with_end(spelling.scaled(match["many"], match["scale"]), match),
    "spaced": lambda match: _with_end(spelling.number(match[0]) or spelling.code(match[0]), match),
}


def _with_end(token: Token | None, match: re.Match[str], more: Sequence[Token] = ()) -> Special:
    return None if token is None else ([token, *more], match.end())


def composed(text: str) -> str:
    """Joins accents that are written apart to their letters, and hides signs that would become other ones."""
    if text.isascii():
        return text
    text = text.translate({ord(sign): "\ufffd" for sign in _unstable(text)})
    marks = "".join("1" if unicodedata.combining(sign) else "0" for sign in text)
    # Sorting long runs of accents takes the square of their length, and no language has them.
    return text if "1" * (_MOST_MARKS + 1) in marks else unicodedata.normalize("NFC", text)


def _unstable(text: str) -> set[str]:
    """Returns the signs that are another sign in disguise, such as that of Kelvin."""
    return {sign for sign in set(text) if unicodedata.normalize("NFC", sign) != sign}
