"""US dollars as a decimal string at the edge: the only spelling of money that a caller sees."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from backstay.kernel.money import parse_usd


def _text_only(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError('expected US dollars as a decimal string such as "0.50"')
    return value


def _parses(value: str) -> str:
    parse_usd(value)
    return value


Usd = Annotated[str, BeforeValidator(_text_only), Field(max_length=64), AfterValidator(_parses)]
"""A decimal string of US dollars with at most six decimals, such as "0.0132"."""
