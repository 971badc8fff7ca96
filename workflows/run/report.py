"""A run as others see it: its status, its result."""

from backstay.contracts.admission import Admission
from backstay.contracts.approval import PendingApproval
from backstay.contracts.budget import BudgetLimits, Spent
from backstay.contracts.run import AuditSummary, InFlight, RunRequest, RunResult
from backstay.contracts.status import RunStatusView, State
from backstay.kernel.audit import AuditHead
from backstay.kernel.events import CallOutcome
from backstay.kernel.run_state import RunState
from backstay.kernel.stop import Stop
from backstay.kernel.stopping import interruption, next_stop


def state_name(state: RunState, closed: bool) -> State:
    """The one word for where a run stands."""
    if closed:
        return "closed"
    if interruption(state):
        return "stopping"
    if not state.admitted:
        return "queued"
    if next_stop(state) and (state.running or state.decision):
        return "stopping"
    if state.paused:
        return "paused"
    return "waiting_approval" if state.open_approvals else "running"


def status_of(
    state: RunState,
    admission: Admission | None,
    seconds: int,
    closed: bool,
    stop: Stop | None,
    pending: list[PendingApproval],
) -> RunStatusView:
    """The answer of the query `status`."""
    return RunStatusView(
        state=state_name(state, closed),
        step=state.step,
        agent_version=admission.agent_version if admission else None,
        spent=Spent.by(state.budget, seconds),
        held=Spent.of(state.budget.held, 0),
        budget=BudgetLimits.of(state.budget.limits),
        pending_approvals=pending,
        stop_reason=stop.reason.value if stop else None,
    )


def result_of(
    request: RunRequest,
    run_id: str,
    state: RunState,
    admission: Admission | None,
    audit: AuditHead,
    stop: Stop,
    answer: str | None,
    seconds: int,
) -> RunResult:
    """What the run answers, however it ended."""
    return RunResult(
        run_id=run_id,
        agent=request.agent,
        agent_version=admission.agent_version if admission else "",
        tenant=request.tenant,
        status=stop.status.value,
        stop_reason=stop.reason.value,
        stop_detail=stop.detail,
        answer=answer,
        steps=state.step,
        spent=Spent.by(state.budget, seconds),
        budget=BudgetLimits.of(state.budget.limits),
        in_flight=[
            InFlight(call_id=call_id, tool=flight.tool, outcome=(flight.outcome or CallOutcome.UNKNOWN).value)
            for call_id, flight in state.in_flight.items()
        ],
        policy_version=admission.policy_version if admission else "",
        audit=AuditSummary(records=audit.records, head=audit.head),
    )
