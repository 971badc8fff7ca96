"""Sorts the figures in a reply's usage by what they count, whatever the server calls them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any, cast

from backstay.kernel.money import MICRO

from .reported import fields_of

MAX_TOKENS = 10**15
_MAX_USD = 10**15
_DEEPEST = 5
_MOST_ENTRIES = 100
_TICKS_PER_DOLLAR = 10**10

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_COUNTS = re.compile(r"(?:^|_)tokens?(?:_count)?$|(?:^|_)thoughts$")
_REASONED = re.compile(r"reason|think|thought")
_READ = re.compile(r"prompt|input|cache")
_WRITTEN = re.compile(r"complet|output|candidate|predict|generat|respon")
_TOTAL = re.compile(r"^total_tokens?(?:_count)?$")
_BILLS = ("cost", "total_cost", "cost_in_usd", "upstream_inference_cost")
_TICKS = "cost_in_usd_ticks"


@dataclass(slots=True)
class Figures:
    """The figures of a usage report.

    Attributes:
        total: the largest total; None where it has none.
        read: the largest figure for a part of the input.
        tools: the input that came from tools, which a server counts beside the prompt.
        reasoned: the largest figure for reasoning.
        written: the figures for other parts of the output, by name.
        others: the largest figure that names neither input nor output.
        usd: the server's own bill in micro-dollars, rounded up; 0 where it has none.
        odd: a figure is no count.
    """

    total: int | None = None
    read: int = 0
    tools: int = 0
    reasoned: int = 0
    written: dict[str, int] = field(default_factory=dict[str, int])
    others: int = 0
    usd: int = 0
    odd: bool = False

    def beyond(self, read: int, written: int) -> int:
        """Returns the output that the figures support beside the main one: parts that cannot be inside it."""
        beside = [self.reasoned, *self.written.values(), self.others if self.others > read + written else 0]
        return sum(part for part in beside if part > written)

    def take(self, path: str, name: str, value: object) -> None:
        """Takes in a figure that counts tokens."""
        count = count_of(value)
        if count is None:
            self.odd = True
        elif _TOTAL.search(name):
            self.total = max(self.total or 0, count)
        elif _REASONED.search(name):
            self.reasoned = max(self.reasoned, count)
        elif "tool_use_prompt" in name:
            self.tools = max(self.tools, count)
        elif _READ.search(name) or (_READ.search(path) and not _WRITTEN.search(name)):
            self.read = max(self.read, count)
        elif _WRITTEN.search(name) or _WRITTEN.search(path):
            self.written[name] = max(self.written.get(name, 0), count)
        else:
            self.others = max(self.others, count)

    def take_bill(self, name: str, value: object) -> None:
        """Takes in a sum of money."""
        micros = _micros(value, _TICKS_PER_DOLLAR if name == _TICKS else 1)
        if micros is None:
            self.odd = True
        else:
            self.usd = max(self.usd, micros)


def figures_of(report: dict[str, Any]) -> Figures:
    """Sorts all figures of a usage report; what is null is none."""
    found = Figures()
    for path, name, value in _leaves(report, "", _DEEPEST):
        if _COUNTS.search(name):
            found.take(path, name, value)
        elif name in _BILLS or name == _TICKS:
            found.take_bill(name, value)
    return found


def count_of(value: object) -> int | None:
    """Returns a count of tokens; None for what is none."""
    # `isinstance` would accept a bool as an int.
    return value if type(value) is int and 0 <= value <= MAX_TOKENS else None


def _leaves(value: object, path: str, depth: int) -> Iterator[tuple[str, str, object]]:
    """Yields the path, the name and the value of each entry, with names in one spelling."""
    if depth == 0:
        return
    if isinstance(value, list):
        for entry in cast("list[object]", value)[:_MOST_ENTRIES]:
            yield from _leaves(entry, path, depth - 1)
        return
    for key, entry in fields_of(value).items():
        name = _CAMEL.sub("_", key).replace("-", "_").casefold()
        if isinstance(entry, dict | list):
            yield from _leaves(cast("object", entry), f"{path}{name}.", depth - 1)
        elif entry is not None:
            yield path, name, entry


def _micros(value: object, per_dollar: int) -> int | None:
    """Returns an amount in micro-dollars, rounded up; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        usd = Decimal(str(value)) / per_dollar
    except (InvalidOperation, ValueError):
        return None
    if not usd.is_finite() or not 0 <= usd <= _MAX_USD:
        return None
    return int((usd * MICRO).to_integral_value(ROUND_CEILING))
