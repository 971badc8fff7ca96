"""Keeps the figures of all rounds, and compares contenders by paired rounds."""

import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .contenders import BACKSTAY, Contender

Row = dict[str, float]
"""The figures of one contender in one round, by name; what does not hold of a contender is left out."""


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of a group.

    Attributes:
        group: the name of the measurement.
        plan: its size.
        rounds: every round by contender, in the order of measurement.
        notes: what is to be said beside the figures, such as at which step a run died.
    """

    group: str
    plan: dict[str, Any]
    rounds: dict[str, list[Row]]
    notes: dict[str, str]

    def names(self) -> list[str]:
        """Returns the figures that any contender has, in order."""
        return list(dict.fromkeys(name for rows in self.rounds.values() for row in rows for name in row))

    def median(self, contender: str, figure: str) -> float | None:
        """Returns the median of a figure; None where the contender has none."""
        found = [row[figure] for row in self.rounds[contender] if figure in row]
        return statistics.median(found) if found else None

    def ratio(self, figure: str, contender: str, to: str = BACKSTAY.name) -> float | None:
        """Returns a contender's figure divided by another's, as the median over paired rounds; None without a pair."""
        pairs = zip(self.rounds[contender], self.rounds[to], strict=True)
        found = [row[figure] / other[figure] for row, other in pairs if row.get(figure) and other.get(figure)]
        return statistics.median(found) if found else None


async def in_turns(
    contenders: Sequence[Contender], rounds: int, measured: Callable[[Contender], Awaitable[Row]]
) -> dict[str, list[Row]]:
    """Measures the contenders in turns, every second round backwards, so that other load meets all of them."""
    found: dict[str, list[Row]] = {one.name: [] for one in contenders}
    for turn in range(rounds):
        for one in contenders if turn % 2 == 0 else contenders[::-1]:
            found[one.name].append(await measured(one))
    return found
