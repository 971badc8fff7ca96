"""A model provider that takes so many requests a minute, refuses all others, and keeps books of both."""

import time
from collections import Counter
from dataclasses import dataclass, field

from backstay.testing import Failure, Reply, Request
from backstay.testing.model.script import Answer


@dataclass(frozen=True, slots=True)
class Served:
    """One request, with the seconds since the first."""

    at: float
    tenant: str
    refused: bool


@dataclass
class MeteredProvider:
    """A bucket that holds `burst` requests and is filled evenly; `turn` is the turn of a `ScriptedModel`.

    The first word of a run's goal is its tenant.
    """

    per_minute: float
    burst: float
    code: str | None = None
    served: list[Served] = field(default_factory=list[Served])
    _left: float | None = None
    _began: float = 0.0
    _seen: float = 0.0

    def turn(self, request: Request) -> Answer:
        now = time.monotonic()
        if self._left is None:
            self._began, self._seen, self._left = now, now, self.burst
        self._left = min(self.burst, self._left + (now - self._seen) * self.per_minute / 60)
        self._seen = now
        refused = self._left < 1
        self.served.append(Served(now - self._began, request.goal.split()[0], refused))
        if refused:
            wait = (1 - self._left) * 60 / self.per_minute
            return Failure(429, retry_after=round(wait, 2), code=self.code)
        self._left -= 1
        return Reply("done")

    @property
    def refusals(self) -> int:
        return sum(one.refused for one in self.served)

    def answers(self, since: float = 0.0, until: float = float("inf")) -> Counter[str]:
        """The answers of each tenant in a span of time."""
        return Counter(one.tenant for one in self.served if not one.refused and since <= one.at <= until)

    def first(self, tenant: str) -> float:
        """Returns the time of a tenant's first answer."""
        return min(one.at for one in self.served if one.tenant == tenant and not one.refused)

    def last(self, tenant: str) -> float:
        """Returns the time of a tenant's last answer."""
        return max(one.at for one in self.served if one.tenant == tenant and not one.refused)
