"""The changes that events make: one function per event, from a state to the next."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .approval import ApprovalEnd
from .budget import Amount, Budget, Settled, Shortfall
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
    Concluding,
    DeadlinePassed,
    Decided,
    DecisionHeld,
    DecisionKind,
    DecisionSettled,
    DecisionUnusable,
    Event,
    Flight,
    Killed,
    MessageRefused,
    ModelLost,
    Paused,
    Resumed,
    Tainted,
    Warned,
)
from .keys import act_id, decide_id
from .stop import Stop, StopReason
from .stopping import interruption, stuck
from .verdict import Outcome

if TYPE_CHECKING:
    from .run_state import RunState

_OVERBILLED = ":overbilled"


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
    held = _hold(state, decide_id(event.step), event.amount)
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
    amount = Amount(tool_calls=1, usd=event.usd, tools={event.tool: 1})
    held = _hold(state, act_id(event.call_id), amount, event.at_ms)
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
        failures=_failures(state, event.outcome),
        progress=state.progress.noted(event.fingerprint) if event.fingerprint and not stuck(state) else state.progress,
    )
    if event.outcome is CallOutcome.DENIED:
        return replace(after, budget=state.budget.release(name))
    settled = state.budget.settle(name, Amount(tool_calls=1, usd=event.usd, tools={event.tool: 1}))
    after = replace(after, budget=settled.budget)
    if event.outcome is CallOutcome.UNKNOWN and not interruption(state):
        after = replace(after, unknown_tool=state.unknown_tool or event.tool)
    return _billed(after, settled)


def _failures(state: "RunState", outcome: CallOutcome) -> int:
    """Counts failures in a row; once they reach the threshold, a sibling's success does not reset them."""
    if outcome is CallOutcome.FAILED:
        return state.failures + 1
    return 0 if outcome is CallOutcome.COMPLETED and state.failures < state.thresholds.failures else state.failures


def _call_released(state: "RunState", event: CallReleased) -> "RunState":
    return replace(
        state,
        budget=state.budget.release(act_id(event.call_id)),
        running={key: tool for key, tool in state.running.items() if key != event.call_id},
        in_flight={key: flight for key, flight in state.in_flight.items() if key != event.call_id},
    )


def _hold(state: "RunState", name: str, amount: Amount, at_ms: int = 0) -> Budget | Shortfall:
    # Before the admission no limit is known yet, and none is no limit.
    return state.budget.hold(name, amount, at_ms) if state.admitted else Shortfall("admission")


def _billed(state: "RunState", settled: Settled) -> "RunState":
    # An overbilled hold is said openly, whatever was short before it.
    if settled.overbilled is None or (state.shortfall or "").endswith(_OVERBILLED):
        return state
    return replace(state, shortfall=settled.overbilled + _OVERBILLED)


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


def _interrupted(state: "RunState") -> "RunState":
    flights = {call_id: Flight(tool) for call_id, tool in state.running.items()}
    return replace(state, in_flight={**flights, **state.in_flight})


def _killed(state: "RunState", event: Killed) -> "RunState":
    return _interrupted(replace(state, killed=state.killed or event))


def _deadline_passed(state: "RunState", event: DeadlinePassed) -> "RunState":
    return _interrupted(replace(state, deadline_passed=True))


def _cancel_requested(state: "RunState", event: CancelRequested) -> "RunState":
    return _interrupted(replace(state, cancelled=True))


TRANSITIONS: dict[type[Event], "Callable[[RunState, Any], RunState]"] = {
    Admitted: _admitted,
    ApprovalOpened: _approval_opened,
    ApprovalVoted: _approval_voted,
    ApprovalEnded: _approval_ended,
    DecisionHeld: _decision_held,
    DecisionSettled: _decision_settled,
    Decided: _decided,
    DecisionUnusable: _decision_unusable,
    CallJudged: _call_judged,
    CallHeld: _call_held,
    CallEnded: _call_ended,
    CallReleased: _call_released,
    BudgetShort: lambda state, event: _short(state, event.dimension),
    Concluding: lambda state, event: replace(state, concluding=True),
    Warned: lambda state, event: replace(state, warned=True),
    Killed: _killed,
    Paused: lambda state, event: replace(state, paused=True),
    Resumed: lambda state, event: replace(state, paused=False),
    DeadlinePassed: _deadline_passed,
    CancelRequested: _cancel_requested,
    ModelLost: lambda state, event: replace(state, model_lost=event.detail),
    Tainted: lambda state, event: replace(state, taint=state.taint | {event.taint}),
    MessageRefused: lambda state, event: replace(state, refused_messages=state.refused_messages + 1),
}
