"""A moment in the past is a duration before now, or a date."""

from datetime import UTC, datetime, timedelta

import pytest

from backstay.cli.shell.moment import moment
from backstay.errors import ConfigurationError


def test_a_duration_leads_back_from_now() -> None:
    assert abs(moment("7d") - (datetime.now(UTC) - timedelta(days=7))) < timedelta(minutes=1)


def test_a_date_is_one_of_this_machine() -> None:
    assert moment("2026-11-01") == datetime(2026, 11, 1).astimezone(UTC)


@pytest.mark.parametrize("text", ["soon", "", "-7d", "0s", "\x1b[2J"])
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no time to begin at"):
        moment(text)
