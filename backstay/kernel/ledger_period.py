"""The days and months of a time zone, as a ledger counts by them.

Whoever asks a ledger brings the spans around its own now; the ledger chooses among them by its own clock. So no clock
but the ledger's decides in which period a hold counts, and no ledger needs a table of time zones.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEIGHBOURS = 2


class Period(StrEnum):
    """The periods that limits are set for."""

    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Span:
    """One day or month: its key, such as `2026-03-29` or `2026-03`, and its bounds in milliseconds since the epoch.

    The end is the first moment that no longer belongs to it.
    """

    period: Period
    key: str
    start_ms: int
    end_ms: int

    def holds(self, at_ms: int) -> bool:
        """Tells whether a moment lies in the span."""
        return self.start_ms <= at_ms < self.end_ms


def spans_around(at: datetime, zone: tzinfo) -> tuple[Span, ...]:
    """Returns the day and the month of a moment in a time zone, with two neighbours of each on either side."""
    today = at.astimezone(zone).date()
    days = [day_span(today + timedelta(days=off), zone) for off in range(-_NEIGHBOURS, _NEIGHBOURS + 1)]
    months = [month_span(_month_off(today, off), zone) for off in range(-_NEIGHBOURS, _NEIGHBOURS + 1)]
    return (*days, *months)


def day_span(day: date, zone: tzinfo) -> Span:
    """Returns a day; one on which the clocks change has 23 or 25 hours."""
    return Span(Period.DAY, day.isoformat(), _midnight(day, zone), _midnight(day + timedelta(days=1), zone))


def month_span(day: date, zone: tzinfo) -> Span:
    """Returns the month of a day."""
    first = day.replace(day=1)
    return Span(Period.MONTH, f"{first:%Y-%m}", _midnight(first, zone), _midnight(_month_off(first, 1), zone))


def keys_at(spans: Iterable[Span], at_ms: int) -> dict[Period, str] | None:
    """Returns the key of each period at a moment; None where the spans do not cover it, as by a clock far off."""
    found = {span.period: span.key for span in spans if span.holds(at_ms)}
    return found if len(found) == len(Period) else None


def milliseconds(at: datetime) -> int:
    """Returns a moment in milliseconds since the epoch."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def _midnight(day: date, zone: tzinfo) -> int:
    return milliseconds(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC))


def _month_off(day: date, months: int) -> date:
    number = day.year * 12 + day.month - 1 + months
    return date(number // 12, number % 12 + 1, 1)
