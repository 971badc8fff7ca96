"""Notices when a run gets nowhere: the same calls with the same results, alone or in a short cycle."""

from dataclasses import dataclass

LONGEST_CYCLE = 4
REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class Progress:
    """The last outcomes of a run, newest last; an outcome is a digest of tool, arguments and result."""

    outcomes: tuple[str, ...] = ()

    def noted(self, outcome: str) -> "Progress":
        """Returns the progress after one more call ended."""
        return Progress((*self.outcomes, outcome)[-REMEMBERED:])

    def repetitions(self) -> int:
        """Counts how often the newest call, or cycle of up to four calls, came in a row with the same results.

        1 means that nothing repeats, 0 that nothing has happened yet.
        """
        return max((self._repetitions(length) for length in range(1, LONGEST_CYCLE + 1)), default=0)

    def stale(self) -> int:
        """Counts the newest calls in a row that brought nothing new to the run."""
        seen: set[str] = set()
        count = 0
        for outcome in self.outcomes:
            count = count + 1 if outcome in seen else 0
            seen.add(outcome)
        return count

    def _repetitions(self, length: int) -> int:
        if len(self.outcomes) < length:
            return 0
        cycle = self.outcomes[-length:]
        count = 1
        while self.outcomes[-length * (count + 1) : -length * count] == cycle:
            count += 1
        return count
