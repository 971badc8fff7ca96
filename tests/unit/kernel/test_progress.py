"""When a run goes in circles."""

from itertools import permutations

import pytest

from backstay.kernel.progress import REMEMBERED, Progress


def after(*decisions: str) -> Progress:
    """The progress after some decisions, each the outcomes of its calls."""
    progress = Progress()
    for outcomes in decisions:
        progress = progress.noted(outcomes)
    return progress


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
    assert after(*outcomes).repetitions == repetitions


@pytest.mark.parametrize(
    ("outcomes", "stale"),
    [("", 0), ("a", 0), ("aa", 1), ("ab", 0), ("abab", 2), ("abcacb", 3), ("aab", 0), ("abcaad", 0)],
)
def test_calls_that_brought_nothing_new_are_counted_in_a_row(outcomes: str, stale: int) -> None:
    assert after(*outcomes).stale == stale


def test_what_lies_far_back_is_forgotten() -> None:
    progress = after(*["a"] * (REMEMBERED + 10))
    assert progress.repetitions == len(progress.decisions) == REMEMBERED


@pytest.mark.parametrize(
    ("decisions", "repetitions", "stale"),
    [
        (["aaa"], 1, 0),  # three equal calls of one decision
        (["abcdefghijkl", "abcdefghijkl"], 2, 1),  # twelve, asked for twice
        (["ab", "ba", "ab"], 3, 2),  # in another order
        (["ab", "b", "a", "ab"], 1, 3),  # the same in other portions
        (["ab", "ac"], 1, 0),
        (["abc", "", "abc"], 2, 1),  # polling in between
        (["abcdefghijkl", "z", "abcdefghijkl"], 1, 1),  # read, written, read again
    ],
)
def test_decisions_are_counted_and_not_their_calls(decisions: list[str], repetitions: int, stale: int) -> None:
    progress = after(*decisions)
    assert (progress.repetitions, progress.stale) == (repetitions, stale)


@pytest.mark.parametrize("asked", list(permutations("abc")))
def test_it_does_not_matter_in_which_order_calls_are_noted(asked: tuple[str, ...]) -> None:
    assert Progress().noted(asked) == Progress().noted("abc") == Progress().noted("aabbcc")
