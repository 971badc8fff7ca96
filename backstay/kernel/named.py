"""Tells how the value of an argument stands in a goal: by its type, and by what its name says it is."""

import functools
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final, cast

from .mentions import REFERENCES, Match, Mentions
from .tokens import Placed

_AMOUNTS: Final = "amount amounts sum total price cost fee value usd eur gbp quantity qty count"
_AMOUNT_NAMES: Final = frozenset(_AMOUNTS.split())
_NAME_WORD: Final = re.compile("[A-Z]?[a-z]+|[A-Z]+")
_MOST_DIGITS: Final = 40


def match_of(
    mentions: Mentions, name: str, value: object, typed: object = None, read: Sequence[Placed] | None = None
) -> Match:
    """Tells how a value stands in a goal; a list stands there as weakly as its weakest entry, an object never.

    Args:
        mentions: the goal.
        name: the argument's name: a number is an amount, or tells which order is meant.
        value: as the model wrote it, in JSON.
        typed: the same in the tool's own type: a decimal that is written as text is an amount too.
        read: the tokens of a text, where they are known already.
    """
    if isinstance(value, list):
        entries = cast("list[object]", value)
        types = cast("list[object]", typed) if isinstance(typed, list) else []
        pairs = zip(entries, [*types, *[None] * (len(entries) - len(types))], strict=False)
        found = {match_of(mentions, name, entry, kind) for entry, kind in pairs}
        return next((match for match in (Match.NONE, Match.WEAK, Match.FULL) if match in found), Match.NONE)
    if isinstance(typed, Decimal) and isinstance(value, str):
        value = typed
    words = _words(name)
    if isinstance(value, str):
        return mentions.of_amount(value, read) if words & _AMOUNT_NAMES else mentions.of_text(value, read)
    digits = digits_of(value)
    if digits is None:
        return Match.NONE
    return mentions.of_text(digits) if words & REFERENCES else mentions.of_number(digits)


def digits_of(value: object) -> str | None:
    """Returns the digits of a number, with a point before its places; None for any other value, and a huge number."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite() or abs(number.adjusted()) > _MOST_DIGITS:
        return None
    return f"{number:f}"


@functools.lru_cache(maxsize=512)
def _words(name: str) -> frozenset[str]:
    return frozenset(word.lower() for word in _NAME_WORD.findall(name))
