"""Tells how the value of an argument stands in a goal: by its type, and by what its name says it is."""

import functools
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple, cast

from . import spelling
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
        read: the tokens of a text or a number, where they are known already.
    """
    if isinstance(value, list):
        entries = cast("list[object]", value)
        types = cast("list[object]", typed) if isinstance(typed, list) else []
        pairs = zip(entries, [*types, *[None] * (len(entries) - len(types))], strict=False)
        found = {match_of(mentions, name, entry, kind) for entry, kind in pairs}
        return next((match for match in (Match.NONE, Match.WEAK, Match.FULL) if match in found), Match.NONE)
    if isinstance(value, str):
        if isinstance(typed, Decimal):
            return match_of(mentions, name, typed)
        return mentions.of_amount(value, read) if _meant(name).amount else mentions.of_text(value, read)
    found = number_of(value) if read is None else read
    if not found:
        return Match.NONE
    return mentions.of_token(found[0].token) if _meant(name).reference else mentions.of_sum(found[0].token)


def number_of(value: object) -> list[Placed]:
    """Returns the token of a number; nothing for any other value, and a huge number."""
    digits = digits_of(value)
    return [] if digits is None else [Placed(spelling.exact(digits), 0, len(digits))]


def digits_of(value: object) -> str | None:
    """Returns the digits of a number, with a point before its places; None for any other value, and a huge number."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite() or abs(number.adjusted()) > _MOST_DIGITS:
        return None
    return f"{number:f}"


class _Meant(NamedTuple):
    """Says what the name of an argument means: that a number is an amount, or tells which one is meant."""

    amount: bool
    reference: bool


@functools.lru_cache(maxsize=512)
def _meant(name: str) -> _Meant:
    words = frozenset(word.lower() for word in _NAME_WORD.findall(name))
    return _Meant(not words.isdisjoint(_AMOUNT_NAMES), not words.isdisjoint(REFERENCES))
