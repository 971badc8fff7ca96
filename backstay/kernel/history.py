"""The room that a run keeps free in its history, so that it can close before the engine terminates it.

Temporal terminates an execution whose history exceeds 50 MB or 51,200 events, and takes 10,000 signals and 2,000
updates of one, whatever they hold. Recorded histories replay against these numbers: another one needs a patch.
"""

from dataclasses import dataclass

MOST_BYTES = 10_000_000
"""The size at which the engine warns; no conversation that a model can read takes as much. A signal may hold 2 MB, and
more of them come while the run closes."""
MOST_IN_ALL = 45_000_000
"""The most that a history may have, whatever an earlier link has handed to it."""
MOST_EVENTS = 40_000
MOST_SIGNALS = 9_000
MOST_UPDATES = 1_000
"""Further updates are refused before they enter the history, so that a kill is never one too many."""


def nearly_full(size: int, events: int, signals: int = 0, handed: int = 0) -> bool:
    """Tells whether an execution must end before the engine ends it.

    Args:
        size: the history's size in bytes.
        events: how many events the history has.
        signals: how many signals the execution was sent.
        handed: the bytes of the history that an earlier link has handed to it.
    """
    too_large = size >= min(MOST_BYTES + 2 * handed, MOST_IN_ALL)
    return too_large or events >= MOST_EVENTS or signals >= MOST_SIGNALS


@dataclass(frozen=True, slots=True)
class Extent:
    """The extent of a history, or of a part of it.

    Attributes:
        events: the number of its events.
        size: its bytes.
        messages: the number of signals and updates in it.
    """

    events: int
    size: int
    messages: int = 0

    def __sub__(self, other: "Extent") -> "Extent":
        """Returns how much this one is beyond another."""
        return Extent(self.events - other.events, self.size - other.size, self.messages - other.messages)


def rolls_over(grown: Extent, opened: Extent, most: Extent, *, suggested: bool) -> bool:
    """Tells whether a link has grown so long that another one goes on with the run.

    A link with much handed to it grows longer: what is handed on again and again stays a part of all that is written.

    Args:
        grown: the growth of the link since it had everything that was handed to it.
        opened: its extent at that time.
        most: the growth after which a link with little handed to it rolls over.
        suggested: whether the engine suggests it.
    """
    size = max(most.size, opened.size)
    events = min(most.events * size // most.size, MOST_EVENTS - opened.events)
    size = min(size, MOST_IN_ALL - opened.size)
    if suggested:
        events, size = events // 4, size // 4
    return grown.events >= events or grown.size >= size or grown.messages >= most.messages
