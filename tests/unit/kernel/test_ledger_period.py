"""Days and months of a time zone, also where the clocks change."""

import itertools
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from backstay.kernel.ledger_period import Period, day_span, keys_at, milliseconds, month_span, spans_around

HOUR_MS = 3_600_000
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 28), 24), (date(2026, 3, 29), 23), (date(2026, 10, 25), 25)])
def test_a_day_is_as_long_as_it_is_where_the_clocks_change(day: date, hours: int) -> None:
    span = day_span(day, BERLIN)
    assert (span.key, span.end_ms - span.start_ms) == (day.isoformat(), hours * HOUR_MS)


def test_a_day_begins_where_the_one_before_it_ends() -> None:
    days = [span for span in spans_around(datetime(2026, 10, 25, 12, tzinfo=UTC), BERLIN) if span.period is Period.DAY]
    assert [span.key for span in days] == ["2026-10-23", "2026-10-24", "2026-10-25", "2026-10-26", "2026-10-27"]
    assert all(before.end_ms == after.start_ms for before, after in itertools.pairwise(days))


def test_the_month_after_december_is_january() -> None:
    span = month_span(date(2026, 12, 31), UTC)
    assert (span.key, span.start_ms) == ("2026-12", milliseconds(datetime(2026, 12, 1, tzinfo=UTC)))
    assert span.end_ms == milliseconds(datetime(2027, 1, 1, tzinfo=UTC))


def test_a_moment_lies_in_the_day_and_the_month_of_the_time_zone() -> None:
    at = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)
    spans = spans_around(at, BERLIN)
    assert keys_at(spans, milliseconds(at)) == {Period.DAY: "2026-12-01", Period.MONTH: "2026-12"}


def test_the_last_moment_before_midnight_belongs_to_the_day_and_midnight_to_the_next() -> None:
    midnight = datetime(2026, 11, 30, tzinfo=UTC)
    spans = spans_around(midnight, UTC)
    before, at = keys_at(spans, milliseconds(midnight) - 1), keys_at(spans, milliseconds(midnight))
    assert before is not None
    assert at is not None
    assert (before[Period.DAY], at[Period.DAY]) == ("2026-11-29", "2026-11-30")


def test_a_clock_that_is_days_off_is_covered_by_no_span() -> None:
    asked, ledger = datetime(2026, 11, 30, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC)
    assert keys_at(spans_around(asked, UTC), milliseconds(ledger)) is None
