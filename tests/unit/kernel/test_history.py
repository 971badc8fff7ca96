"""A run ends while the engine still takes its last events: far enough from each of the engine's limits."""

import pytest

from backstay.kernel.history import MOST_BYTES, MOST_EVENTS, MOST_SIGNALS, MOST_UPDATES, nearly_full

# What Temporal takes of one execution, as its dynamic configuration has it by default.
ENGINE_BYTES, ENGINE_EVENTS, ENGINE_SIGNALS, ENGINE_UPDATES = 50 * 1024 * 1024, 51_200, 10_000, 2_000
LARGEST_SIGNAL = 2 * 1024 * 1024


@pytest.mark.parametrize(
    ("size", "events", "signals", "full"),
    [
        (0, 0, 0, False),
        (MOST_BYTES - 1, MOST_EVENTS - 1, MOST_SIGNALS - 1, False),
        (MOST_BYTES, 0, 0, True),
        (0, MOST_EVENTS, 0, True),
        (0, 0, MOST_SIGNALS, True),
    ],
)
def test_a_history_is_nearly_full_by_its_size_its_events_or_its_signals(
    size: int, events: int, signals: int, full: bool
) -> None:
    assert nearly_full(size, events, signals) is full


def test_each_limit_leaves_room_for_what_comes_while_the_run_closes() -> None:
    assert MOST_BYTES + 10 * LARGEST_SIGNAL < ENGINE_BYTES
    assert MOST_EVENTS + 10_000 < ENGINE_EVENTS
    assert MOST_SIGNALS + 1_000 <= ENGINE_SIGNALS
    assert MOST_UPDATES + 1_000 <= ENGINE_UPDATES
