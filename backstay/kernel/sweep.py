"""Follows the runs in the scope of a stop until each of them is accounted for.

INVARIANT: a sweep has ended when nothing in scope moved in two lists, a second apart and begun when no worker can have
admitted a run by an older copy of what is in force.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

IN_FORCE_EVERYWHERE_MS = 2_000
APART_MS = 1_000
AGAIN_MS = 10_000
"""The time in which a run that was told has to obey; after it the run is told again."""
PATIENCE_MS = 30_000
"""The time in which a run has to obey; after it the run is reported as one that could not be stopped."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """Knows the runs in scope; times are milliseconds since the epoch.

    Attributes:
        began_ms: when the stop was put in force.
        first_ms: when each run was told first; one that closed before it could be told, when that was seen.
        last_ms: when each run was told last.
        moving: the runs that moved in the last list.
        accounted: the runs of which is known what became of them.
        fell_ms: when a list last had fewer that moved than the one before: while runs obey, the others have time.
        clear_ms: the lists in a row in which nothing moved; the first and the last of them.
    """

    began_ms: int
    first_ms: Mapping[str, int] = field(default_factory=dict[str, int])
    last_ms: Mapping[str, int] = field(default_factory=dict[str, int])
    moving: frozenset[str] = frozenset()
    accounted: frozenset[str] = frozenset()
    fell_ms: int = 0
    clear_ms: tuple[int, int] | None = None

    def listed(self, moving: Collection[str], at_ms: int) -> "Sweep":
        """Takes down which runs in scope still move, in a list that was begun at a moment."""
        clear = None
        if not moving and at_ms >= self.began_ms + IN_FORCE_EVERYWHERE_MS:
            clear = (self.clear_ms[0] if self.clear_ms else at_ms, at_ms)
        again = self.accounted - frozenset(moving)
        fell = at_ms if len(moving) < len(self.moving) else self.fell_ms
        return replace(self, moving=frozenset(moving), accounted=again, fell_ms=fell, clear_ms=clear)

    def due(self, at_ms: int) -> list[str]:
        """Returns the runs that must be told now: those that were not, or did not obey."""
        return sorted(run for run in self.moving if at_ms >= self.last_ms.get(run, at_ms - AGAIN_MS) + AGAIN_MS)

    def told(self, runs: Collection[str], at_ms: int) -> "Sweep":
        """Takes down that runs were told."""
        first = {**dict.fromkeys(runs, at_ms), **self.first_ms}
        return replace(self, first_ms=first, last_ms={**self.last_ms, **dict.fromkeys(runs, at_ms)})

    def closed(self, runs: Collection[str], at_ms: int) -> "Sweep":
        """Takes down runs that were open when the stop came, and closed before they were told."""
        return replace(self, first_ms={**dict.fromkeys(runs, at_ms), **self.first_ms})

    @property
    def gone(self) -> list[str]:
        """The runs that were told, do not move any more, and are not accounted for."""
        return sorted(self.first_ms.keys() - self.moving - self.accounted)

    def account(self, runs: Collection[str]) -> "Sweep":
        """Takes down that it is known what became of runs."""
        return replace(self, accounted=self.accounted | frozenset(runs))

    def late(self, at_ms: int) -> list[str]:
        """Returns the runs that move although they were told long ago."""
        begun = {run: max(self.first_ms.get(run, at_ms), self.fell_ms) for run in self.moving}
        return sorted(run for run, since in begun.items() if at_ms >= since + PATIENCE_MS)

    def has_ended(self, at_ms: int, reported: Collection[str]) -> bool:
        """Tells whether each run is accounted for, or will not obey and is reported as such."""
        if self.gone:
            return False
        clear = self.clear_ms is not None and self.clear_ms[1] >= self.clear_ms[0] + APART_MS
        late = bool(self.moving) and len(self.late(at_ms)) == len(self.moving)
        return clear or (late and self.moving <= frozenset(reported))
