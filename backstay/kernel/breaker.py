"""A breaker's rule, what workers report to it, and what it says when it trips.

A rule looks at one kind of scope, and judges each scope of that kind by itself: with `agent` each agent's runs, with
`tool` each tool's calls.
"""

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from .keys import short_digest
from .money import format_usd
from .scope import Scope, ScopeError, ScopeKind
from .stop import StopReason
from .verdict import Code

USD, ALARM = "usd", "alarm"
"""What a rule may name beside stop reasons and codes of verdicts: money, and alarms of tools."""
DEFAULT_ON = (
    StopReason.DEADLINE_EXCEEDED,
    StopReason.MALFORMED_CALLS,
    StopReason.MODEL_UNAVAILABLE,
    StopReason.NO_PROGRESS,
    StopReason.OUTCOME_UNKNOWN,
    StopReason.TOOL_FAILURES,
)
"""The failures that count where a rule names none: the ends that no person, rule or budget chose."""
PER_MILLE = 1_000

_TELLING = frozenset(reason.value for reason in (*DEFAULT_ON, StopReason.COMPLETED))
_NO_FAILURES = frozenset({StopReason.COMPLETED.value, Code.PERMITTED.value, Code.NEEDS_APPROVAL.value})
NAMES = tuple(sorted({one.value for kinds in (StopReason, Code) for one in kinds} - _NO_FAILURES))
"""The stop reasons and the codes of verdicts that a rule may name."""


class Then(StrEnum):
    """Names the effect of a trip: hold the runs in scope, end them, or only tell people."""

    FREEZE = "freeze"
    STOP = "stop"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Share:
    """Trips when too large a part of the last reports failed, for some time.

    Attributes:
        per_mille: the part that is too large, in thousandths.
        of_last: how many reports are looked at; more where more come within `hold_ms`.
        min_runs: in how many different runs there must be failures.
        hold_ms: how long it must hold: an outage that ends sooner trips nothing.
        within_ms: reports that are older do not count.
    """

    per_mille: int = 400
    of_last: int = 20
    min_runs: int = 5
    hold_ms: int = 60_000
    within_ms: int = 1_800_000


@dataclass(frozen=True, slots=True)
class Count:
    """Trips at the `most`-th failure within a time, in at least `min_runs` different runs."""

    most: int
    window_ms: int = 60_000
    min_runs: int = 1


@dataclass(frozen=True, slots=True)
class Spend:
    """Trips when ten minutes cost much more than usual.

    Attributes:
        times: how many times the usual; the usual is what ten minutes of the last day seldom exceed.
        floor: less than this is never too much, in micro-dollars.
        limit: this is always too much, in micro-dollars; None sets no limit. Until there is a day of history it alone
            holds.
    """

    times: int = 3
    floor: int = 5_000_000
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Breaker:
    """A rule of org.toml; one of `share`, `count` and `spend` says when it trips.

    Attributes:
        name: names it among the rules of its fleet.
        scope: the kind of scope that it judges and stops.
        then: what it does.
        on: the stop reasons and verdict codes that count as failures, sorted; empty for `spend`.
    """

    name: str
    scope: ScopeKind
    then: Then
    on: tuple[str, ...] = ()
    share: Share | None = None
    count: Count | None = None
    spend: Spend | None = None

    @property
    def heeds_alarms(self) -> bool:
        """Tells whether alarms of tools trip it."""
        return ALARM in self.on

    @property
    def digest(self) -> str:
        """Tells two rules apart that have the same name and say something else."""
        return _digest(self)

    def failed(self, reasons: Sequence[str]) -> bool | None:
        """Tells whether an end is a failure for this rule; None where it tells nothing of the scope's health.

        What people, rules and budgets end says nothing, unless the rule names it.
        """
        if any(reason in self.on for reason in reasons):
            return True
        return False if reasons[:1] and reasons[0] in _TELLING else None

    def judged_in(self, report: "Report") -> Scope | None:
        """Returns the scope in which it judges a report; None where the report tells it nothing."""
        if self.spend is not None:
            return report.spent_in(self.scope)
        if report.kind is ReportKind.ALARM and not self.heeds_alarms:
            return None
        return report.scope(self.scope)

    def words(self) -> str:
        """Says in one line when it trips."""
        named = ", ".join(self.on)
        if self.share is not None:
            share = f"{self.share.per_mille / 10:g} % of the last {self.share.of_last}"
            return f"{share} with {named}, in {self.share.min_runs} runs, for {self.share.hold_ms / 1_000:g} s"
        if self.count is not None:
            told = alarms(self.count.most) if self.heeds_alarms else f"{self.count.most} with {named}"
            return f"{told} in {self.count.window_ms / 1_000:g} s"
        spend = self.spend or Spend()
        limit = f", or {format_usd(spend.limit)} USD" if spend.limit is not None else ""
        return f"10 minutes cost {spend.times} times the usual, {format_usd(spend.floor)} USD at least{limit}"


@functools.lru_cache(maxsize=256)
def _digest(rule: Breaker) -> str:
    return short_digest(repr(rule))


RUNAWAY_SPEND = Breaker("runaway-spend", ScopeKind.AGENT, Then.WARN, spend=Spend())
"""The one rule that is on by default."""


_CHANGING = re.compile(r"`[^`]*`|'[^']*'|\"[^\"]*\"|[0-9a-fA-F-]{8,}|[0-9]+")
_LONGEST_WORDS = 500


def likeness(words: str) -> str:
    """Returns a digest that is equal for failures that differ in numbers, ids and quoted words alone."""
    return short_digest(_CHANGING.sub("#", words[:_LONGEST_WORDS]).casefold())


def alarms(number: int) -> str:
    """Returns a number of alarms in words."""
    return "1 alarm" if number == 1 else f"{number} alarms"


class ReportKind(StrEnum):
    """Names the subject of a report."""

    RUN = "run"
    CALL = "call"
    DECISION = "decision"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that ended without an answer, a call that failed, or one in which a tool raised an alarm.

    Attributes:
        run: its run.
        reasons: its stop reason, or the code of its verdict; then, of a run, the codes of its refused calls.
        fingerprint: equal for failures that are alike.
        after: how many good ones of the same report came before it.
    """

    run: str
    reasons: tuple[str, ...]
    fingerprint: str
    after: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """Counts the ends that a worker saw in a moment, of one agent, tenant, tool and model; `usd` is their cost."""

    kind: ReportKind
    agent: str
    tenant: str
    tool: str | None = None
    model: str | None = None
    good: int = 0
    usd: int = 0
    failed: tuple[Failure, ...] = ()

    def scope(self, kind: ScopeKind) -> Scope | None:
        """Returns the scope of a kind that it judges; None where it judges none.

        A call judges its tool, a run all others, and an alarm all of them.
        """
        judging = ReportKind.CALL if kind is ScopeKind.TOOL else ReportKind.RUN
        return self._of(kind) if self.kind in (judging, ReportKind.ALARM) else None

    def spent_in(self, kind: ScopeKind) -> Scope | None:
        """Returns the scope of a kind in which money was spent; None where there was none, or nothing was."""
        return self._of(kind) if self.usd > 0 else None

    def _of(self, kind: ScopeKind) -> Scope | None:
        named = {
            ScopeKind.AGENT: self.agent,
            ScopeKind.TENANT: self.tenant,
            ScopeKind.TOOL: self.tool,
            ScopeKind.MODEL: self.model,
        }
        try:
            return Scope.read(kind.value if kind is ScopeKind.ALL else f"{kind}:{named[kind] or ''}")
        except ScopeError:  # nothing of that kind, or a name that nobody could stop
            return None

    def with_more(self, more: "Report") -> "Report":
        """Returns this report with what ended of the same agent, tenant, tool and model after it."""
        failed = tuple(replace(one, after=one.after + self.good) for one in more.failed)
        return replace(self, good=self.good + more.good, usd=self.usd + more.usd, failed=(*self.failed, *failed))

    @property
    def about(self) -> tuple[str | None, ...]:
        """Tells reports apart that cannot be told as one."""
        return self.kind, self.agent, self.tenant, self.tool, self.model

    def in_order(self) -> Iterator[int | Failure]:
        """Yields what ended, in its order: a number of good ones, or a failure."""
        before = 0
        for failure in self.failed:
            if failure.after > before:
                yield failure.after - before
                before = failure.after
            yield failure
        if self.good > before:
            yield self.good - before


def alarm_of(run: str, agent: str, tenant: str, tool: str, model: str) -> Report:
    """Returns the report of an alarm that a tool raised in a run; all alarms are alike."""
    raised = Failure(run, (ALARM,), likeness(ALARM))
    return Report(ReportKind.ALARM, agent, tenant, tool, model, failed=(raised,))


@dataclass(frozen=True, slots=True)
class Trip:
    """A breaker that has tripped.

    Attributes:
        breaker: the rule's name.
        digest: that of the rule.
        scope: what it is about.
        then: what is to be done.
        start_ms: when what it saw began.
        at_ms: when it tripped.
        why: what it saw, for people.
        fingerprint: of the failures, where at least half of them are alike; else empty.
        agents: those with failures.
        runs: some of the runs with failures.
    """

    breaker: str
    digest: str
    scope: Scope
    then: Then
    start_ms: int
    at_ms: int
    why: str
    fingerprint: str = ""
    agents: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()

    @property
    def incident_id(self) -> str:
        """Names the incident, so that telling it twice makes one."""
        start = datetime.fromtimestamp(self.start_ms // 1_000, UTC).strftime("%Y%m%dT%H%M%S")
        exact = short_digest(f"{self.digest}\n{self.scope}\n{self.start_ms}")[:6]
        return f"{self.breaker}-{start}-{exact}"

    @property
    def by(self) -> str:
        """Names the breaker where a person would stand."""
        return f"breaker {self.breaker}"
