"""The changes that events make: one function per event, from a state to the next."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .approval import ApprovalEnd, ApprovalKind
from .budget import Amount, Budget, Settled, Shortfall
from .child_transitions import CHILD_TRANSITIONS
from .compact_events import Compacted, CompactionHeld, CompactionSettled
from .conversation_transitions import CONVERSATION_TRANSITIONS
from .events import (
    Admitted,
    ApprovalEnded,
    ApprovalOpened,
    ApprovalVoted,
    BudgetShort,
    CallEnded,
    CallHeld,
    CallJudged,
    CallOutcome,
    CallReleased,
    CancelRequested,
    Closed,
    Concluding,
    Counted,
    DeadlinePassed,
    Decided,
    DecisionEnded,
    DecisionHeld,
    DecisionKind,
    DecisionSettled,
    DecisionUnusable,
    Drawn,
    Event,
    Flight,
    Granted,
    HistoryFull,
    Killed,
    MessageRefused,
    ModelChanged,
    ModelLost,
    Paused,
    Resumed,
    Tainted,
    Warned,
    WrapsUp,
)
from .incident_events import Frozen, IncidentStopped, Thawed
from .keys import LAST_ANSWER, act_id, compact_id, decide_id, kept_id
from .progress import FEWEST_REPEATS
from .stop import Stop, StopReason
from .stopping import OVERBILLED, interruption, stuck
from .verdict import Outcome

if TYPE_CHECKING:
    from .run_state import RunState


def _admitted(state: "RunState", event: Admitted) -> "RunState":
    if state.admitted:
        return state
    return replace(
        state,
        admitted=True,
        budget=replace(state.budget, limits=event.limits),
        thresholds=event.thresholds,
        price=event.price,
        max_output_tokens=event.max_output_tokens,
    )


def _decision_held(state: "RunState", event: DecisionHeld) -> "RunState":
    free = replace(state, budget=state.budget.release(LAST_ANSWER))
    held = _hold(free, decide_id(event.step), event.amount)
    if not isinstance(held, Shortfall) and event.last_answer is not None:
        held = held.hold(LAST_ANSWER, event.last_answer)
    if isinstance(held, Shortfall):
        return _short(state, held.dimension)
    return replace(state, budget=held, step=event.step, decision=event)


def _decision_settled(state: "RunState", event: DecisionSettled) -> "RunState":
    name = decide_id(event.step)
    if name not in state.budget.holds:
        return state
    settled = state.budget.settle(name, event.amount, event.usd_unbilled)
    is_open = state.decision is not None and state.decision.step != event.step
    after = replace(
        state,
        budget=settled.budget,
        decision=state.decision if is_open else None,
        context_tokens=event.context_tokens,
    )
    if state.models:
        before = state.spent_by.get(state.models[-1], Amount())
        after = replace(after, spent_by={**state.spent_by, state.models[-1]: before + event.amount})
    return _billed(after, settled)


def _compaction_held(state: "RunState", event: CompactionHeld) -> "RunState":
    held = _hold(state, compact_id(event.number), event.amount)
    return state if isinstance(held, Shortfall) else replace(state, budget=held)


def _compaction_settled(state: "RunState", event: CompactionSettled) -> "RunState":
    settled = state.budget.settle(compact_id(event.number), event.amount, event.usd_unbilled)
    if settled.budget is state.budget:
        return state
    after = replace(state, budget=settled.budget)
    if asked := event.asked or next(reversed(state.models), None):
        after = replace(after, spent_by={**state.spent_by, asked: state.spent_by.get(asked, Amount()) + event.amount})
    return _billed(after, settled)


def _decided(state: "RunState", event: Decided) -> "RunState":
    match event.decision:
        case DecisionKind.ANSWER:
            return replace(state, answered=True, malformed=0)
        case DecisionKind.MALFORMED:
            return replace(state, malformed=state.malformed + 1)
        case _:
            return state


def _decision_unusable(state: "RunState", event: DecisionUnusable) -> "RunState":
    return replace(state, malformed=state.malformed + 1)


def _call_judged(state: "RunState", event: CallJudged) -> "RunState":
    if event.verdict.unusable:
        return state
    usable = replace(state, malformed=0)
    if event.verdict.outcome is not Outcome.DENY:
        return usable
    detail = ", ".join(event.verdict.rules) or event.verdict.code.value
    return _refused(usable, Stop(StopReason.POLICY_DENIED, f"{event.tool}: {detail}"))


def _call_held(state: "RunState", event: CallHeld) -> "RunState":
    amount = Amount(tool_calls=1, usd=event.usd, tools={event.tool: 1}, exposure=event.exposure)
    held = _hold(state, act_id(event.call_id), amount, event.at_ms, event.agreed)
    if isinstance(held, Shortfall):
        return _short(state, held.dimension)
    return replace(state, budget=held, running={**state.running, event.call_id: event.tool})


def _call_ended(state: "RunState", event: CallEnded) -> "RunState":
    name = act_id(event.call_id)
    if name not in state.budget.holds:
        return state
    in_flight = dict(state.in_flight)
    if event.call_id in in_flight:
        in_flight[event.call_id] = Flight(event.tool, event.outcome)
    after = replace(
        state,
        running={key: tool for key, tool in state.running.items() if key != event.call_id},
        in_flight=in_flight,
    )
    if event.outcome is CallOutcome.DENIED:
        return replace(after, budget=state.budget.release(name))
    settled = _settled(state.budget, event)
    after = replace(after, budget=settled.budget)
    if event.outcome is CallOutcome.UNKNOWN and not interruption(state):
        after = replace(after, unknown_tool=state.unknown_tool or event.tool)
    return _billed(after, settled)


def _settled(budget: Budget, event: CallEnded) -> Settled:
    """Settles a call: its meters count if it happened, stay held if nobody knows, and else get their hold back."""
    name = act_id(event.call_id)
    exposure = budget.holds[name].exposure
    happened = event.counts and event.outcome is CallOutcome.COMPLETED
    actual = Amount(tool_calls=1, usd=event.usd, tools={event.tool: 1}, exposure=exposure if happened else {})
    settled = budget.settle(name, actual)
    if not exposure or not event.counts or happened:
        return settled
    return replace(settled, budget=settled.budget.keep(kept_id(event.call_id), Amount(exposure=exposure)))


def _decision_ended(state: "RunState", event: DecisionEnded) -> "RunState":
    progress = state.progress if stuck(state) else state.progress.noted(event.fingerprints)
    # Where any repetition stops the run, it was told so once, and new calls change nothing about that.
    moves_on = progress.is_new and state.thresholds.repeats > FEWEST_REPEATS
    failures = functools.reduce(functools.partial(_failures, state.thresholds.failures), event.outcomes, state.failures)
    return replace(state, failures=failures, progress=progress, warned=state.warned and not moves_on)


def _failures(limit: int, failures: int, outcome: CallOutcome) -> int:
    """Counts failures in a row; once they reach the limit, a sibling's success does not reset them."""
    if outcome is CallOutcome.FAILED:
        return failures + 1
    return 0 if outcome is CallOutcome.COMPLETED and failures < limit else failures


def _call_released(state: "RunState", event: CallReleased) -> "RunState":
    return replace(
        state,
        budget=state.budget.release(act_id(event.call_id)),
        running={key: tool for key, tool in state.running.items() if key != event.call_id},
        in_flight={key: flight for key, flight in state.in_flight.items() if key != event.call_id},
    )


def _hold(
    state: "RunState", name: str, amount: Amount, at_ms: int = 0, agreed: Mapping[str, int] | None = None
) -> Budget | Shortfall:
    # Before the admission no limit is known yet, and none is no limit.
    return state.budget.hold(name, amount, at_ms, agreed) if state.admitted else Shortfall("admission")


def _billed(state: "RunState", settled: Settled) -> "RunState":
    # An overbilled hold is said openly, whatever was short before it.
    if settled.overbilled is None or (state.shortfall or "").endswith(OVERBILLED):
        return state
    return replace(state, shortfall=settled.overbilled + OVERBILLED)


def _approval_opened(state: "RunState", event: ApprovalOpened) -> "RunState":
    if event.approval.approval_id in state.approvals:
        return state
    return replace(state, approvals={**state.approvals, event.approval.approval_id: event.approval})


def _approval_voted(state: "RunState", event: ApprovalVoted) -> "RunState":
    approval = state.approvals.get(event.approval_id)
    if approval is None or approval.refuses(event.by):
        return state
    return replace(state, approvals={**state.approvals, event.approval_id: approval.voted(event.by)})


def _approval_ended(state: "RunState", event: ApprovalEnded) -> "RunState":
    approval = state.approvals.get(event.approval_id)
    if approval is None or approval.end is not None:
        return state
    after = replace(state, approvals={**state.approvals, event.approval_id: approval.ended(event.end, event.comment)})
    if approval.kind in (ApprovalKind.BUDGET, ApprovalKind.QUESTION):
        return after  # a no leaves the budget as it is, no answer is one too, and neither refuses a call
    match event.end:
        case ApprovalEnd.DENIED:
            said = f"{approval.tool}: denied by {event.by}"
            return _refused(after, Stop(StopReason.APPROVAL_DENIED, said))
        case ApprovalEnd.EXPIRED if state.thresholds.expiry_stops:
            return replace(after, expired=approval.tool)
        case ApprovalEnd.EXPIRED:
            return _refused(after, Stop(StopReason.APPROVAL_EXPIRED, approval.tool))
        case _:
            return after


def _refused(state: "RunState", denial: Stop) -> "RunState":
    # The refusal that reached the threshold is the reason: what is refused after it does not weaken it.
    last = state.last_denial if state.denials >= state.thresholds.denials else denial
    return replace(state, denials=state.denials + 1, last_denial=last)


def _short(state: "RunState", dimension: str) -> "RunState":
    return replace(state, shortfall=state.shortfall or dimension)


def _drawn(state: "RunState", event: Drawn) -> "RunState":
    drawn = dict(state.drawn or {})
    for name, amount in event.amounts.items():
        drawn[name] = drawn.get(name, 0) + amount
    return replace(state, drawn=drawn)


def _counted(state: "RunState", event: Counted) -> "RunState":
    return replace(state, counted={**state.counted, **event.sums})


def _interrupted(state: "RunState") -> "RunState":
    flights = {call_id: Flight(tool) for call_id, tool in state.running.items()}
    return replace(state, in_flight={**flights, **state.in_flight})


def _granted(state: "RunState", event: Granted) -> "RunState":
    return replace(state, budget=replace(state.budget, limits=event.limits), concluding=False)


def _killed(state: "RunState", event: Killed) -> "RunState":
    return _interrupted(replace(state, killed=state.killed or event))


def _incident_stopped(state: "RunState", event: IncidentStopped) -> "RunState":
    return _interrupted(replace(state, incident=state.incident or event))


def _frozen(state: "RunState", event: Frozen) -> "RunState":
    return state if event.incident in state.frozen else replace(state, frozen=(*state.frozen, event.incident))


def _thawed(state: "RunState", event: Thawed) -> "RunState":
    later = {
        approval.approval_id: replace(approval, expires_at_ms=approval.expires_at_ms + event.held_ms)
        for approval in state.open_approvals
    }
    still = tuple(incident for incident in state.frozen if incident != event.incident)
    talk = state.conversation
    if talk.open_until_ms is not None:
        talk = replace(talk, open_until_ms=talk.open_until_ms + event.held_ms)
    return replace(state, frozen=still, approvals={**state.approvals, **later}, conversation=talk)


def _deadline_passed(state: "RunState", event: DeadlinePassed) -> "RunState":
    return _interrupted(replace(state, deadline_passed=True))


def _history_full(state: "RunState", event: HistoryFull) -> "RunState":
    return _interrupted(_short(replace(state, history_full=True), "history"))


def _cancel_requested(state: "RunState", event: CancelRequested) -> "RunState":
    return _interrupted(replace(state, cancelled=True))


TRANSITIONS: dict[type[Event], "Callable[[RunState, Any], RunState]"] = {
    Admitted: _admitted,
    ApprovalOpened: _approval_opened,
    ApprovalVoted: _approval_voted,
    ApprovalEnded: _approval_ended,
    DecisionHeld: _decision_held,
    DecisionSettled: _decision_settled,
    CompactionHeld: _compaction_held,
    CompactionSettled: _compaction_settled,
    Compacted: lambda state, event: replace(state, context_tokens=event.context_tokens),
    Decided: _decided,
    DecisionUnusable: _decision_unusable,
    CallJudged: _call_judged,
    CallHeld: _call_held,
    CallEnded: _call_ended,
    DecisionEnded: _decision_ended,
    CallReleased: _call_released,
    BudgetShort: lambda state, event: replace(_short(state, event.dimension), short=state.short or event),
    Closed: lambda state, event: replace(state, budget=state.budget.release(LAST_ANSWER)),
    Drawn: _drawn,
    Counted: _counted,
    Concluding: lambda state, event: replace(state, concluding=True),
    WrapsUp: lambda state, event: replace(state, wrapped=True),
    Warned: lambda state, event: replace(state, warned=True),
    Granted: _granted,
    Killed: _killed,
    Paused: lambda state, event: replace(state, paused=True),
    Resumed: lambda state, event: replace(state, paused=False),
    IncidentStopped: _incident_stopped,
    Frozen: _frozen,
    Thawed: _thawed,
    DeadlinePassed: _deadline_passed,
    HistoryFull: _history_full,
    CancelRequested: _cancel_requested,
    ModelChanged: lambda state, event: replace(state, price=event.price, models=(*state.models, event.model)),
    ModelLost: lambda state, event: replace(state, model_lost=event.detail),
    Tainted: lambda state, event: replace(state, taint=state.taint | {event.taint}),
    MessageRefused: lambda state, event: replace(state, refused_messages=state.refused_messages + 1),
    **CHILD_TRANSITIONS,
    **CONVERSATION_TRANSITIONS,
}
