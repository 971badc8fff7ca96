"""A run as others see it: its status, its result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from temporalio import workflow

from backstay.contracts.approval import PendingApproval
from backstay.contracts.budget import LimitsInForce, ModelSpent, Spent
from backstay.contracts.delegate import parent_of
from backstay.contracts.exposure import Sums, sums
from backstay.contracts.run import AuditSummary, InFlight, RunRequest, RunResult
from backstay.contracts.status import RunStatusView, State
from backstay.kernel.events import CallOutcome
from backstay.kernel.keys import LAST_ANSWER
from backstay.kernel.run_state import RunState
from backstay.kernel.shortage import explained
from backstay.kernel.stop import Stop
from backstay.kernel.stopping import interrupts

from .children import children_of, ended_children, labels_of
from .clock import Clock
from .conversation import answer_of, view_of
from .live import LiveRun
from .page import Latest
from .record import Record


@dataclass(frozen=True, slots=True)
class Standing:
    """Holds the standing of a run, as lists over many runs show it.

    `usd` is its spend, in micro-dollars; `frozen` are the incidents that hold it, `running` its calls under way.
    """

    state: State
    step: int
    usd: int
    stop_reason: str | None
    pending: Sequence[PendingApproval]
    frozen: tuple[str, ...] = ()
    running: Mapping[str, str] = field(default_factory=dict[str, str])


def standing_of(record: Record) -> Standing:
    """Returns where a run stands."""
    state, stop = record.state, record.stop
    return Standing(
        state="closed" if record.closed else open_state(record),
        step=state.step,
        usd=state.budget.spent.usd,
        stop_reason=stop.reason.value if stop else None,
        pending=record.pending(),
        frozen=() if record.closed else state.frozen,
        running=state.running,
    )


def status_of(record: Record, clock: Clock, run: LiveRun | None, seen_at: datetime | None = None) -> RunStatusView:
    """Returns where a run stands.

    Args:
        record: the run's record.
        clock: the run's clock.
        run: the admitted run; None before the admission.
        seen_at: the time of a reader outside of the run; default: the time of the run's last task.
    """
    state, stop = record.state, record.stop
    last = state.budget.holds.get(LAST_ANSWER)
    seconds = clock.seconds() if seen_at is None else clock.seconds_at(seen_at)
    return RunStatusView(
        state="closed" if record.closed else open_state(record),
        step=state.step,
        agent_version=run.admission.agent_version if run else None,
        spent=Spent.by(state.budget, seconds),
        held=Spent.of(state.budget.held, 0),
        held_back=None if last is None else Spent.of(last, 0),
        budget=record.limits(),
        exposure=_sums(state),
        pending_approvals=record.pending(),
        trouble=record.trouble,
        proofs=run.admission.proofs if run else "unverifiable",
        stop_reason=stop.reason.value if stop else None,
        stop_explained=explained(state, stop),
        people=list(record.people),
        refused=list(record.refused),
        parent=record.parent,
        children=children_of(state),
        conversation=view_of(run),
        link=run.link if run else 1,
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
        answer=answer_of(run) if run else None,
        steps=state.step,
        spent=Spent.by(state.budget, clock.seconds()),
        budget=LimitsInForce.of(state.budget.limits),
        exposure=_sums(state),
        in_flight=[
            InFlight(call_id=call_id, tool=flight.tool, outcome=(flight.outcome or CallOutcome.UNKNOWN).value)
            for call_id, flight in state.in_flight.items()
        ],
        policy_version=run.admission.policy_version if run else "",
        audit=AuditSummary(records=audit.records, head=audit.head),
        stop_explained=explained(state, stop),
        models={name: ModelSpent.of(amount) for name, amount in state.spent_by.items()},
        labels=sorted(labels_of(run)) if run and (state.children or parent_of(request)) else [],
        children=ended_children(state),
        parent=record.parent,
    )


def _sums(state: RunState) -> Sums:
    """Returns what counts of each meter: what happened, what may have, and what is held for calls under way.

    Those of the tenant's day and month are the last that a ledger told.
    """
    counted = state.budget.exposed()
    return sums(counted, state.counted, {**state.budget.limits.exposure, **counted})


def latest_of(record: Record, run: LiveRun | None) -> Latest:
    """Returns the run's latest words for its page; `run` is None before the admission."""
    return Latest(
        calls=tuple(told.line for told in run.told.values()) if run else (),
        answer=answer_of(run) if run else None,
        detail=record.stop.detail if record.stop else None,
    )


def open_state(record: Record) -> State:
    """Returns the word for where an open run stands."""
    state, stop = record.state, record.strongest
    if interrupts(state, stop):
        return "stopping"
    if not state.admitted:
        return "queued"
    if stop and (state.running or state.decision):
        return "stopping"
    if state.stands_still:
        return "paused"
    if record.waits_for_people:
        return "waiting_approval"
    return "waiting_input" if state.listens else "running"
