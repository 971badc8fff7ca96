"""Reads how a reply ended, in the words of any server: whole, cut, filtered, or broken off."""

import re

from backstay.contracts.decision import Finish

_CUT = re.compile(r"length|max_?(?:new_|output_|completion_)?tokens?|token_?limit|truncat|context_?(?:window|limit)")
_FILTERED = re.compile(
    r"filter|safety|sensitive|recitation|blocklist|blocked|prohibited|spii|refus|censor|moderat|guardrail|violation"
)
_WHOLE = re.compile(
    r"(?:stop|end|eo[st]|complete|finish|done|success|normal|tool|function|call)(?!.*(?:error|fail|abort))"
)


def ending(reason: str | None, native: object = None) -> Finish | None:
    """Returns how a reply ended; None where it broke off, or ended in words that nobody knows.

    Args:
        reason: the server's finish reason; one that gives none has ended the reply as usual.
        native: the reason of the server behind a gateway, which may know more.
    """
    for words in (reason, native):
        said = words.casefold() if isinstance(words, str) else ""
        if _FILTERED.search(said):
            return "filtered"
        if _CUT.search(said):
            return "length"
    return "stop" if not reason or _WHOLE.match(reason.strip().casefold()) else None
