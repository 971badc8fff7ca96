"""Lists what a worker measures: each metric with its unit, its labels and its meaning.

INVARIANT: no label grows with the number of runs, and none holds a text of a model or of a caller: neither run nor
tenant is one. Agents, models, rules, meters, limits, accounts and breakers are those of files that a worker has loaded.
"""

from dataclasses import dataclass
from enum import StrEnum


class MeasureKind(StrEnum):
    """Names the kind of a metric."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Measure:
    """Describes one metric.

    Attributes:
        name: the name, the same in Prometheus and over OTLP.
        unit: the unit, as OpenTelemetry spells units.
        labels: the names of its labels.
        meaning: what it tells.
        kind: how it counts.
        buckets: the upper ends of a histogram's buckets; empty for others.
    """

    name: str
    unit: str
    labels: tuple[str, ...]
    meaning: str
    kind: MeasureKind = MeasureKind.COUNTER
    buckets: tuple[float, ...] = ()


_WAITS = (1.0, 10.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 28_800.0, 86_400.0, 259_200.0, 604_800.0)
"""A second to a week: people answer at once, after a meeting, or after the weekend."""
_LATENCIES = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

RUNS_CLOSED = Measure("backstay_runs_closed", "{run}", ("agent", "stop_reason"), "runs that ended")
STEPS = Measure("backstay_steps", "{step}", ("agent",), "steps of runs that ended")
TOKENS = Measure(
    "backstay_tokens", "{token}", ("agent", "model", "type"), "tokens of runs that ended, `input` or `output`"
)
SPENT = Measure("backstay_spent_micro_usd", "{micro-dollar}", ("agent",), "what runs that ended have spent")
EXPOSURE = Measure(
    "backstay_exposure_ten_thousandths",
    "{ten-thousandth}",
    ("agent", "meter"),
    "what runs that ended have added to meters of the domain, what is unknown included",
)
BUDGET_LEFT = Measure(
    "backstay_budget_left_ratio",
    "1",
    ("agent", "dimension"),
    "the part of a limit that a run had left at its end: 0 is nothing, 1 is all of it",
    MeasureKind.HISTOGRAM,
    _SHARES,
)
VERDICTS = Measure("backstay_verdicts", "{verdict}", ("agent", "outcome", "code"), "verdicts over calls, as recorded")
VERDICT_RULES = Measure(
    "backstay_verdict_rules", "{verdict}", ("agent", "outcome", "rule"), "verdicts that a rule has decided or helped to"
)
APPROVALS_OPENED = Measure("backstay_approvals_opened", "{approval}", ("agent",), "approvals opened")
APPROVALS_EXPIRING = Measure("backstay_approvals_expiring", "{approval}", ("agent",), "approvals expiring")
APPROVALS_CLOSED = Measure("backstay_approvals_closed", "{approval}", ("agent",), "approvals closed")
APPROVAL_WAIT = Measure(
    "backstay_approval_wait_seconds",
    "s",
    ("agent", "kind", "end"),
    "the time from the question of an approval to its end",
    MeasureKind.HISTOGRAM,
    _WAITS,
)
KILL_LATENCY = Measure(
    "backstay_kill_latency_seconds",
    "s",
    ("agent", "cause"),
    "the time from a run's obeying a `kill` or an `incident` to the end of all that it had under way",
    MeasureKind.HISTOGRAM,
    _LATENCIES,
)
BREAKER_TRIPS = Measure(
    "backstay_breaker_trips", "{trip}", ("breaker", "scope", "then"), "breakers that tripped, by the kind of scope"
)
LIMITS_NEARED = Measure(
    "backstay_limits_neared", "{warning}", ("limit",), "limits over many runs that are nearly used up"
)
RATES_LOWERED = Measure("backstay_rates_lowered", "{change}", ("account",), "rates of accounts that refusals lowered")
CONTROL_AGE = Measure(
    "backstay_control_copy_age_seconds",
    "s",
    (),
    "the age of a worker's copy of what is in force, told twice a second: above 2, effects wait",
    MeasureKind.GAUGE,
)

MEASURES = (
    RUNS_CLOSED,
    STEPS,
    TOKENS,
    SPENT,
    EXPOSURE,
    BUDGET_LEFT,
    VERDICTS,
    VERDICT_RULES,
    APPROVALS_OPENED,
    APPROVALS_EXPIRING,
    APPROVALS_CLOSED,
    APPROVAL_WAIT,
    KILL_LATENCY,
    BREAKER_TRIPS,
    LIMITS_NEARED,
    RATES_LOWERED,
    CONTROL_AGE,
)
