"""Decides whether a run may go on, and whether running activities are waited for."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from .keys import LAST_ANSWER
from .ledger import CLOSED
from .progress import LONGEST_CYCLE
from .stop import INTERRUPTING, Stop, StopReason

if TYPE_CHECKING:
    from .run_state import RunState

OVERBILLED = ":overbilled"
"""The end of a detail: a provider billed more than was held."""


def next_stop(state: "RunState") -> Stop | None:
    """Returns the strongest reason to stop that holds now; None where the run may go on."""
    for holds in _STOPS:
        if stop := holds(state):
            return stop
    return None


def gets_nowhere(state: "RunState") -> bool:
    """Tells whether one more repetition would stop the run, and the agent does not know yet."""
    limit = state.thresholds.repeats
    close = state.progress.repetitions >= max(1, limit - 1) or state.progress.stale >= limit * LONGEST_CYCLE // 2
    return close and not state.warned


def interruption(state: "RunState") -> bool:
    """Tells whether running activities must be cancelled now."""
    return interrupts(state, next_stop(state))


def interrupts(state: "RunState", stop: Stop | None) -> bool:
    """Tells the same, where the strongest reason to stop is known already."""
    ends = state.cancelled or state.deadline_passed or state.history_full
    return ends or (stop is not None and stop.reason in INTERRUPTING)


def wraps_up(state: "RunState") -> bool:
    """Tells whether the run ends for want of budget, with a last answer held back that may be asked for now."""
    stop = next_stop(state)
    dry = stop is not None and stop.reason is StopReason.BUDGET_EXHAUSTED
    # What was overbilled, or given back to the ledgers already, leaves nothing that is surely held.
    lost = (state.shortfall or "").endswith(OVERBILLED) or state.shortfall == CLOSED
    return dry and not lost and not interruption(state) and LAST_ANSWER in state.budget.holds


def stuck(state: "RunState") -> bool:
    """Tells whether the run must stop because it gets nowhere; results of siblings no longer change that."""
    return _repeating(state) or _stale(state)


def _repeating(state: "RunState") -> bool:
    return state.progress.repetitions >= state.thresholds.repeats


def _stale(state: "RunState") -> bool:
    return state.progress.stale >= state.thresholds.repeats * LONGEST_CYCLE


def _stop_if(holds: bool, reason: StopReason, detail: str | None = None) -> Stop | None:
    return Stop(reason, detail) if holds else None


# INVARIANT: in the order of StopReason, so that the first that holds is the strongest.
_STOPS: tuple["Callable[[RunState], Stop | None]", ...] = (
    lambda s: Stop(StopReason.KILLED, f"by {s.killed.by}: {s.killed.reason}") if s.killed else None,
    lambda s: Stop(StopReason.INCIDENT_STOP, f"by {s.incident.by}: {s.incident.reason}") if s.incident else None,
    lambda s: _stop_if(s.unknown_tool is not None, StopReason.OUTCOME_UNKNOWN, s.unknown_tool),
    lambda s: s.last_denial if s.denials >= s.thresholds.denials else None,
    lambda s: _stop_if(s.expired is not None, StopReason.APPROVAL_EXPIRED, s.expired),
    lambda s: _stop_if(s.shortfall is not None, StopReason.BUDGET_EXHAUSTED, s.shortfall),
    lambda s: _stop_if(s.deadline_passed, StopReason.DEADLINE_EXCEEDED, "seconds"),
    lambda s: _stop_if(_repeating(s), StopReason.NO_PROGRESS, "the same calls with the same results"),
    lambda s: _stop_if(_stale(s), StopReason.NO_PROGRESS, "calls that bring nothing new"),
    lambda s: _stop_if(s.malformed >= s.thresholds.malformed, StopReason.MALFORMED_CALLS, f"{s.malformed} in a row"),
    lambda s: _stop_if(s.failures >= s.thresholds.failures, StopReason.TOOL_FAILURES, f"{s.failures} in a row"),
    lambda s: _stop_if(s.model_lost is not None, StopReason.MODEL_UNAVAILABLE, s.model_lost),
    lambda s: _stop_if(s.answered and not s.conversation.goes_on, StopReason.COMPLETED),
)
