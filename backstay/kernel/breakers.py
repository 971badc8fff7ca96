"""All breakers together: the rules that workers told, and what each knows of each scope."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from .breaker import Breaker, Report, Then, Trip
from .breaker_spend import Spending
from .breaker_window import Phase, Window
from .scope import Scope

MOST_WINDOWS = 1_000
MOST_SPENDINGS = 150
"""The most scopes watched at once; beyond them the healthy ones that were told of longest ago are forgotten."""
MOST_TRIPS = 50
FORGOTTEN_MS = 86_400_000
"""A rule that no worker told for so long is forgotten, with what it knows."""


@dataclass(frozen=True, slots=True)
class Known:
    """A rule, when a worker last told it, and the task queue of that worker, where people can be told."""

    rule: Breaker
    told_ms: int
    queue: str


@dataclass(frozen=True, slots=True)
class Watched:
    """Watches the scopes of all breakers.

    Attributes:
        rules: by digest.
        windows: by digest and scope, as `DIGEST SCOPE`.
        spendings: by digest and scope, as `DIGEST SCOPE`.
        trips: the last ones, the latest last.
    """

    rules: Mapping[str, Known] = field(default_factory=dict[str, Known])
    windows: Mapping[str, Window] = field(default_factory=dict[str, Window])
    spendings: Mapping[str, Spending] = field(default_factory=dict[str, Spending])
    trips: tuple[Trip, ...] = ()

    def told(
        self, rules: Sequence[Breaker], queue: str, reports: Iterable[Report], now_ms: int
    ) -> "tuple[Watched, list[Trip]]":
        """Returns the breakers with what a worker saw end, and those that trip.

        Args:
            rules: the rules of the worker.
            queue: the worker's task queue.
            reports: what it saw.
            now_ms: when it told so.
        """
        given = {rule.digest: rule for rule in rules}
        known = {**self.rules, **{digest: Known(rule, now_ms, queue) for digest, rule in given.items()}}
        windows, spendings = dict(self.windows), dict(self.spendings)
        touched: set[str] = set()
        for report in reports:
            for digest, rule in given.items():
                scope = rule.judged_in(report)
                if scope is None:
                    continue
                key = f"{digest} {scope}"
                touched.add(key)
                if rule.spend is None:
                    windows[key] = windows.get(key, Window()).told(rule, report, now_ms)
                else:
                    spendings[key] = spendings.get(key, Spending()).told(report.usd, now_ms)
        told = replace(self, rules=known, windows=windows, spendings=spendings)
        return told._judged(touched, now_ms)

    def ticked(self, now_ms: int) -> "tuple[Watched, list[Trip]]":
        """Returns the breakers as they stand now, where nothing was told since, and those that trip."""
        due = {key for key, window in self.windows.items() if _is_due(window.due_ms(self._rule(key)), now_ms)}
        spent = {key for key, spending in self.spendings.items() if _is_due(spending.due_ms, now_ms)}
        return self._judged(due | spent, now_ms)

    def stopped(self, trips: Iterable[Trip]) -> "Watched":
        """Returns the breakers after trips that stop their scopes: what is known of money follows their incidents."""
        tripped = {f"{one.digest} {one.scope}" for one in trips if one.then is not Then.WARN}
        follow = {key: replace(one, stops=True) for key, one in self.spendings.items() if key in tripped}
        return replace(self, spendings={**self.spendings, **follow}) if follow else self

    def due_ms(self) -> int | None:
        """Returns when something changes if nothing is told; None where nothing does."""
        moments = [window.due_ms(self._rule(key)) for key, window in self.windows.items()]
        moments += [spending.due_ms for spending in self.spendings.values()]
        return min((moment for moment in moments if moment is not None), default=None)

    def waiting(self) -> list[str]:
        """Returns the incidents of stopped scopes in which something ended since: perhaps they were lifted."""
        ended = [one.trip for one in self.windows.values() if one.stopped and one.trial]
        spent = [one.trip for one in self.spendings.values() if one.spent_since]
        return [trip.incident_id for trip in (*ended, *spent) if trip is not None]

    def tried(self) -> list[str]:
        """Returns the incidents of scopes in which canaries are watched: perhaps they are in force again."""
        windows = [one.trip for one in self.windows.values() if one.phase is Phase.HALF_OPEN and one.trial]
        spent = [one.trip for one in self.spendings.values() if one.phase is Phase.HALF_OPEN and one.trial]
        return [trip.incident_id for trip in (*windows, *spent) if trip is not None]

    def in_force_again(self, incident_id: str) -> "Watched":
        """Returns the breakers after an incident was put in force again that had been lifted for canaries."""
        windows = {key: one.in_force_again() if _is_of(one, incident_id) else one for key, one in self.windows.items()}
        spent = {key: one.in_force_again() if _is_of(one, incident_id) else one for key, one in self.spendings.items()}
        return replace(self, windows=windows, spendings=spent)

    def lifted(self, incident_id: str, at_ms: int, now_ms: int) -> "tuple[Watched, list[Trip]]":
        """Returns the breakers after a stop was lifted, for all or for canaries, and those that trip again.

        Args:
            incident_id: the incident that was lifted.
            at_ms: when it was.
            now_ms: the time now.
        """
        found = {key: one.lifted(at_ms) for key, one in self.windows.items() if _is_stopped(one, incident_id)}
        spent = {key: one.lifted(at_ms) for key, one in self.spendings.items() if _is_stopped(one, incident_id)}
        lifted = replace(self, windows={**self.windows, **found}, spendings={**self.spendings, **spent})
        return lifted._judged([*found, *spent], now_ms)

    def carried(self, now_ms: int) -> "Watched":
        """Returns the breakers without what has become too old, or too much to hand on."""
        rules = {digest: known for digest, known in self.rules.items() if known.told_ms > now_ms - FORGOTTEN_MS}
        windows = {key: one for key, one in self.windows.items() if _digest(key) in rules}
        spendings = {key: one for key, one in self.spendings.items() if _digest(key) in rules}
        worth = sorted(windows, key=lambda key: _worth(windows[key]))[-MOST_WINDOWS:]
        latest = sorted(spendings, key=lambda key: _worth_of_money(spendings[key]))[-MOST_SPENDINGS:]
        return replace(
            self,
            rules=rules,
            windows={key: windows[key] for key in worth},
            spendings={key: spendings[key] for key in latest},
        )

    def _rule(self, key: str) -> Breaker:
        return self.rules[_digest(key)].rule

    def _judged(self, keys: Iterable[str], now_ms: int) -> "tuple[Watched, list[Trip]]":
        windows, spendings = dict(self.windows), dict(self.spendings)
        trips: list[Trip] = []
        for key in sorted(keys):
            rule, scope = self._rule(key), Scope.read(key.partition(" ")[2])
            if rule.spend is None:
                windows[key], trip = windows[key].judged(rule, scope, now_ms)
            else:
                spendings[key], trip = spendings[key].judged(rule, scope, now_ms)
            if trip is not None:
                trips.append(trip)
        kept = (*self.trips, *trips)[-MOST_TRIPS:]
        return replace(self, windows=windows, spendings=spendings, trips=kept), trips


def _digest(key: str) -> str:
    return key.partition(" ")[0]


def _is_due(moment: int | None, now_ms: int) -> bool:
    return moment is not None and moment <= now_ms


def _is_of(one: Window | Spending, incident_id: str) -> bool:
    return one.trip is not None and one.trip.incident_id == incident_id


def _is_stopped(one: Window | Spending, incident_id: str) -> bool:
    return one.stopped and _is_of(one, incident_id)


def _worth_of_money(spending: Spending) -> tuple[bool, int]:
    return spending.stops, spending.newest_ms


def _worth(window: Window) -> tuple[bool, bool, int]:
    return window.phase is not Phase.CLOSED, window.failures > 0, window.newest_ms
