"""Compares the spend of one scope with the usual: ten minutes beside all ten minutes of the last day."""

from dataclasses import dataclass, replace
from itertools import accumulate

from .breaker import Breaker, Spend, Trip
from .breaker_window import Phase
from .money import format_usd
from .scope import Scope, ScopeKind

STEP_MS = 120_000
"""Money is added up by steps of two minutes."""
STEPS = 5
"""A sum is over this many of them."""
DAY = 720
SELDOM = 100
"""One in so many sums of the last day is above the usual."""


@dataclass(frozen=True, slots=True)
class Spending:
    """The money of one scope, in micro-dollars.

    Attributes:
        first: the number of the first step that is kept, counted from the epoch.
        steps: the money of each step since.
        since_ms: when the first report of it came.
        phase: open from a trip until its stop is lifted, or, where nothing was stopped, until ten minutes cost no more
            than they may; half-open for ten minutes after the lift.
        trip: the last trip.
        newest_ms: when the last report came.
        stops: whether the last trip has stopped the scope, so that the phase follows its incident.
        lifted_ms: when that was lifted, while it is half-open.
        trial: the money since then.
    """

    first: int = 0
    steps: tuple[int, ...] = ()
    since_ms: int = 0
    phase: Phase = Phase.CLOSED
    trip: Trip | None = None
    newest_ms: int = 0
    stops: bool = False
    lifted_ms: int = 0
    trial: int = 0

    @property
    def stopped(self) -> bool:
        """True while the scope is stopped."""
        return self.stops and self.phase is Phase.OPEN

    @property
    def spent_since(self) -> bool:
        """True where money was spent after the scope was stopped: perhaps its stop was lifted."""
        return self.stopped and self.trip is not None and self.newest_ms > self.trip.at_ms

    @property
    def due_ms(self) -> int | None:
        """When it closes if nothing more is reported; None where it does not."""
        return self.lifted_ms + STEPS * STEP_MS if self.phase is Phase.HALF_OPEN else None

    def told(self, usd: int, at_ms: int) -> "Spending":
        """Returns the money with what was spent now."""
        now = at_ms // STEP_MS
        steps, first = self.steps, self.first
        if not steps or now - first >= 2 * (DAY + STEPS):
            steps, first = (), now
        missing = max(0, now - first + 1 - len(steps))
        steps = (*steps, *((0,) * missing))
        steps = (*steps[:-1], steps[-1] + usd)
        cut = max(0, len(steps) - DAY - STEPS)
        since = self.since_ms or at_ms
        trial = self.trial + usd if self.phase is Phase.HALF_OPEN else 0
        return replace(self, first=first + cut, steps=steps[cut:], since_ms=since, newest_ms=at_ms, trial=trial)

    def lifted(self, at_ms: int) -> "Spending":
        """Returns the money after the stop of its scope was lifted, for all or for canaries: what came since counts."""
        tripped = self.trip.at_ms if self.trip else 0
        since = max(at_ms, tripped)  # one that is remembered no more was lifted at nobody knows which moment
        # What was spent in the step of the trip led to the stop.
        began = max(since // STEP_MS, tripped // STEP_MS + 1, self.newest_ms // STEP_MS - STEPS + 1)
        trial = sum(self.steps[max(0, began - self.first) :])
        return replace(self, phase=Phase.HALF_OPEN, lifted_ms=since, trial=trial)

    def in_force_again(self) -> "Spending":
        """Returns the money after the stop of its scope was put in force again, because canaries failed."""
        return replace(self, phase=Phase.OPEN, trial=0) if self.phase is Phase.HALF_OPEN else self

    def latest(self, now_ms: int) -> int:
        """Returns what the last ten minutes cost."""
        now = now_ms // STEP_MS
        return sum(self.steps[max(0, now - STEPS + 1 - self.first) :])

    def usual(self, now_ms: int) -> int | None:
        """Returns what ten minutes of the last day seldom exceed; None where no day is known yet."""
        if now_ms - self.since_ms < DAY * STEP_MS:
            return None
        last = now_ms // STEP_MS - STEPS + 1 - self.first
        known = self.steps[: max(0, last)]
        before = (0,) * (DAY + STEPS - 1 - len(known))
        total = list(accumulate((*before, *known), initial=0))
        sums = [end - begin for begin, end in zip(total, total[STEPS:], strict=False)]
        return sorted(sums)[-(DAY // SELDOM) - 1]

    def judged(self, rule: Breaker, scope: Scope, now_ms: int) -> "tuple[Spending, Trip | None]":
        """Returns the money as it stands now, and the trip where it is too much for the first time."""
        if self.stopped:
            return self, None
        if self.phase is Phase.HALF_OPEN:
            return self._tried(rule, scope, now_ms)
        why = self._too_much(rule.spend or Spend(), self.latest(now_ms), now_ms)
        if why is None:
            return replace(self, phase=Phase.CLOSED), None
        if self.phase is Phase.OPEN:
            return self, None
        return self._tripped(rule, scope, (now_ms // STEP_MS - STEPS + 1) * STEP_MS, now_ms, why)

    def _tried(self, rule: Breaker, scope: Scope, now_ms: int) -> "tuple[Spending, Trip | None]":
        """Judges what was spent since the stop was lifted."""
        if why := self._too_much(rule.spend or Spend(), self.trial, now_ms):
            # Named by the moment of the lift, so that it is another incident than the one that was lifted.
            return self._tripped(rule, scope, self.lifted_ms, now_ms, f"{why} after the stop was lifted")
        if now_ms < self.lifted_ms + STEPS * STEP_MS:
            return self, None
        return replace(self, phase=Phase.CLOSED, stops=False, trial=0), None

    def _tripped(
        self, rule: Breaker, scope: Scope, start_ms: int, now_ms: int, why: str
    ) -> "tuple[Spending, Trip | None]":
        why = f"{why}: {rule.words()}"
        trip = Trip(rule.name, rule.digest, scope, rule.then, start_ms, now_ms, why, agents=_agents(scope))
        return replace(self, phase=Phase.OPEN, trip=trip, trial=0), trip

    def _too_much(self, spend: Spend, latest: int, now_ms: int) -> str | None:
        said = f"10 minutes cost {format_usd(latest)} USD"
        if spend.limit is not None and latest >= spend.limit:
            return said
        if latest < spend.floor:
            return None
        usual = self.usual(now_ms)
        if usual is None or latest < spend.times * usual:
            return None
        return f"{said}, where {format_usd(usual)} USD are usual"


def _agents(scope: Scope) -> tuple[str, ...]:
    return (scope.name,) if scope.kind is ScopeKind.AGENT else ()
