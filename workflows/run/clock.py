"""The time of a run: its seconds, its deadline, and how long it has waited for people."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from temporalio import workflow

from backstay.kernel.events import DeadlinePassed

from .record import Record

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


class Clock:
    """Counts the seconds of a run from its first task on, without those spent waiting for people where excluded."""

    def __init__(self, record: Record, now: Callable[[], datetime], started: datetime) -> None:
        self.excludes_waiting = False
        self._record = record
        self._now = now
        self._started = started
        self._waited = timedelta(0)
        self._waits_since: datetime | None = None
        self._stopped_at: int | None = None

    def heed(self) -> None:
        """Starts or stops counting the time in which the run waits for people."""
        waits, now = bool(self._record.state.open_approvals), self._now()
        if waits and self._waits_since is None:
            self._waits_since = now
        elif not waits and self._waits_since is not None:
            self._waited += now - self._waits_since
            self._waits_since = None

    def seconds(self) -> int:
        """Returns the run's seconds; they stand still once its deadline has passed, and from its end on."""
        if self._stopped_at is not None:
            return self._stopped_at
        limit = self._record.state.budget.limits.seconds
        if self._record.state.deadline_passed and limit is not None:
            return limit
        elapsed = self._now() - self._started
        if self.excludes_waiting:
            elapsed -= self._waited + (self._now() - self._waits_since if self._waits_since else timedelta(0))
        return max(0, int(elapsed / _SECOND))

    def now_ms(self) -> int:
        """Returns workflow time in milliseconds since the epoch."""
        return int((self._now() - _EPOCH) / timedelta(milliseconds=1))

    def stop(self) -> None:
        """Stops the clock: the run has come to its end."""
        self._stopped_at = self.seconds()

    async def deadline(self) -> None:
        """Waits until the run's seconds are over, and says so; returns at once where they have no limit."""
        limit = self._record.state.budget.limits.seconds
        if limit is None:
            return
        left = timedelta(seconds=limit - self.seconds())
        while left > timedelta(0):
            began = self._now()
            try:
                await workflow.wait_condition(
                    lambda: self.excludes_waiting and bool(self._record.state.open_approvals),
                    timeout=left,
                    timeout_summary="the run's deadline",
                )
            except TimeoutError:
                break
            left -= self._now() - began
            # A kill or an answer may end this wait; nothing else is measured meanwhile.
            await workflow.wait_condition(lambda: not self._record.state.open_approvals)
        self._record.apply(DeadlinePassed(limit))

    def check_deadline(self) -> None:
        """Applies a deadline missed while no worker ran, whatever else arrived in that time."""
        limit = self._record.state.budget.limits.seconds
        if limit is not None and self.seconds() > limit:
            self._record.apply(DeadlinePassed(limit))
