"""A run ends while the engine still takes its last events: far enough from each of the engine's limits."""

import pytest

from backstay.kernel.history import (
    MOST_BYTES,
    MOST_EVENTS,
    MOST_IN_ALL,
    MOST_SIGNALS,
    MOST_UPDATES,
    Extent,
    nearly_full,
    rolls_over,
)

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
    assert MOST_IN_ALL + LARGEST_SIGNAL < ENGINE_BYTES


def test_what_was_handed_on_leaves_room_for_as_much_again() -> None:
    assert not nearly_full(25_000_000, 0, 0, handed=10_000_000)
    assert nearly_full(MOST_IN_ALL, 0, 0, handed=40_000_000)


MOST = Extent(4_000, 4_000_000, 500)
LIGHT = Extent(20, 50_000)
HEAVY = Extent(60, 12_000_000)


@pytest.mark.parametrize(
    ("grown", "opened", "suggested", "rolls"),
    [
        (Extent(3_999, 3_999_999, 499), LIGHT, False, False),
        (Extent(4_000, 0), LIGHT, False, True),
        (Extent(0, 4_000_000), LIGHT, False, True),
        (Extent(0, 0, 500), LIGHT, False, True),
        (Extent(999, 999_999), LIGHT, True, False),
        (Extent(1_000, 0), LIGHT, True, True),
        (Extent(11_999, 11_999_999), HEAVY, False, False),
        (Extent(12_000, 0), HEAVY, False, True),
        (Extent(0, 12_000_000), HEAVY, False, True),
        (Extent(0, 3_000_000), HEAVY, True, True),
        (Extent(0, 5_000_000), Extent(60, 40_000_000), False, True),
    ],
)
def test_a_link_that_has_grown_long_enough_rolls_over(
    grown: Extent, opened: Extent, suggested: bool, rolls: bool
) -> None:
    assert rolls_over(grown, opened, MOST, suggested=suggested) is rolls


def test_growth_is_what_came_after_the_opening() -> None:
    assert Extent(70, 300, 9) - Extent(50, 100, 2) == Extent(20, 200, 7)
