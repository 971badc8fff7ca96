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
        phase: open from a trip until ten minutes cost no more than they may.
        trip: the last trip.
        newest_ms: when the last report came.
    """

    first: int = 0
    steps: tuple[int, ...] = ()
    since_ms: int = 0
    phase: Phase = Phase.CLOSED
    trip: Trip | None = None
    newest_ms: int = 0

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
        return replace(self, first=first + cut, steps=steps[cut:], since_ms=since, newest_ms=at_ms)

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
        why = self._too_much(rule.spend or Spend(), now_ms)
        if why is None:
            return replace(self, phase=Phase.CLOSED), None
        if self.phase is Phase.OPEN:
            return self, None
        start = (now_ms // STEP_MS - STEPS + 1) * STEP_MS
        why = f"{why}: {rule.words()}"
        trip = Trip(rule.name, rule.digest, scope, rule.then, start, now_ms, why, agents=_agents(scope))
        return replace(self, phase=Phase.OPEN, trip=trip), trip

    def _too_much(self, spend: Spend, now_ms: int) -> str | None:
        latest = self.latest(now_ms)
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
