"""Says in one line what is wrong with a run's model while the engine tries again."""

from collections.abc import Sequence
from datetime import UTC, datetime

from backstay.client.overview import Pending
from backstay.errors import ModelError
from backstay.kernel.keys import decided_step

from ..shell.terminal import one_line

_REASON = 160


def model_trouble(pending: Sequence[Pending], now: datetime | None = None) -> str | None:
    """Says that the model does not answer, which attempt comes when, and when the engine gives up; None if all is well.

    Args:
        pending: the activities that run or wait to run.
        now: default: the current time.
    """
    failing = failing_decision(pending)
    if failing is None:
        return None
    now = now or datetime.now(UTC)
    parts = ["model unreachable", f"attempt {failing.attempt}"]
    parts.append(f"next try in {span(failing.next_try_at, now)}" if failing.next_try_at else "under way")
    if failing.gives_up_at:
        parts.append(f"gives up in {span(failing.gives_up_at, now)}")
    reason = f" ({one_line(failing.trouble, _REASON)})" if failing.trouble else ""
    return ", ".join(parts) + reason


def failing_decision(pending: Sequence[Pending]) -> Pending | None:
    """Returns the decision with an attempt that the model failed; None if there is none."""
    decisions = (one for one in pending if decided_step(one.activity) is not None)
    return next((one for one in decisions if one.trouble_type == ModelError.code), None)


def span(until: datetime, now: datetime) -> str:
    """Writes the time until a moment in its two largest units at most, such as `12 s`, `8 min` or `1 h 5 min`."""
    seconds = max(0, round((until - now).total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
