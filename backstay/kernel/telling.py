"""Finds the tokens of a text that lead somewhere or open something: addresses, links, codes and long numbers."""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote

from .spelling import Kind, Token
from .tokens import Placed

_ALWAYS: Final = frozenset({Kind.MAIL, Kind.IBAN, Kind.PHONE})
_FEWEST_DIGITS: Final = 4
_LONG_NUMBER: Final = 6
_DIGIT: Final = re.compile("[0-9]")
_LABEL: Final = r"[a-z0-9\u0080-\uffff_-]+"
_ENDING: Final = r"[a-z\u0080-\uffff][a-z0-9\u0080-\uffff-]+"
_HOST: Final = re.compile(rf"(?:(?:{_LABEL}\.)+{_ENDING}|(?:[0-9]{{1,3}}\.){{3}}[0-9]{{1,3}})(?::[0-9]+)?")
_ENDINGS: Final = "pdf txt doc docx xls xlsx csv ppt pptx odt ods png jpg jpeg gif svg webp json xml yaml toml log html"
_FILES: Final = frozenset(_ENDINGS.split())
_BEGINS_AS_HOST: Final = re.compile(rf"(?:{_LABEL}\.)+{_ENDING}(?![a-z0-9\u0080-\uffff_-])")
_AFTER_HOST: Final = re.compile(r"[/\\?#]")
_POINTS: Final = str.maketrans("\u3002\uff0e\uff61", "...")
"""Full stops of other scripts, which browsers take for the point in a host."""


def is_telling(token: Token) -> bool:
    """Tells whether a token is an address, a link, a code or a long number, as it stands."""
    if token.kind in _ALWAYS:
        return True
    if token.text.isalpha():
        return False
    digits = len(_DIGIT.findall(token.text))
    if token.kind is Kind.NAME:
        return _is_link(token.text) or digits >= _LONG_NUMBER
    if token.kind is Kind.NUMBER:
        return digits >= _LONG_NUMBER and "." not in token.text
    return token.kind in (Kind.CODE, Kind.WORD) and digits >= _FEWEST_DIGITS


def telling(text: str, found: Sequence[Placed]) -> list[Placed]:
    """Returns those of the tokens of a composed text, in their order; whatever stands behind a scheme is a link."""
    return [one for one in found if is_telling(one.token) or "://" in text[one.start : one.end]]


def _is_link(name: str) -> bool:
    """Tells a link or a host from a file's name, an abbreviation, and words that a slash joins.

    It reads a host as leniently as programs do that open links: with a point or a colon behind it, or with `%2e` in it.
    """
    if "://" in name or "@" in name:
        return True
    name = unquote(name.lstrip("/\\")).translate(_POINTS)
    host = _AFTER_HOST.split(name, maxsplit=1)[0]
    if host != name:
        return _HOST.fullmatch(host.lower()) is not None or _BEGINS_AS_HOST.match(host.lower()) is not None
    return _HOST.fullmatch(host.lower()) is not None and host.rpartition(".")[2].lower() not in _FILES
