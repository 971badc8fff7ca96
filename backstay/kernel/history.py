"""The room that a run keeps free in its history, so that it can close before the engine terminates it.

Temporal terminates an execution whose history exceeds 50 MB or 51,200 events, and takes 10,000 signals and 2,000
updates of one, whatever they hold. Recorded histories replay against these numbers: another one needs a patch.
"""

MOST_BYTES = 10_000_000
"""The size at which the engine warns; no conversation that a model can read takes as much. A signal may hold 2 MB, and
more of them come while the run closes."""
MOST_EVENTS = 40_000
MOST_SIGNALS = 9_000
MOST_UPDATES = 1_000
"""Further updates are refused before they enter the history, so that a kill is never one too many."""


def nearly_full(size: int, events: int, signals: int = 0) -> bool:
    """Tells whether an execution must end, or continue as new, before the engine ends it.

    Args:
        size: the history's size in bytes.
        events: how many events the history has.
        signals: how many signals the execution was sent.
    """
    return size >= MOST_BYTES or events >= MOST_EVENTS or signals >= MOST_SIGNALS
