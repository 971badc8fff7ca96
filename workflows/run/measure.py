"""Counts what becomes of runs and approvals, as metrics of the worker; a replay counts nothing again.

No label grows with the number of runs: neither run nor tenant is one.
"""

from temporalio import workflow

from backstay.kernel.ledger_sums import Crossing
from backstay.kernel.stop import Stop

RUNS_CLOSED = "backstay_runs_closed"
SPENT = "backstay_spent_micro_usd"
LIMITS_NEARED = "backstay_limits_neared"
RATES_LOWERED = "backstay_rates_lowered"
APPROVALS = {
    "opened": "backstay_approvals_opened",
    "expiring": "backstay_approvals_expiring",
    "closed": "backstay_approvals_closed",
}


def run_closed(agent: str, stop: Stop | None, spent_micro_usd: int) -> None:
    """Counts a run that ends, by agent and stop reason, and what it spent; the engine's cancel has no stop."""
    meter = workflow.metric_meter()
    reason = stop.reason.value if stop else "cancelled"
    meter.create_counter(RUNS_CLOSED, "runs that ended").add(1, {"agent": agent, "stop_reason": reason})
    meter.create_counter(SPENT, "what runs that ended have spent", "micro-dollars").add(
        spent_micro_usd, {"agent": agent}
    )


def approval_told(agent: str, event: str) -> None:
    """Counts an approval that opens, closes, or is about to expire, by agent."""
    workflow.metric_meter().create_counter(APPROVALS[event], f"approvals {event}").add(1, {"agent": agent})


def limit_neared(crossing: Crossing) -> None:
    """Counts a warning that runs together near a limit, by the limit's name, such as `usd:tenant:day`."""
    workflow.metric_meter().create_counter(LIMITS_NEARED, "limits over many runs that are nearly used up").add(
        1, {"limit": crossing.name}
    )


def rate_lowered(account: str) -> None:
    """Counts that a provider's refusals lowered the rate of an account."""
    workflow.metric_meter().create_counter(RATES_LOWERED, "rates of accounts that refusals lowered").add(
        1, {"account": account}
    )
