"""Tells which tokens of a text stand in a sentence that takes something back, before or after them.

It reads words and no meaning: any negation makes its whole sentence unsure, and one that heads a list the whole list.
"""

import bisect
import re
from collections.abc import Iterator, Sequence
from typing import Final

from .spelling import Kind
from .tokens import Placed

__all__ = ["denied"]

_ENGLISH: Final = (
    r"not|\w*n[’'´`]t|(?:do|does|did|is|are|was|were|ca|wo|must|should|would|could|need|have|has)nt|cannot|no|nope|nah"
    r"|never|none|nobody|noone|nothing|nowhere|neither|nor|without|forbid\w*|forbade|prohibit\w*|bans?|banned|barred"
    r"|barring|but|except\w*|exclu\w+|block\w*|blacklist\w*|denylist\w*|ignor\w+|stop\w*|avoid\w*|refus\w+|reject\w*"
    r"|den(?:y|ies|ied|ying)|disallow\w*|unauthori[sz]ed|illegal|unless|instead|rather|other than|apart from"
    r"|aside from|besides|beware|skip\w*|omit\w*|cease\w*|refrain\w*|abstain\w*|withh[eo]ld\w*|leave out|away from"
)
_GERMAN: Final = (
    r"nicht|nichts|nie|niemals|niemand\w*|kein\w*|ohne|außer|ausser|sondern|aber|verboten\w*|untersagt\w*|statt|anstatt"
    r"|weder|sperr\w+|vermeid\w+|ignorier\w*"
)
_FRENCH: Final = (
    r"n[’']\w+|ne|pas|jamais|sans|sauf|aucune?|rien|personne|interdi\w+|mais|excepté|ni|non|hormis|évite\w*"
)
_SPANISH: Final = r"nunca|jam[aá]s|ning[uú]n\w*|nadie|nada|sin|salvo|excepto|prohib\w+|pero|sino|tampoco|evit[ae]\w*"
_NUMBERED: Final = r"(?<=\w )no\. ?#?[0-9]"
_DENIAL: Final = re.compile(
    rf"\b(?!{_NUMBERED})(?:{_ENGLISH}|{_GERMAN}|{_FRENCH}|{_SPANISH})\b"
    r"(?! (?:forget|hesitate|fail|only|(?:later|earlier|sooner|less|more|fewer) than|vergessen)\b)",
    re.IGNORECASE,
)
_ABBREVIATION: Final = re.compile(
    r"\b(?:[^\W\d]|mrs?|ms|dr|prof|st|inc|ltd|co|corp|etc|e\.g|i\.e|no|nr|vs|jr|sr|hr|fr|sra|mme|attn|acct|approx|resp)\Z",
    re.IGNORECASE,
)
_ITEM: Final = r"[ \t]*(?:[-*+•–—▪◦‣>|]|[0-9]{1,3}[.)]|\(?[A-Za-z0-9][.)][ \t])"
_END: Final = re.compile(rf"[.!][\"'”’»)\]]*(?=\s+[^\sa-z])|\n(?=[ \t]*\n)|\n(?={_ITEM})")
_STARTS_ITEM: Final = re.compile(rf"\n*{_ITEM}")


def denied(text: str, found: Sequence[Placed]) -> list[bool]:
    """Tells of each token of a text whether a word takes back what its sentence, or the list around it, says."""
    names = [
        one for one in found if one.token.kind is Kind.MAIL or (one.token.kind is Kind.NAME and "." in one[0].text)
    ]
    words = list(_words(text, names))
    ends = [*_ends(text), len(text)]
    unsure = list(_unsure(text, ends, words))
    return [unsure[bisect.bisect_left(ends, one.end)] for one in found]


def _words(text: str, names: Sequence[Placed]) -> Iterator[int]:
    """Yields where the words of denial end that are no piece of an address or of a file's name."""
    starts = [one.start for one in names]
    for word in _DENIAL.finditer(text):
        at = bisect.bisect_right(starts, word.start()) - 1
        if at < 0 or word.start() >= names[at].end:
            yield word.end()


def _ends(text: str) -> Iterator[int]:
    for end in _END.finditer(text):
        if text[end.start()] != "." or not _ABBREVIATION.search(text, max(end.start() - 12, 0), end.start()):
            yield end.end()


def _unsure(text: str, ends: Sequence[int], words: Sequence[int]) -> Iterator[bool]:
    """Yields of each sentence whether it is taken back; what heads a list is taken back with all its items."""
    start, was_denied, was_item, in_list, heads = 0, False, False, False, False
    for end in ends:
        sentence = text[start:end]
        blank = not sentence.strip()
        is_item = _STARTS_ITEM.match(sentence) is not None
        if was_denied and (heads or (is_item and not was_item)):
            in_list = True
        elif not blank and not is_item and sentence.lstrip(" \t").startswith("\n"):
            in_list = False
        first = bisect.bisect_right(words, start)
        if not blank:
            was_denied = in_list or (first < len(words) and words[first] <= end)
            was_item, heads = is_item, sentence.rstrip().endswith(":")
        yield was_denied
        start = end
