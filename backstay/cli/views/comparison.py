"""Prints a comparison: one wide table, or on a narrow terminal a small one for each scenario."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from backstay.compare.measure import Side
from backstay.compare.stage import Compared

from ..shell.terminal import clean, data

_WIDE_ENOUGH = 110
FIGURES = ("model calls", "tool calls", "USD", "risky effects", "duplicates", "distinct outcomes", "ended")

MEANT = (
    "model calls, USD: what the model's server answered and billed",
    "tool calls: what the tools carried out, as their own books have it; neither side reports about itself",
    "risky effects: refunds above 100 USD and deleted accounts",
    "duplicates: what a run carried out again with the same arguments",
    "distinct outcomes: how many different sets of changes the runs left behind; 1 is a run that can be foreseen",
    "ended: why a run ended; `answered` is the loop's own word, and says not that its answer is right",
)
"""Says what each figure measures, in the words of somebody who never saw one."""


def tables(found: Sequence[Compared]) -> list[RenderableType]:
    """Returns what to print of a comparison at the width of the terminal."""
    if data().width >= _WIDE_ENOUGH:
        return [_wide(found)]
    return [part for one in found for part in (Text(one.scenario.name, "bold"), _narrow(one), Text())]


def _wide(found: Sequence[Compared]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("scenario", no_wrap=True)
    table.add_column("", no_wrap=True)
    for figure in FIGURES[:-1]:
        table.add_column(figure, justify="right")
    table.add_column("ended", overflow="fold")
    for one in found:
        table.add_row(one.scenario.name, *_row("loop", one.loop, one.failures[0]))
        table.add_row("", *_row("governed", one.governed, one.failures[1]))
    return table


def _narrow(one: Compared) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("")
    table.add_column("loop", overflow="fold")
    table.add_column("governed", overflow="fold")
    for name, loop, governed in zip(FIGURES, _figures(one.loop), _figures(one.governed), strict=True):
        table.add_row(name, loop, governed)
    return table


def _row(name: str, side: Side, failure: str | None) -> list[Text]:
    return [Text(name, "green" if failure is None else "red"), *(Text(figure) for figure in _figures(side))]


def _figures(side: Side) -> list[str]:
    return [clean(str(value)) for value in side.as_json().values()]
