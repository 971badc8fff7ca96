"""Reads a moment in the past, as it is typed: a duration before now, or a date."""

from datetime import UTC, datetime, timedelta

from backstay.errors import ConfigurationError
from backstay.tools.declare import seconds

from .terminal import clean


def moment(since: str) -> datetime:
    """Reads a duration before now, or a date in the time zone of this machine.

    Raises:
        ConfigurationError: it is neither.
    """
    try:
        return datetime.fromisoformat(since).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    try:
        return datetime.now(UTC) - timedelta(seconds=seconds(since))
    except (ConfigurationError, OverflowError):
        mend = "write for example 24h, 7d or 2026-11-01"
        raise ConfigurationError(f"`{clean(since)}` is no time to begin at", mend=mend) from None
