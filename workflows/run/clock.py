"""The time of a run: its seconds, its deadline, and how long it has waited for people or stood still."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from temporalio import workflow

from backstay.contracts.admission import Admission
from backstay.contracts.carry import Carried
from backstay.kernel.events import DeadlinePassed

from .record import Record

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_ROUNDING_MS = 1
_TO_CLOSE = timedelta(seconds=10)


class Stretch:
    """Adds up the time in which something held, in one stretch or several."""

    def __init__(self) -> None:
        self._before = timedelta(0)
        self._since: datetime | None = None

    def heed(self, holds: bool, now: datetime) -> None:
        """Begins or ends a stretch."""
        if holds and self._since is None:
            self._since = now
        elif not holds and self._since is not None:
            self._before += now - self._since
            self._since = None

    def carry_on(self, before_ms: int, since_ms: int | None = None) -> None:
        """Goes on from the stretches that have ended, and from the beginning of the present one."""
        self._before = timedelta(milliseconds=before_ms)
        self._since = None if since_ms is None else _at(since_ms)

    @property
    def before_ms(self) -> int:
        """The time of the stretches that have ended, in milliseconds."""
        return int(self._before / timedelta(milliseconds=1))

    @property
    def since_ms(self) -> int | None:
        """The beginning of the present stretch, in milliseconds since the epoch; None where there is none."""
        return None if self._since is None else _milliseconds(self._since)

    def until(self, now: datetime) -> timedelta:
        """Returns the time of all stretches up to now."""
        return self._before + self.present(now)

    def present(self, now: datetime) -> timedelta:
        """Returns the time of the stretch that goes on now; zero where none does."""
        return now - self._since if self._since else timedelta(0)


class Clock:
    """Counts the seconds of a run from its first task on, but not those in which it waits for its turn or is frozen.

    Those spent waiting for people do not count where they are excluded.
    """

    def __init__(
        self, record: Record, now: Callable[[], datetime], started: datetime, closes: datetime | None = None
    ) -> None:
        self.excludes_waiting = False
        self.wait_at_most: timedelta | None = None
        """The most that the run waits for people in all; None in runs admitted before there was such a limit."""
        self._closes = closes
        """The time at which the engine ends the run by its own limits."""
        self._deadline_at: datetime | None = None
        self._deadline_of: int | None = None
        """The limit of seconds that the deadline was reckoned with."""
        self._record = record
        self._now = now
        self._started = started
        self._waited = Stretch()
        self._frozen = Stretch()
        self._queued = Stretch()
        self._stopped_at: int | None = None

    def carry_on(self, carried: Carried) -> None:
        """Counts on from where the link before has left off."""
        self._started = _at(carried.started_ms)
        self._waited.carry_on(carried.waited_ms, carried.waited_since_ms)
        self._frozen.carry_on(carried.frozen_ms, carried.frozen_since_ms)
        self._queued.carry_on(carried.queued_ms)
        self._closes = closed_by_engine(_at(carried.begun_ms))
        # To the millisecond: an approval that was opened before may end with the run.
        self._deadline_at = None if carried.deadline_ms is None else _at(carried.deadline_ms)

    def carried(self) -> dict[str, int | None]:
        """Returns what the next link counts on from."""
        return {
            "started_ms": _milliseconds(self._started),
            "waited_ms": self._waited.before_ms,
            "waited_since_ms": self._waited.since_ms,
            "deadline_ms": self._deadline_ms(),
            "frozen_ms": self._frozen.before_ms,
            "frozen_since_ms": self._frozen.since_ms,
            "queued_ms": self._queued.before_ms,
        }

    def _deadline_ms(self) -> int | None:
        """Returns when the run's seconds are over; None where that is to be reckoned anew."""
        state, at = self._record.state, self._deadline_at
        known = at is not None and self._deadline_of == state.budget.limits.seconds and not state.frozen
        return _milliseconds(at) if known and at else None

    def admit(self, admission: Admission) -> None:
        """Counts as the run was admitted to."""
        self.excludes_waiting = admission.seconds_exclude_approvals
        outer = admission.approval.wait_at_most
        self.wait_at_most = None if outer is None else timedelta(seconds=outer)

    def heed(self) -> None:
        """Starts or stops counting the time in which the run waits for people, or is frozen."""
        state, now = self._record.state, self._now()
        self._frozen.heed(bool(state.frozen), now)
        self._waited.heed((self._record.waits_for_people or state.listens) and not state.frozen, now)

    def begins_to_queue(self) -> None:
        """Stops counting, because the run waits until it may be one of those at once."""
        self._queued.heed(True, self._now())

    def has_its_turn(self) -> None:
        """Counts again."""
        self._queued.heed(False, self._now())

    def frozen_ms(self) -> int:
        """Returns how long the run has been frozen without a break."""
        return int(self._frozen.present(self._now()) / timedelta(milliseconds=1))

    def frozen_for(self) -> timedelta:
        """Returns how long the run has been frozen, all breaks left out."""
        return self._frozen.until(self._now())

    def seconds(self) -> int:
        """Returns the run's seconds; they stand still once its deadline has passed, and from its end on."""
        return self._seconds(self._now())

    def seconds_at(self, moment: datetime) -> int:
        """Returns the seconds as a reader sees them now, who may look long after the run's last task.

        Args:
            moment: the reader's time; never in the past of the run, whatever the machine's clock says.
        """
        seconds, limit = self._seconds(max(moment, self._now())), self._record.state.budget.limits.seconds
        return seconds if limit is None else min(seconds, max(limit, self.seconds()))

    def _seconds(self, now: datetime) -> int:
        if self._stopped_at is not None:
            return self._stopped_at
        limit = self._record.state.budget.limits.seconds
        if self._record.state.deadline_passed and limit is not None:
            return limit
        elapsed = now - self._started - self._frozen.until(now) - self._queued.until(now)
        if self.excludes_waiting:
            elapsed -= self._waited.until(now)
        return max(0, int(elapsed / _SECOND))

    def now_ms(self) -> int:
        """Returns workflow time in milliseconds since the epoch."""
        return _milliseconds(self._now())

    def end_ms(self, after: timedelta) -> int:
        """Returns when an approval that opens now ends: after its own time, with all waiting, or with the run."""
        if self.wait_at_most is not None:
            after = max(timedelta(0), min(after, self.wait_at_most - self._waiting()))
        return min([_milliseconds(self._now() + after), *self._ends()])

    def open_until_ms(self, after: timedelta) -> int:
        """Returns until when people may say more, where the run has answered now: all waiting has one limit.

        It ends before the engine's own time limit, which would leave no result. The run's deadline ends it too.
        """
        if self.wait_at_most is not None:
            after = max(timedelta(0), min(after, self.wait_at_most - self._waiting()))
        until = self._now() + after
        return _milliseconds(until if self._closes is None else min(until, self._closes - _TO_CLOSE))

    def ends_at(self, at_ms: int) -> bool:
        """Tells whether the run itself ends then, by its deadline or by the engine's time limits."""
        return any(abs(at_ms - end) <= _ROUNDING_MS for end in self._ends())

    def stop(self) -> None:
        """Stops the clock: the run has come to its end."""
        self._stopped_at = self.seconds()

    async def deadline(self) -> None:
        """Waits until the run's seconds are over, and says so; returns at once where they have no limit."""
        limit = self._record.state.budget.limits.seconds
        if limit is None:
            return
        left = timedelta(seconds=limit - self.seconds())
        if self._deadline_at is not None:
            left = self._deadline_at - self._now()
        while left > timedelta(0):
            began = self._now()
            if not self.excludes_waiting:
                self._deadline_at, self._deadline_of = began + left, limit
            try:
                await workflow.wait_condition(
                    lambda limit=limit: self._raised(limit) > 0 or self._stands_still(),
                    timeout=left,
                    timeout_summary="the run's deadline",
                )
            except TimeoutError:
                left = timedelta(0)
            else:
                left -= self._now() - began
                # A kill or an answer may end this wait; nothing else is measured meanwhile.
                await workflow.wait_condition(lambda: not self._stands_still())
            # Whatever was waited for, a person may have granted more seconds.
            left += timedelta(seconds=self._raised(limit))
            limit += self._raised(limit)
        self._record.apply(DeadlinePassed(limit))

    def check_deadline(self) -> None:
        """Applies a deadline missed while no worker ran, whatever else arrived in that time."""
        limit = self._record.state.budget.limits.seconds
        if limit is not None and self.seconds() > limit:
            self._record.apply(DeadlinePassed(limit))

    def _raised(self, limit: int) -> int:
        """Returns by how many seconds the limit was raised since it was `limit`."""
        return (self._record.state.budget.limits.seconds or limit) - limit

    def _stands_still(self) -> bool:
        state = self._record.state
        return bool(state.frozen) or (self.excludes_waiting and (self._record.waits_for_people or state.listens))

    def _ends(self) -> list[int]:
        ends = [] if self.wait_at_most is None else [self._closes, self._deadline_at]
        return [_milliseconds(end) for end in ends if end is not None]

    def _waiting(self) -> timedelta:
        """Returns how long the run has waited for people so far."""
        return self._waited.until(self._now())


def closed_by_engine(begun: datetime | None = None) -> datetime | None:
    """Returns when the engine's own time limits end the run; None where whoever started it set none.

    Args:
        begun: when the engine took the first link of the chain; default: this one is the first.
    """
    info = workflow.info()
    whole = (begun or info.workflow_start_time) + info.execution_timeout if info.execution_timeout else None
    link = info.workflow_start_time + info.run_timeout if info.run_timeout else None
    return min((end for end in (whole, link) if end is not None), default=None)


def wall_clock() -> datetime:
    """Reads the machine's clock, which only a query may do: its answer stands in no history."""
    with workflow.unsafe.sandbox_unrestricted():
        return datetime.now(UTC)


def _milliseconds(at: datetime) -> int:
    return int((at - _EPOCH) / timedelta(milliseconds=1))


def _at(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)
