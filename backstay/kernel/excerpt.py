"""Shows the arguments of a call line by line: short values whole, a long one as beginning, length and digest."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .characters import escaped

SHOWN = 200
"""The characters that are shown of a long value."""
LINES = 60
"""The arguments that are shown of one call."""
_NAME = 80
_BLANKS = re.compile(r"(?<= ) |[^\S ]")


@dataclass(frozen=True, slots=True)
class Excerpt:
    """One argument as people see it, on one line in JSON; `whole` says that nothing was left out."""

    name: str
    text: str
    whole: bool

    @property
    def line(self) -> str:
        """The argument as `name = value`."""
        return f"{self.name} = {self.text}"


def excerpts(arguments: Mapping[str, Any], shown: int = SHOWN) -> list[Excerpt]:
    """Returns the arguments in the order in which people read them: short scalars, other short ones, long ones.

    Args:
        arguments: the decoded arguments of a call.
        shown: the characters of a value up to which it stays whole.
    """
    ranked = sorted(arguments.items(), key=lambda item: _rank(item[1], shown))
    found = [_excerpt(name, value, shown) for name, value in ranked[:LINES]]
    left = dict(ranked[LINES:])
    if left:
        found.append(Excerpt("…", f"and {len(left)} further arguments ({_digest(_json(left))})", whole=False))
    return found


def on_one_line(text: str) -> str:
    """Returns a text with every character spelled that steers, and every blank that would look like another text."""
    return _BLANKS.sub(lambda blank: f"\\u{ord(blank[0]):04x}", escaped(text))


def _rank(value: Any, shown: int) -> int:
    scalar = not isinstance(value, dict | list)
    short = len(value if isinstance(value, str) else _json(value)) <= shown
    return (0 if scalar else 1) if short else 2


def _excerpt(name: str, value: Any, shown: int) -> Excerpt:
    text, whole = _value(value, shown)
    if len(name) > _NAME:
        return Excerpt(f"{on_one_line(json.dumps(name[:_NAME]))} … ({_measures(name)})", text, whole=False)
    plain = name.isidentifier() and name.isascii()
    return Excerpt(name if plain else on_one_line(_json(name)), text, whole)


def _value(value: Any, shown: int) -> tuple[str, bool]:
    if isinstance(value, str):
        if len(value) <= shown:
            return on_one_line(_json(value)), True
        return f"{on_one_line(_json(value[:shown]))} … ({_measures(value)})", False
    text = _json(value)
    if len(text) <= shown:
        return on_one_line(text), True
    return f"{on_one_line(text[:shown])} … (JSON, {_measures(text)})", False


def _measures(text: str) -> str:
    return f"{len(text):,} characters, {_digest(text)}"


def _digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
