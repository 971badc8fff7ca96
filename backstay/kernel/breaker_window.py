"""The last reports of one scope, as one rule judges them, and whether its breaker is closed, open or half-open."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from .breaker import PER_MILLE, Breaker, Count, Failure, Report, Share, Then, Trip, alarms
from .scope import Scope

CANARIES = 10
"""After a stop is lifted this many reports show whether its cause is gone; fewer where a rule looks at fewer."""
TRIPS_AGAIN = 300
"""The part of them, in thousandths, that trips again where it fails in the same way."""
_SLICES = 20
"""The number of sums in which older reports are kept, each over a part of the time for which a share must hold."""
_NAMED = 10
"""The most runs and agents that a trip names."""


class Phase(StrEnum):
    """A breaker is closed while all is well, open after a trip, and half-open while canaries are watched."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Seen:
    """A report: when it came, and of a failure its fingerprint, run and agent; a good one has no fingerprint."""

    at_ms: int
    fingerprint: str = ""
    run: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Slice:
    """Counts the reports of a short time, and the failures among them."""

    at_ms: int
    total: int
    failed: int


@dataclass(frozen=True, slots=True)
class Window:
    """Remembers the reports on one scope for a rule.

    Attributes:
        recent: the last reports, the latest last.
        older: sums of those before, as far as they count.
        since_ms: since when too many fail; None while they do not.
        phase: closed, open or half-open.
        trip: the last trip.
        trial: the reports since it.
        newest_ms: when the last report came.
    """

    recent: tuple[Seen, ...] = ()
    older: tuple[Slice, ...] = ()
    since_ms: int | None = None
    phase: Phase = Phase.CLOSED
    trip: Trip | None = None
    trial: tuple[Seen, ...] = ()
    newest_ms: int = 0

    @property
    def total(self) -> int:
        """The number of reports that it looks at."""
        return len(self.recent) + sum(one.total for one in self.older)

    @property
    def failures(self) -> int:
        """The number of failures among them."""
        return sum(1 for one in self.recent if one.fingerprint) + sum(one.failed for one in self.older)

    @property
    def stopped(self) -> bool:
        """True while the scope is stopped; one that was only warned of is judged on."""
        return self.phase is Phase.OPEN and self.trip is not None and self.trip.then is not Then.WARN

    def told(self, rule: Breaker, report: Report, at_ms: int) -> "Window":
        """Returns the window with what a worker saw end; `judged` says what follows from it."""
        window = self
        for ended in report.in_order():
            failed = rule.failed(ended.reasons) if isinstance(ended, Failure) else False
            if failed is None:
                continue
            if isinstance(ended, Failure):
                seen = Seen(at_ms, ended.fingerprint or "?", ended.run, report.agent) if failed else Seen(at_ms)
                window = window._with(rule, seen, 1)
            else:
                window = window._with(rule, Seen(at_ms), ended)
        return window

    def _with(self, rule: Breaker, seen: Seen, times: int) -> "Window":
        if self.stopped or self.phase is Phase.HALF_OPEN:
            trial = (*self.trial, *((seen,) * min(times, CANARIES)))
            kept = trial[-CANARIES:] if self.stopped else trial[:CANARIES]
            return replace(self, trial=kept, newest_ms=seen.at_ms)
        if rule.share is None:
            kept = (*self.recent, seen)[-(rule.count or Count(1)).most :] if seen.fingerprint else self.recent
            return replace(self, recent=kept, newest_ms=seen.at_ms)
        fresh = min(times, rule.share.of_last)
        all_of_them = (*self.recent, *((seen,) * fresh))
        older = self.older
        if pushed := all_of_them[: -rule.share.of_last]:
            older = _summed(older, pushed, rule.share)
        if times > fresh:
            older = _added(older, Slice(seen.at_ms, times - fresh, 0), rule.share)
        return replace(self, recent=all_of_them[-rule.share.of_last :], older=older, newest_ms=seen.at_ms)

    def judged(self, rule: Breaker, scope: Scope, now_ms: int) -> "tuple[Window, Trip | None]":
        """Returns the window as it stands now, and the trip where it trips."""
        if self.phase is Phase.HALF_OPEN:
            return self._tried(rule, scope, now_ms)
        if self.stopped:
            return self, None
        window = self._forgotten(rule, now_ms)
        if not window._too_many(rule):
            return replace(window, since_ms=None, phase=Phase.CLOSED), None
        since = now_ms if window.since_ms is None else window.since_ms
        window = replace(window, since_ms=since)
        hold_ms = rule.share.hold_ms if rule.share else 0
        if window.phase is Phase.OPEN or now_ms < since + hold_ms or not window._still(rule):
            return window, None
        failed = [one for one in window.recent if one.fingerprint]
        why = f"{window.failures} of the last {window.total} failed" if rule.share else _counted(rule, failed)
        return window._tripped(rule, scope, failed, now_ms, why)

    def due_ms(self, rule: Breaker) -> int | None:
        """Returns when it trips if nothing more is reported; None where it does not."""
        if self.phase is not Phase.CLOSED or self.since_ms is None or rule.share is None:
            return None
        return self.since_ms + rule.share.hold_ms

    def lifted(self, at_ms: int) -> "Window":
        """Returns the window after its stop was lifted, for all or for canaries: what came since then is watched."""
        kept = tuple(one for one in self.trial if one.at_ms >= at_ms)
        return replace(self, phase=Phase.HALF_OPEN, trial=kept)

    def in_force_again(self) -> "Window":
        """Returns the window after its stop was put in force again: canaries failed, fewer than trip its own rule."""
        return replace(self, phase=Phase.OPEN, trial=()) if self.phase is Phase.HALF_OPEN else self

    def _tripped(
        self, rule: Breaker, scope: Scope, failed: list[Seen], now_ms: int, why: str
    ) -> "tuple[Window, Trip | None]":
        start = min((one.at_ms for one in failed), default=now_ms)
        trip = Trip(
            breaker=rule.name,
            digest=rule.digest,
            scope=scope,
            then=rule.then,
            start_ms=start,
            at_ms=now_ms,
            why=f"{why}: {rule.words()}",
            fingerprint=_alike(failed),
            agents=tuple(sorted({one.agent for one in failed if one.agent}))[:_NAMED],
            runs=tuple(dict.fromkeys(one.run for one in reversed(failed) if one.run))[:_NAMED],
        )
        if rule.then is Then.WARN:
            return replace(self, phase=Phase.OPEN, trip=trip), trip
        return Window(phase=Phase.OPEN, trip=trip, newest_ms=self.newest_ms), trip

    def _tried(self, rule: Breaker, scope: Scope, now_ms: int) -> "tuple[Window, Trip | None]":
        """Judges the first reports since the stop was lifted."""
        wanted = min(CANARIES, rule.share.of_last if rule.share else CANARIES)
        first = self.trial[:wanted]
        like = self.trip.fingerprint if self.trip else ""
        failed = [one for one in first if one.fingerprint and like in ("", one.fingerprint)]
        # A rule that a few alarms trip is tripped by as few again.
        enough = rule.count.most if rule.heeds_alarms and rule.count else wanted
        if len(failed) >= enough or len(failed) * PER_MILLE >= wanted * TRIPS_AGAIN:
            return self._tripped(rule, scope, failed, now_ms, f"{len(failed)} of {len(first)} canaries failed again")
        if len(first) < wanted:
            return self, None
        return Window(trip=self.trip, newest_ms=self.newest_ms), None

    def _forgotten(self, rule: Breaker, now_ms: int) -> "Window":
        """Returns the window without what is too old to count."""
        if rule.share is None:
            longest = (rule.count or Count(1)).window_ms
            return replace(self, recent=tuple(one for one in self.recent if one.at_ms > now_ms - longest))
        recent = tuple(one for one in self.recent if one.at_ms > now_ms - rule.share.within_ms)
        older = tuple(one for one in self.older if one.at_ms > now_ms - rule.share.hold_ms)
        return replace(self, recent=recent, older=older)

    def _too_many(self, rule: Breaker) -> bool:
        runs = len({one.run for one in self.recent if one.fingerprint})
        if rule.share is None:
            count = rule.count or Count(1)
            return len(self.recent) >= count.most and runs >= count.min_runs
        return runs >= rule.share.min_runs and self.failures * PER_MILLE >= self.total * rule.share.per_mille

    def _still(self, rule: Breaker) -> bool:
        """Tells whether the newest quarter of the reports fails too: what has ended by itself stops nothing."""
        if rule.share is None:
            return True
        newest = self.recent[-max(1, rule.share.of_last // 4) :]
        failed = sum(1 for one in newest if one.fingerprint)
        return bool(newest[-1].fingerprint) and failed * PER_MILLE >= len(newest) * rule.share.per_mille


def _summed(older: tuple[Slice, ...], pushed: Iterable[Seen], share: Share) -> tuple[Slice, ...]:
    for one in pushed:
        older = _added(older, Slice(one.at_ms, 1, 1 if one.fingerprint else 0), share)
    return older


def _added(older: tuple[Slice, ...], more: Slice, share: Share) -> tuple[Slice, ...]:
    """Adds to the last slice, or begins a new one; as many are kept as make up the time."""
    if older and more.at_ms - older[-1].at_ms < max(1, share.hold_ms // _SLICES):
        last = older[-1]
        return (*older[:-1], Slice(last.at_ms, last.total + more.total, last.failed + more.failed))
    return (*older, more)[-_SLICES - 1 :]


def _alike(failed: list[Seen]) -> str:
    """Returns the fingerprint of at least half of some failures; empty where no half is alike."""
    counted = Counter(one.fingerprint for one in failed).most_common(1)
    return counted[0][0] if counted and 2 * counted[0][1] >= len(failed) else ""


def _counted(rule: Breaker, failed: list[Seen]) -> str:
    within = f"within {(rule.count or Count(1)).window_ms / 1_000:g} s"
    if rule.heeds_alarms:
        return f"{alarms(len(failed))} {within}, the last in the run {failed[-1].run}"
    return f"{len(failed)} failed {within}"
