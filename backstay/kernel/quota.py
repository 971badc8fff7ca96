"""The rate at which calls of a provider's account are let through: lowered by refusals, and raised again in steps.

Rates are thousandths of a request per minute, moments milliseconds since the epoch.
"""

from dataclasses import dataclass, replace

PER_REQUEST = 1_000
"""Rates are whole numbers of this part of a request per minute."""
DEAF_MS = 5_000
"""For so long after the rate was lowered further refusals tell of the calls that were under way already."""
LONGEST_DEAF_MS = 30_000
STEP_MS = 5_000
"""The time without a refusal before the rate is raised by a step."""
STEPS = 20
"""The number of steps from nothing to the rate that is aimed at."""
REMEMBERED_MS = 600_000
"""For so long the rate stays below the one that was refused."""
_LEAST_PART = 100


@dataclass(frozen=True, slots=True)
class Quota:
    """The rate of an account, in force and as configured; None is no limit.

    Attributes:
        configured: the rate that people set, which no step exceeds.
        rate: the rate in force.
        refused: the rate that was in force when the provider last refused a call; None where that is long ago.
        lowered_ms: when the rate was last lowered.
        deaf_until_ms: until then a refusal lowers nothing.
        quiet_since_ms: since when there was neither a refusal nor a step.
        refusals: how many refusals were told since the rate was set.
        last_refusal_ms: when the last one was told.
    """

    configured: int | None = None
    rate: int | None = None
    refused: int | None = None
    lowered_ms: int = 0
    deaf_until_ms: int = 0
    quiet_since_ms: int = 0
    refusals: int = 0
    last_refusal_ms: int = 0

    @property
    def lowered(self) -> bool:
        """Tells whether the rate is below the configured one."""
        return self.rate != self.configured

    def refuse(self, now_ms: int, wait_ms: int = 0) -> "Quota":
        """Takes a refusal of the provider: halves the rate, unless a refusal of the same burst already did.

        Args:
            now_ms: when it was told.
            wait_ms: for how long the provider wants no calls; refusals until then are of the same burst.
        """
        heard = replace(self, refusals=self.refusals + 1, last_refusal_ms=now_ms, quiet_since_ms=now_ms)
        if self.rate is None or self.configured is None or now_ms < self.deaf_until_ms:
            return heard
        return replace(
            heard,
            rate=max(self.rate // 2, self.configured // _LEAST_PART, 1),
            refused=self.rate,
            lowered_ms=now_ms,
            deaf_until_ms=now_ms + min(max(wait_ms, DEAF_MS), LONGEST_DEAF_MS),
        )

    def next_ms(self) -> int | None:
        """Returns when the next step up is due where nothing is refused until then; None at the configured rate."""
        if self.rate is None or not self.lowered:
            return None
        quiet = self.quiet_since_ms + STEP_MS
        return quiet if self.rate < self._top(quiet) else max(quiet, self.lowered_ms + REMEMBERED_MS)

    def raised(self, now_ms: int) -> "Quota":
        """Raises the rate by the step that is due; returns the same where none is."""
        due = self.next_ms()
        if self.rate is None or due is None or now_ms < due:
            return self
        top = self._top(now_ms)
        step = max(1, (self.refused or top) // STEPS)
        kept = self.refused if now_ms < self.lowered_ms + REMEMBERED_MS else None
        return replace(self, rate=min(top, self.rate + step), refused=kept, quiet_since_ms=now_ms)

    def until_ms(self) -> int | None:
        """Returns when the configured rate is in force again if nothing more is refused; None where it is."""
        quota, at = self, None
        while (due := quota.next_ms()) is not None:
            quota, at = quota.raised(due), due
        return at

    def _top(self, now_ms: int) -> int:
        """Returns the highest rate that steps may reach now: three quarters of one that was refused lately."""
        configured = self.configured or 0
        if self.refused is None or now_ms >= self.lowered_ms + REMEMBERED_MS:
            return configured
        return min(configured, max(self.refused * 3 // 4, 1))
