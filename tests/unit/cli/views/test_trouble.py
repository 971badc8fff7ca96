"""What people read while the engine tries again to reach a model."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from backstay.cli.views.trouble import model_trouble, span
from backstay.client.overview import Pending

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
FAILING = Pending(
    activity="decide-3",
    call_id=None,
    running=False,
    attempt=7,
    trouble="unreachable: cannot connect",
    trouble_type="ModelError",
    next_try_at=NOW + timedelta(seconds=12),
    gives_up_at=NOW + timedelta(minutes=8),
)


def test_it_says_which_attempt_comes_when_and_when_the_engine_gives_up() -> None:
    assert model_trouble([FAILING], NOW) == (
        "model unreachable, attempt 7, next try in 12 s, gives up in 8 min (unreachable: cannot connect)"
    )


def test_an_attempt_under_way_has_no_next_one_yet() -> None:
    running = replace(FAILING, running=True, next_try_at=None, gives_up_at=None, trouble=None)
    assert model_trouble([running], NOW) == "model unreachable, attempt 7, under way"


@pytest.mark.parametrize(
    "pending",
    [
        [],
        [replace(FAILING, activity="act-3-0")],
        [replace(FAILING, trouble_type="Unserved")],
        [replace(FAILING, trouble=None, trouble_type="")],
    ],
    ids=["nothing under way", "a tool", "another trouble", "a first attempt"],
)
def test_what_is_no_failing_model_is_not_called_so(pending: list[Pending]) -> None:
    assert model_trouble(pending, NOW) is None


@pytest.mark.parametrize(
    ("seconds", "words"), [(-3, "0 s"), (59, "59 s"), (61, "1 min"), (3_599, "1 h 0 min"), (3_900, "1 h 5 min")]
)
def test_a_time_is_told_in_its_largest_units(seconds: int, words: str) -> None:
    assert span(NOW + timedelta(seconds=seconds), NOW) == words
