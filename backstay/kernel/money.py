"""Money: an integer of micro-dollars inside, a decimal string at the edges, never a float."""

from decimal import Decimal, InvalidOperation

MICRO = 1_000_000


class MoneyError(ValueError):
    """A text that is not an amount of US dollars with at most six decimals."""


def parse_usd(text: str) -> int:
    """Reads a decimal string of US dollars as micro-dollars: "0.0132" is 13200.

    Raises:
        MoneyError: the text is no plain decimal, is negative, or has more than six decimals.
    """
    try:
        amount = Decimal(text) if text.strip() == text else Decimal("NaN")
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0 or amount >= Decimal(10) ** 24:
        raise MoneyError('expected US dollars as a decimal string such as "0.50"')
    micros = amount * MICRO
    if micros != micros.to_integral_value():
        raise MoneyError("US dollars have at most six decimals here")
    return int(micros)


def format_usd(micros: int) -> str:
    """Writes micro-dollars as a decimal string with at least two decimals: 13200 is "0.0132"."""
    sign, rest = ("-", -micros) if micros < 0 else ("", micros)
    whole, part = divmod(rest, MICRO)
    decimals = f"{part:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{decimals}"
