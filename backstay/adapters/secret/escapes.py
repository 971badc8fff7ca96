r"""Knows the ways in which writers spell signs: how each looks in a text, and what it stands for.

They are the escapes of JSON and programs (`\/`, `\u002B`, `\x{2b}`, `\53`), of style sheets (`\2b `), of HTML
(`&#43;`), of URLs (`%2B`), of mail (`=2B`), of shells and SQL (`''`, `` `+ ``), of UTF-7 (`+ACs-`); bytes in base64,
in hexadecimal and in lists; breaks of lines, also in a quotation or a comment; and what shows nothing, or the same as
another sign.
"""

import base64
import html
import itertools
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from backstay.kernel.characters import UNSEEN as SHOWS_NOTHING

Meaning = Iterable[tuple[str, int]]
"""The signs that a writing stands for, each with the length that it takes there; "" for what is dropped."""

_HEX: Final = "[0-9a-fA-F]"
_BREAK: Final = "[\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]"
_MARKS: Final = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u093c\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff"
    "\u3099\u309a\ufe20-\ufe2f"
)
_NUMBERED: Final = re.compile(rf"&#(?:[xX]0*(?P<high>{_HEX}*)|0*(?P<low>[0-9]*))")
_NEXT_LINE: Final = 0x85
_CONTROL: Final = dict(zip("abefnrtv0", "\a\b\x1b\f\n\r\t\v\0", strict=True))
_CONTROLS: Final = dict.fromkeys(map(ord, "\t\r\n\v\f\x1b\x85\u2028\u2029"))
_SAFE: Final = str.maketrans("-_", "+/")
_PAIR: Final = re.compile(f"[ :,.-]*(?:0[xX])?{_HEX}{{2}}")
_BETWEEN_PAIRS: Final = re.compile("[ :,.-]+(?:0[xX])?|0[xX]")
_LISTED: Final = re.compile("[^0-9]*([0-9]+)]?")
_GLANCE: Final = 16
_LONGEST_KEPT: Final = 16


@dataclass(frozen=True, slots=True, eq=False)
class Escape:
    """One way to spell signs.

    Attributes:
        hints: every such writing holds one of these; () if nothing is so common to them.
        pattern: finds a writing.
        meant: reads one writing; None if it is dropped.
    """

    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    meant: Callable[[str], Meaning] | None = None

    def is_in(self, text: str) -> bool:
        """Tells whether a text may hold such a writing."""
        return (not self.hints or any(hint in text for hint in self.hints)) and self.pattern.search(text) is not None

    def undone(self, text: str) -> str:
        """Returns a text with what each writing stands for in its place."""
        return self.pattern.sub("" if self.meant is None else self._stands_for, text)

    def signs(self, written: str) -> Meaning:
        """Returns the meaning of one writing."""
        return [("", len(written))] if self.meant is None else self.meant(written)

    def _stands_for(self, match: re.Match[str]) -> str:
        written = match[0]
        return _kept(self, written) if len(written) <= _LONGEST_KEPT else _text(self, written)


def _text(escape: Escape, written: str) -> str:
    return "".join(sign for sign, _ in escape.signs(written))


_kept = lru_cache(maxsize=4096)(_text)


def _whole(read: Callable[[str], str]) -> Callable[[str], Meaning]:
    return lambda written: [(read(written), len(written))]


def _entity(written: str) -> str:
    number = _NUMBERED.match(written)
    if number is None:
        return html.unescape(written)
    code = int(number["high"] or "0", 16) if number["low"] is None else int(number["low"] or "0")
    return html.unescape(f"&#{code};") if 0x80 <= code < 0xA0 and code != _NEXT_LINE else chr(min(code, 0x10FFFF))


def _of_bytes(data: bytes, widths: list[int]) -> Iterator[tuple[str, int]]:
    """Yields the signs that bytes stand for, in UTF-8 or else one by one; each byte takes its own width."""
    at = 0
    for sign in data.decode("utf-8", "surrogateescape"):
        single = "\udc80" <= sign <= "\udcff"
        size = 1 if single else len(sign.encode())
        yield chr(ord(sign) - 0xDC00) if single else sign, sum(widths[at : at + size])
        at += size


def _run(width: int, base: int = 16) -> Callable[[str], Meaning]:
    """Reads a run of bytes that take `width` signs each."""

    def read(written: str) -> Meaning:
        starts = range(0, len(written), width)
        data = bytes(int(written[at + 1 : at + width].strip("xX"), base) for at in starts)
        return _of_bytes(data, [width] * len(data))

    return read


def _percent(written: str) -> Meaning:
    return [(chr(int(written[2:], 16)), 6)] if written[1] in "uU" else _run(3)(written)


def _program(written: str) -> Meaning:
    kind, digits = written[1], written[2:].strip("{}")
    if kind == "N" and digits:
        return [(_named(digits) or written, len(written))]
    if kind in "xX" and written[2] != "{":
        return _run(4)(written)
    if kind in "01234567" and digits:
        octal = _run(4, 8) if len(digits) > 1 else _whole(lambda short: chr(int(short[1:], 8)))
        return octal(written)
    if kind in "uU" and "\\" in digits:
        high, low = int(digits[:4], 16), int(digits[-4:], 16)
        return [(chr(0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF)), len(written))]
    if kind in "uUxX":
        return [(_character(digits), len(written))]
    return [(_CONTROL.get(kind, kind), len(written))]


def _named(name: str) -> str:
    try:
        return unicodedata.lookup(name)
    except KeyError:
        return ""


def _character(digits: str) -> str:
    return chr(min(int(digits, 16), 0x10FFFF))


def _style(written: str) -> str:
    digits = written[1:].strip(" \t\r\n\f")
    return _character(digits) if re.fullmatch(f"{_HEX}{{1,6}}", digits) else written[1:]


def _seven(written: str) -> str:
    try:
        return written.encode().decode("utf-7")
    except UnicodeDecodeError:
        return written


def _pairs(written: str) -> Meaning:
    """Reads bytes in hexadecimal; a byte takes the separator before it."""
    data = bytes.fromhex(_BETWEEN_PAIRS.sub("", written))
    codec = _codec(data)
    return _decoded(data, codec, [len(pair[0]) for pair in _PAIR.finditer(written)]) if codec else _as_it_is(written)


def _numbers(written: str) -> Meaning:
    """Reads a list of bytes as numbers; a byte takes the separator before it, and the last one the bracket."""
    found = list(_LISTED.finditer(written))
    numbers = [int(number[1]) for number in found]
    codec = _codec(bytes(numbers)) if max(numbers) < 256 else ""
    return _decoded(bytes(numbers), codec, [len(number[0]) for number in found]) if codec else _as_it_is(written)


def _sixes(written: str) -> Meaning:
    """Reads base64; where signs before it seem to belong to it, it begins up to three signs later."""
    run = written.rstrip("=").translate(_SAFE)
    for before in range(4):
        if _codec(_of_sixes(run[before : before + _GLANCE]), cut=True):
            data = _of_sixes(run[before:])
            if codec := _codec(data):
                ends = [-(-4 * (at + 1) // 3) for at in range(len(data))]
                widths = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
                widths[-1] += len(written) - before - ends[-1]
                return [(written[:before], before), *_decoded(data, codec, widths)]
    return _as_it_is(written)


def _of_sixes(run: str) -> bytes:
    run = run[: len(run) - (len(run) % 4 == 1)]
    return base64.b64decode(run + "=" * (-len(run) % 4))


def _as_it_is(written: str) -> Meaning:
    return [(written, len(written))]


def _codec(data: bytes, *, cut: bool = False) -> str:
    """Returns the codec in which bytes are a text; "" for none, or for an end that was `cut` off in a sign."""
    for codec, zeros in (("utf-16-le", data[1::2]), ("utf-16-be", data[0::2])):
        if zeros.count(0) * 2 > len(zeros):
            return codec if _is_text(data[: len(data) // 2 * 2].decode(codec, "replace")) else ""
    try:
        return "utf-8" if _is_text(data.decode()) else ""
    except UnicodeDecodeError as error:
        return "utf-8" if cut and error.start > len(data) - 4 and _is_text(data[: error.start].decode()) else ""


def _decoded(data: bytes, codec: str, widths: list[int]) -> Meaning:
    """Yields the signs of bytes; each byte takes its own width."""
    if codec == "utf-8":
        return _of_bytes(data, widths)
    wide = data[: len(data) // 2 * 2].decode(codec, "surrogatepass")
    sizes = [2 if sign <= "\uffff" else 4 for sign in wide]
    places = list(itertools.accumulate(sizes, initial=0))
    taken = [sum(widths[at : at + size]) for at, size in zip(places, sizes, strict=False)]
    taken[-1] += sum(widths[places[-1] :])
    return list(zip(wide, taken, strict=True))


def _is_text(text: str) -> bool:
    return SHOWS_NOTHING.sub("", text.translate(_CONTROLS)).isprintable()


# Undone wherever they stand, because hardly anything else looks like them.
HTML: Final = Escape(
    ("&",),
    re.compile(rf"&(?:#0{{0,99}}[0-9]{{1,7}};|#[xX]0{{0,99}}{_HEX}{{1,6}};|[A-Za-z][A-Za-z0-9]{{1,31}};)"),
    _whole(_entity),
)
TERMINAL: Final = Escape(
    ("\x1b", "\x9b"), re.compile("(?:\x1b\\[|\x9b)[0-?]*+[ -/]*+[@-~]|\x1b\\][^\x07\x1b]*+(?:\x07|\x1b\\\\)")
)
ALIKE: Final = Escape(
    (),
    re.compile(rf"[^{_MARKS}][{_MARKS}]++|[\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff]++|[^\x00-\x7f]"),
    _whole(lambda written: unicodedata.normalize("NFKC", written)),
)
UNSEEN: Final = Escape((), re.compile(SHOWS_NOTHING.pattern.replace("[", "[\x00-\x09\x0e-\x1a\x1f\x7f-\x84\x86-\x9f")))

# Read in one way and in another, because `C:\\`, `100%`, `key=` and words stand before a secret too.
PROGRAM: Final = Escape(
    ("\\",),
    re.compile(
        rf"\\(?:[uU][dD][89abAB]{_HEX}{{2}}\\[uU][dD][c-fC-F]{_HEX}{{2}}|U{_HEX}{{8}}|[uU]{_HEX}{{4}}"
        rf"|[uUxX]\{{{_HEX}{{1,8}}\}}|N\{{[A-Za-z0-9 -]{{1,90}}\}}|[xX]{_HEX}{{2}}(?:\\[xX]{_HEX}{{2}})*+"
        r"|[0-3][0-7]{2}(?:\\[0-3][0-7]{2})*+|[0-7]{2}|[abefnrtv0]|[^0-9A-Za-z])"
    ),
    _program,
)
OPEN_HTML: Final = Escape(
    ("&#",), re.compile(rf"&#(?:0{{0,99}}[0-9]{{1,7}}|[xX]0{{0,99}}{_HEX}{{1,6}})"), _whole(_entity)
)
STYLE: Final = Escape(
    ("\\",), re.compile(rf"\\(?:{_HEX}{{1,6}}(?:\r\n|[ \t\r\n\f])?|[^0-9a-fA-F\r\n\f])"), _whole(_style)
)
URL: Final = Escape(("%",), re.compile(rf"%(?:{_HEX}{{2}}(?:%{_HEX}{{2}})*+|[uU]{_HEX}{{4}})"), _percent)
SOFT: Final = Escape(("=",), re.compile(rf"=[ \t]*+(?:\r\n|{_BREAK})"))
MAIL: Final = Escape(("=",), re.compile(rf"={_HEX}{{2}}(?:={_HEX}{{2}})*+"), _run(3))
BROKEN: Final = Escape((), re.compile(rf"{_BREAK}++[ \t]*+"))
JOINED: Final = Escape((), re.compile(rf"(?<!{_BREAK}){_BREAK}++(?=[ \t])"))  # a blank that follows is the secret's own
QUOTED: Final = Escape(
    (),
    re.compile(rf"(?<!{_BREAK}){_BREAK}++[ \t]*+(?:([>#|*;%!+-])\1*+|//++|[0-9]{{1,6}}[.:|)\t])[ \t]?+"),
    lambda written: [("\n", 1), ("", len(written) - 1)],  # another such sign, or the break, goes next
)
TABLE: Final = Escape(("|",), re.compile(rf" ?\|[ \t]*+{_BREAK}++[ \t]*+\|[ \t]*+"))
DOUBLED: Final = Escape(
    ("''", '""', "'\"'\"'"), re.compile(r"'\\''|'\"'\"'|''|\"\""), _whole(lambda written: written[0])
)
TICKED: Final = Escape(("`",), re.compile("`[^0-9A-Za-z]"), _whole(lambda written: written[1]))
SEVEN: Final = Escape(("+",), re.compile(r"\+(?:[A-Za-z0-9+/]{2,}+-?|-)"), _whole(_seven))
MARKUP: Final = Escape(("<",), re.compile(r"</?[A-Za-z][^<>]{0,200}>"))
BASE64: Final = Escape((), re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{10,}+={0,2}"), _sixes)
HEXADECIMAL: Final = Escape(
    (),
    re.compile(rf"(?<![0-9A-Za-z])(?:0[xX])?{_HEX}{{2}}(?:[ :,.-]{{0,2}}(?:0[xX])?{_HEX}{{2}}){{5,}}(?![0-9A-Za-z])"),
    _pairs,
)
FORM: Final = Escape(("+",), re.compile(r"\+"), _whole(lambda _: " "))
NUMBERS: Final = Escape(("[",), re.compile(r"\[[0-9]{1,3}(?:, ?[0-9]{1,3}){5,}+\]"), _numbers)

CLEAR: Final = (HTML, TERMINAL, ALIKE, UNSEEN)
UNCLEAR: Final = (
    *(
        PROGRAM,
        URL,
        SOFT,
        BROKEN,
        MAIL,
        BASE64,
        TABLE,
        QUOTED,
        HEXADECIMAL,
        STYLE,
        OPEN_HTML,
        DOUBLED,
        TICKED,
        SEVEN,
        MARKUP,
        NUMBERS,
        JOINED,
        FORM,
    ),
)
