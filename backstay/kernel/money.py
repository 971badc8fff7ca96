"""Money: an integer of micro-dollars inside, a decimal string at the edges, never a float."""

import re

MICRO = 1_000_000
_PLAIN = re.compile(r"([0-9]{1,24})(?:\.([0-9]+))?")


class MoneyError(ValueError):
    """A text that is not an amount of US dollars with at most six decimals."""


def parse_usd(text: str) -> int:
    """Reads a decimal string of US dollars as micro-dollars: "0.0132" is 13200.

    Plain are digits with perhaps a point between them: no sign, no exponent, no space. Nothing is rounded.

    Raises:
        MoneyError: the text is no plain decimal, has more than 24 digits before the point, or more than six decimals.
    """
    plain = _PLAIN.fullmatch(text)
    if plain is None:
        raise MoneyError('expected US dollars as a decimal string such as "0.50"')
    decimals = (plain[2] or "").rstrip("0")
    if len(decimals) > 6:
        raise MoneyError("expected US dollars with at most six decimals")
    return int(plain[1]) * MICRO + int(decimals.ljust(6, "0"))


def format_usd(micros: int) -> str:
    """Writes micro-dollars as a decimal string with at least two decimals: 13200 is "0.0132"."""
    sign, rest = ("-", -micros) if micros < 0 else ("", micros)
    whole, part = divmod(rest, MICRO)
    decimals = f"{part:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{decimals}"
