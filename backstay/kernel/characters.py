"""Names the characters that steer or deceive whoever looks at a text, and spells them out."""

import re
import unicodedata

_STEERING = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_UNSEEN_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
"""Letters, marks and a blank Braille cell that show nothing."""
_VARIATIONS = range(0xFE00, 0xFE10)
_RESERVED = (range(0x2065, 0x2066), range(0xFFF0, 0xFFF9), range(0xE0000, 0xE1000))
"""Characters that Unicode keeps, or may come to use, for what is not shown."""
_RANGES = "".join(f"{chr(among[0])}-{chr(among[-1])}" for among in (_VARIATIONS, *_RESERVED))
_UNSEEN = re.compile(f"[{''.join(_UNSEEN_LETTERS)}{_RANGES}]")
_FORMATS = (
    "\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
)
UNSEEN = re.compile(f"[{_FORMATS}{''.join(sorted(_UNSEEN_LETTERS))}{_RANGES}]++")
"""Characters in a row that show nothing: two texts that differ by them alone look the same."""


def steers(character: str) -> bool:
    """Tells whether a character is not for reading: a control, a format, a line break, half a pair, one unseen."""
    return unicodedata.category(character) in _STEERING or shows_nothing(character)


def shows_nothing(character: str) -> bool:
    """Tells whether a character is a letter, a mark or a reserved place that nobody sees."""
    code = ord(character)
    return code in _VARIATIONS or character in _UNSEEN_LETTERS or any(code in among for among in _RESERVED)


def escaped(text: str) -> str:
    """Returns a text on one line, with every such character spelled as JSON would spell it."""
    if text.isprintable() and not _UNSEEN.search(text):
        return text  # most texts: a page shows many, and a run must not think about each letter
    return "".join(_spelled(character) if steers(character) else character for character in text)


def _spelled(character: str) -> str:
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
