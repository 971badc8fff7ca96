"""Counts what becomes of runs, approvals, limits, rates and breakers, as metrics of the worker.

A replay counts nothing again: the engine's meter of workflows is silent then.
"""

from collections.abc import Mapping

from temporalio import workflow

from backstay.contracts import measures
from backstay.contracts.measures import Measure, MeasureKind
from backstay.kernel.breaker import Trip
from backstay.kernel.ledger_sums import Crossing

_APPROVALS = {
    "opened": measures.APPROVALS_OPENED,
    "expiring": measures.APPROVALS_EXPIRING,
    "closed": measures.APPROVALS_CLOSED,
}


def tell(measure: Measure, value: float, labels: Mapping[str, str]) -> None:
    """Adds to a counter, or records a value of a histogram.

    Args:
        measure: the metric.
        value: what is added, whole and zero or more; of a histogram any number.
        labels: a value for each of its labels.
    """
    meter, described = workflow.metric_meter(), (measure.name, measure.meaning, measure.unit)
    if measure.kind is MeasureKind.HISTOGRAM:
        meter.create_histogram_float(*described).record(value, labels)
    else:
        meter.create_counter(*described).add(int(value), labels)


def approval_told(agent: str, event: str) -> None:
    """Counts an approval that opens, closes, or is about to expire, by agent."""
    tell(_APPROVALS[event], 1, {"agent": agent})


def limit_neared(crossing: Crossing) -> None:
    """Counts a warning that runs together near a limit, by the limit's name, such as `usd:tenant:day`."""
    tell(measures.LIMITS_NEARED, 1, {"limit": crossing.name})


def rate_lowered(account: str) -> None:
    """Counts that a provider's refusals lowered the rate of an account."""
    tell(measures.RATES_LOWERED, 1, {"account": account})


def breaker_tripped(trip: Trip) -> None:
    """Counts a breaker that tripped; of its scope the kind alone, because there may be many tenants."""
    tell(
        measures.BREAKER_TRIPS,
        1,
        {"breaker": trip.breaker, "scope": trip.scope.kind.value, "then": trip.then.value},
    )
