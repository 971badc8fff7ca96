"""A run as others see it: its status, its result."""

from temporalio import workflow

from backstay.contracts.budget import BudgetLimits, Spent
from backstay.contracts.run import AuditSummary, InFlight, RunRequest, RunResult
from backstay.contracts.status import RunStatusView, State
from backstay.kernel.events import CallOutcome
from backstay.kernel.run_state import RunState
from backstay.kernel.stop import Stop
from backstay.kernel.stopping import interruption, next_stop

from .clock import Clock
from .live import LiveRun
from .record import Record


def status_of(record: Record, clock: Clock, run: LiveRun | None) -> RunStatusView:
    """Returns the answer of the query `status`; `run` is None before the admission."""
    state, stop = record.state, record.stop
    return RunStatusView(
        state="closed" if record.closed else open_state(state),
        step=state.step,
        agent_version=run.admission.agent_version if run else None,
        spent=Spent.by(state.budget, clock.seconds()),
        held=Spent.of(state.budget.held, 0),
        budget=BudgetLimits.of(state.budget.limits),
        pending_approvals=record.pending(),
        stop_reason=stop.reason.value if stop else None,
    )


def result_of(request: RunRequest, record: Record, clock: Clock, run: LiveRun | None, stop: Stop) -> RunResult:
    """Returns what a run answers, however it ended; `run` is None where it ended before its admission."""
    state, audit = record.state, record.audit
    return RunResult(
        run_id=workflow.info().workflow_id,
        agent=request.agent,
        agent_version=run.admission.agent_version if run else "",
        tenant=request.tenant,
        status=stop.status.value,
        stop_reason=stop.reason.value,
        stop_detail=stop.detail,
        answer=run.answer if run else None,
        steps=state.step,
        spent=Spent.by(state.budget, clock.seconds()),
        budget=BudgetLimits.of(state.budget.limits),
        in_flight=[
            InFlight(call_id=call_id, tool=flight.tool, outcome=(flight.outcome or CallOutcome.UNKNOWN).value)
            for call_id, flight in state.in_flight.items()
        ],
        policy_version=run.admission.policy_version if run else "",
        audit=AuditSummary(records=audit.records, head=audit.head),
    )


def open_state(state: RunState) -> State:
    """Returns the word for where an open run stands."""
    if interruption(state):
        return "stopping"
    if not state.admitted:
        return "queued"
    if next_stop(state) and (state.running or state.decision):
        return "stopping"
    if state.paused:
        return "paused"
    return "waiting_approval" if state.open_approvals else "running"
