"""Defines the reports of workers to the breakers, the orders when one trips, and the view for people."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from backstay.kernel.breaker import Breaker, Report, Then, Trip
from backstay.kernel.breaker_spend import Spending
from backstay.kernel.breaker_window import Phase, Window
from backstay.kernel.breakers import Watched
from backstay.kernel.control import InForce

from .control import StopOrder
from .problems import Contract, Problem, problems_of

MOST_RULES = 100
MOST_REPORTS = 10_000
MOST_LOOKED_AT = 100
MOST_SHOWN = 200
"""The most windows that are shown, those that are not well first."""

_NAME = re.compile("[A-Za-z0-9_-]{1,64}")


def _bounded(rule: Breaker) -> Breaker:
    """Refuses a rule that org.toml cannot say: it would keep more reports, or trip by a name that no order may have."""
    if _NAME.fullmatch(rule.name) is None:
        raise ValueError("the name of a breaker has 1 to 64 letters, digits, `-` and `_`")
    looked_at = (rule.share.of_last if rule.share else 1, rule.count.most if rule.count else 1)
    if not all(1 <= number <= MOST_LOOKED_AT for number in looked_at):
        raise ValueError(f"a breaker looks at 1 to {MOST_LOOKED_AT} reports one by one")
    return rule


Rule = Annotated[Breaker, AfterValidator(_bounded)]
QueueName = Annotated[str, Field(min_length=1, max_length=1_000, strict=True)]


class Reports(Contract):
    """Holds the ends that a worker saw since it last told, and the rules of its org.toml.

    Attributes:
        rules: by which these reports are judged, and no others.
        queue: the worker's task queue, on which people are told of a trip.
        reports: what it saw.
    """

    rules: Annotated[list[Rule], Field(max_length=MOST_RULES)]
    queue: QueueName
    reports: Annotated[list[Report], Field(max_length=MOST_REPORTS)]


class BreakersInput(Contract):
    """The input of `Breakers`: nothing; the rest comes from an earlier link of the same workflow alone.

    Attributes:
        watched: what the breakers watch.
        stops: the trips that the control plane has not taken yet.
    """

    watched: Watched | None = None
    stops: list[Trip] = Field(default_factory=list[Trip])

    @classmethod
    def read(cls, args: tuple[Any, ...], *, continued: bool) -> "BreakersInput | list[Problem]":
        """Reads the arguments of a start; anything but one fitting object is a list of problems."""
        if len(args) != 1:
            return [Problem(field="$", problem=f"expected exactly one JSON object, got {len(args)} inputs")]
        try:
            given = cls.model_validate(args[0])
        except ValidationError as error:
            return problems_of(error)
        if given != cls() and not continued:
            return [Problem(field="watched", problem="only an earlier link of the same workflow may hand this on")]
        return given


class TripInput(Contract):
    """The input of `trip` and of `announce`: a breaker that has tripped."""

    trip: Trip

    def order(self) -> StopOrder:
        """Returns what the control plane is told."""
        trip = self.trip
        return StopOrder(
            by=trip.by,
            reason=trip.why[:2_000],
            incident_id=trip.incident_id,
            scope=str(trip.scope),
            freeze=trip.then is Then.FREEZE,
        )

    @property
    def words(self) -> str:
        """Says what has tripped, and what follows, in one line."""
        trip = self.trip
        done = {
            Then.FREEZE: f"{trip.scope} is frozen, incident {trip.incident_id}",
            Then.STOP: f"{trip.scope} is stopped, incident {trip.incident_id}",
            Then.WARN: f"{trip.scope}, nothing is stopped",
        }
        return f"breaker {trip.breaker} tripped: {done[trip.then]}: {trip.why}"


class TripResult(Contract):
    """The result of `trip`: why the control plane refuses the stop; None where it is in force."""

    refused: str | None = None


class LiftedInput(Contract):
    """The input of `lifted`: incidents of breakers."""

    incidents: list[str]


class LiftedResult(Contract):
    """The result of `lifted`: of the incidents that are lifted, at least in part, when they were.

    `held` are those of which nothing is lifted, or nothing any more.
    """

    lifted: dict[str, int]
    held: list[str] = Field(default_factory=list[str])


class TripNotice(Contract):
    """Tells a webhook that a breaker has tripped; sent once for each agent with failures in the scope.

    Attributes:
        event: always `breaker_tripped`.
        breaker: the breaker's name.
        agent: the agent that this webhook is of.
        scope: such as `agent:support`.
        then: what was done: `freeze`, `stop` or `warn`.
        incident_id: the incident to lift; null where nothing was stopped.
        why: what it saw.
        runs: some of the runs with failures.
    """

    event: Literal["breaker_tripped"] = "breaker_tripped"
    breaker: str
    agent: str
    scope: str
    then: str
    incident_id: str | None
    why: str
    runs: list[str]

    @classmethod
    def of(cls, trip: Trip, agent: str) -> "TripNotice":
        """Returns the notice of a trip for an agent's webhook."""
        return cls(
            breaker=trip.breaker,
            agent=agent,
            scope=str(trip.scope),
            then=trip.then.value,
            incident_id=None if trip.then is Then.WARN else trip.incident_id,
            why=trip.why,
            runs=list(trip.runs),
        )


class WindowView(Contract):
    """Describes one scope as its breaker knows it.

    Attributes:
        scope: such as `agent:support`.
        state: `closed`, `open` after a trip, or `half_open` while canaries are watched; for spend, while what is spent
            after the lift is.
        failed: how many of the reports that count failed; null for spend.
        of: how many reports count; null for spend.
        usd_10m: what the last ten minutes cost, in micro-dollars; null for the others.
        usual_10m: what is usual, in micro-dollars; null for the others, and without a day of history.
        incident_id: of the last trip that stopped something.
        tripped_ms: when it last tripped.
    """

    scope: str
    state: Phase
    failed: int | None = None
    of: int | None = None
    usd_10m: int | None = None
    usual_10m: int | None = None
    incident_id: str | None = None
    tripped_ms: int | None = None


class RuleView(Contract):
    """A rule that workers told, and what it knows.

    Attributes:
        name: the rule's name.
        digest: tells it from rules of other fleets that have its name and say something else.
        scope: the kind of scope that it judges.
        then: `freeze`, `stop` or `warn`.
        rule: when it trips, in words.
        told_ms: when a worker last told it.
        windows: what it knows of each scope, those that are not well first.
    """

    name: str
    digest: str
    scope: str
    then: str
    rule: str
    told_ms: int
    windows: list[WindowView]


class TripView(Contract):
    """A trip as people read it."""

    breaker: str
    scope: str
    then: str
    incident_id: str | None
    why: str
    at_ms: int


class BreakersView(Contract):
    """The breakers of all fleets, as people read them."""

    rules: list[RuleView]
    trips: list[TripView]
    at_ms: int

    @classmethod
    def of(cls, watched: Watched, now_ms: int) -> "BreakersView":
        """Shows what the breakers watch."""
        rules = [
            RuleView(
                name=known.rule.name,
                digest=digest,
                scope=known.rule.scope.value,
                then=known.rule.then.value,
                rule=known.rule.words(),
                told_ms=known.told_ms,
                windows=_shown(watched, digest, now_ms),
            )
            for digest, known in watched.rules.items()
        ]
        trips = [
            TripView(
                breaker=trip.breaker,
                scope=str(trip.scope),
                then=trip.then.value,
                incident_id=None if trip.then is Then.WARN else trip.incident_id,
                why=trip.why,
                at_ms=trip.at_ms,
            )
            for trip in watched.trips
        ]
        return cls(rules=sorted(rules, key=lambda rule: rule.name), trips=trips, at_ms=now_ms)

    def beside(self, state: InForce) -> "BreakersView":
        """Shows breakers as their incidents stand: they learn of a lift only when something ends after it."""
        rules = [
            rule.model_copy(update={"windows": [_standing(window, state) for window in rule.windows]})
            for rule in self.rules
        ]
        return self.model_copy(update={"rules": rules})


def _standing(window: WindowView, state: InForce) -> WindowView:
    incident = state.incidents.get(window.incident_id or "")
    if incident is None:
        return window
    if incident.ended_ms is None:
        phase = Phase.OPEN if incident.whole else Phase.HALF_OPEN
    else:
        phase = Phase.HALF_OPEN if window.state is Phase.OPEN else window.state
    return window.model_copy(update={"state": phase})


def _shown(watched: Watched, digest: str, now_ms: int) -> list[WindowView]:
    views = [*_windows(watched, digest), *_spendings(watched, digest, now_ms)]
    views.sort(key=lambda one: (one.state is Phase.CLOSED, -(one.failed or 0), -(one.usd_10m or 0), one.scope))
    return views[:MOST_SHOWN]


def _windows(watched: Watched, digest: str) -> Iterator[WindowView]:
    for key, one in watched.windows.items():
        if (scope := _scope(key, digest)) is not None:
            failed, of = _figures(one)
            yield WindowView(scope=scope, state=one.phase, failed=failed, of=of, **_tripped(one.trip))


def _figures(window: Window) -> tuple[int, int]:
    """Returns how many failed, of how many: since a trip those that came after it."""
    if window.phase is Phase.CLOSED or (not window.stopped and window.phase is not Phase.HALF_OPEN):
        return window.failures, window.total
    return sum(1 for one in window.trial if one.fingerprint), len(window.trial)


def _spendings(watched: Watched, digest: str, now_ms: int) -> Iterator[WindowView]:
    for key, one in watched.spendings.items():
        if (scope := _scope(key, digest)) is not None:
            yield _spending(scope, one, now_ms)


def _spending(scope: str, one: Spending, now_ms: int) -> WindowView:
    latest, usual = one.latest(now_ms), one.usual(now_ms)
    return WindowView(scope=scope, state=one.phase, usd_10m=latest, usual_10m=usual, **_tripped(one.trip))


def _scope(key: str, digest: str) -> str | None:
    told, _, scope = key.partition(" ")
    return scope if told == digest else None


def _tripped(trip: Trip | None) -> dict[str, Any]:
    if trip is None:
        return {}
    return {"incident_id": None if trip.then is Then.WARN else trip.incident_id, "tripped_ms": trip.at_ms}
