"""Cleans what an MCP server says of its tools before a model reads it."""

import re
import unicodedata

from .characters import UNSEEN

LONGEST_BYTES = 4_096
"""The most a model reads of one description; the longest of real servers has 2,781 characters."""
_CUT = "\n[cut here]"
_LINES = re.compile(r"\r\n?|[\u2028\u2029\x85]")
_STEERING = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_BLANKS = frozenset("\n\t")


def cleaned(text: str, longest: int = LONGEST_BYTES) -> str:
    """Returns a text without what people don't see and models do, in one spelling, and cut.

    Args:
        text: as the server wrote it.
        longest: the most bytes of UTF-8, the note on the cut included.
    """
    seen = UNSEEN.sub("", _LINES.sub("\n", text[: 4 * longest]))
    kept = "".join(one for one in seen if one in _BLANKS or unicodedata.category(one) not in _STEERING)
    # Twice, because the characters that were taken out may have kept others from being put together.
    whole = UNSEEN.sub("", unicodedata.normalize("NFC", kept)).strip()
    written = whole.encode()
    if len(written) <= longest and len(text) <= 4 * longest:
        return whole
    room = max(0, longest - len(_CUT.encode()))
    return written[:room].decode("utf-8", "ignore").rstrip() + _CUT
