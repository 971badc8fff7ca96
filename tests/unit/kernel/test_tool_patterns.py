import time

import pytest

from backstay.kernel.tool_patterns import all_fitting, fits, idle, is_pattern, nearest_fitting


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("*", "anything"),
        ("*", ""),
        ("read_*", "read_file"),
        ("*_file", "read_file"),
        ("read*file", "readfile"),
        ("r*d*f*e", "read_file"),
        ("read_file", "read_file"),
        ("a*a", "aa"),
    ],
)
def test_a_name_fits(pattern: str, name: str) -> None:
    assert fits(pattern, name)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("read_*", "Read_file"),
        ("read_*", "pread_file"),
        ("read_file", "read_files"),
        ("*_file", "read_files"),
        ("a*a", "a"),
        ("r*x*e", "read_file"),
        ("a.c", "abc"),
        ("[ab]", "a"),
        ("", "a"),
    ],
)
def test_a_name_does_not_fit(pattern: str, name: str) -> None:
    assert not fits(pattern, name)


def test_a_pattern_of_many_stars_is_compared_at_once() -> None:
    began = time.perf_counter()
    assert not fits("*a" * 60 + "b", "a" * 128)
    assert time.perf_counter() - began < 1


def test_only_a_star_makes_a_pattern() -> None:
    assert is_pattern("read_*")
    assert not is_pattern("read_?")


def test_the_name_itself_says_more_than_any_pattern() -> None:
    patterns = {"*": "once", "read_*": "read", "read_secret": "write"}
    assert nearest_fitting(patterns, "read_secret") == ["write"]
    assert nearest_fitting(patterns, "read_file") == ["read"]
    assert nearest_fitting(patterns, "delete") == ["once"]


def test_patterns_that_say_equally_much_all_count() -> None:
    assert nearest_fitting({"read_*": 1, "*_file": 2}, "read_file") == [1, 2]


def test_a_name_that_fits_nothing_gets_nothing() -> None:
    assert nearest_fitting({"read_*": 1}, "write") == []
    assert all_fitting({"read_*": 1}, "write") == []


def test_all_patterns_are_found_in_the_order_written() -> None:
    assert all_fitting({"*": 1, "x": 2, "read_*": 3}, "read_file") == [1, 3]


def test_a_pattern_that_no_name_fits_is_idle() -> None:
    assert idle(["read_*", "delete_*", "*"], ["read_file"]) == ["delete_*"]
