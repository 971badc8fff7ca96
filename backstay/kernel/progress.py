"""Notices when a run gets nowhere: the same decisions with the same results, alone or in a short cycle."""

from collections.abc import Iterable
from dataclasses import dataclass, field

LONGEST_CYCLE = 4
REMEMBERED = 256
FEWEST_REPEATS = 2
"""The first time repeats nothing, so that the second is the first that may stop a run."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The outcomes of a run's last decisions, newest last, and how many of the newest brought nothing new.

    The outcome of a decision is a set of digests, each of a call's tool, arguments and result; in a fixed order, so
    that it does not matter in which order calls were asked for or ended, nor how often one decision asked for the same.
    """

    decisions: tuple[tuple[str, ...], ...] = ()
    stale: int = 0
    repetitions: int = field(init=False, repr=False, compare=False)
    """The times that the newest decision, or cycle of up to four, came in a row with the same results.

    1 means that nothing repeats, 0 that nothing has happened yet. Counted once, because it is asked for all the time.
    """

    def __post_init__(self) -> None:
        counts = (self._repetitions(length) for length in range(1, LONGEST_CYCLE + 1))
        object.__setattr__(self, "repetitions", max(counts))

    def noted(self, outcomes: Iterable[str]) -> "Progress":
        """Returns the progress after one more decision; one without outcomes, as of polling, does not count."""
        decision = tuple(sorted(set(outcomes)))
        if not decision:
            return self
        known = {outcome for earlier in self.decisions for outcome in earlier}
        stale = self.stale + 1 if known.issuperset(decision) else 0
        return Progress((*self.decisions, decision)[-REMEMBERED:], stale)

    @property
    def is_new(self) -> bool:
        """True where nothing repeats so far."""
        return self.repetitions <= 1 and not self.stale

    def _repetitions(self, length: int) -> int:
        if len(self.decisions) < length:
            return 0
        cycle = self.decisions[-length:]
        count = 1
        while self.decisions[-length * (count + 1) : -length * count] == cycle:
            count += 1
        return count
