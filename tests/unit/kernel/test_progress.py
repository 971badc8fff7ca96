"""When a run goes in circles."""

import pytest

from backstay.kernel.progress import REMEMBERED, Progress


@pytest.mark.parametrize(
    ("outcomes", "repetitions"),
    [
        ("", 0),
        ("a", 1),
        ("ab", 1),
        ("aa", 2),
        ("baaa", 3),
        ("aaab", 1),
        ("abab", 2),
        ("cababab", 3),
        ("abcabcabc", 3),
        ("abcdabcdabcd", 3),
        ("abcdeabcdeabcde", 1),  # a cycle of five is too long to be seen
        ("babab", 2),
        ("aabaab", 2),
        ("abb", 2),
    ],
)
def test_the_newest_call_or_cycle_is_counted(outcomes: str, repetitions: int) -> None:
    progress = Progress()
    for outcome in outcomes:
        progress = progress.noted(outcome)
    assert progress.repetitions() == repetitions


@pytest.mark.parametrize(
    ("outcomes", "stale"),
    [("", 0), ("a", 0), ("aa", 1), ("ab", 0), ("abab", 2), ("abcacb", 3), ("aab", 0), ("abcaad", 0)],
)
def test_calls_that_brought_nothing_new_are_counted_in_a_row(outcomes: str, stale: int) -> None:
    assert Progress(tuple(outcomes)).stale() == stale


def test_what_lies_far_back_is_forgotten() -> None:
    progress = Progress()
    for _ in range(REMEMBERED + 10):
        progress = progress.noted("a")
    assert progress.repetitions() == len(progress.outcomes) == REMEMBERED
