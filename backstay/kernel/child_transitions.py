"""The changes that child runs make to the state of their parent.

INVARIANT: what is carved for a child is held until it ends, and settled once; the call that asked for it has a hold of
its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .budget import Shortfall
from .child_events import ChildBegun, ChildEnded, ChildHeld, ChildReleased, ChildRun, ChildWaits, HandedOver
from .event import Event
from .keys import child_hold
from .stopping import OVERBILLED

if TYPE_CHECKING:
    from .run_state import RunState


def _held(state: "RunState", event: ChildHeld) -> "RunState":
    held = state.budget.hold(child_hold(event.call_id), event.amount, event.at_ms, {}, event.minute)
    if isinstance(held, Shortfall) or not state.admitted:
        return state
    return replace(state, budget=held, children={**state.children, event.call_id: ChildRun(event.agent)})


def _released(state: "RunState", event: ChildReleased) -> "RunState":
    rest = {call_id: child for call_id, child in state.children.items() if call_id != event.call_id}
    return replace(state, budget=state.budget.release(child_hold(event.call_id)), children=rest)


def _begun(state: "RunState", event: ChildBegun) -> "RunState":
    return replace(state, children={**state.children, event.call_id: ChildRun(event.agent, event.run_id)})


def _waits(state: "RunState", event: ChildWaits) -> "RunState":
    child = state.children.get(event.call_id)
    if child is None or child.status is not None:
        return state
    return replace(state, children={**state.children, event.call_id: replace(child, waits=event.waits)})


def _ended(state: "RunState", event: ChildEnded) -> "RunState":
    name = child_hold(event.call_id)
    if name not in state.budget.holds:
        return state
    settled = state.budget.settle(name, event.amount, event.usd_unbilled)
    child = ChildRun(
        agent=event.agent,
        run_id=event.run_id,
        status=event.status,
        stop_reason=event.stop_reason,
        amount=event.amount,
        usd_unbilled=event.usd_unbilled,
        head=event.head,
    )
    after = replace(
        state,
        budget=settled.budget.past(name, event.at_ms, event.amount.tools),
        children={**state.children, event.call_id: child},
        delegated=state.delegated + event.amount,
    )
    over = _overspent(state, event)
    if over is None or (state.shortfall or "").endswith(OVERBILLED):
        return after
    return replace(after, shortfall=over + OVERBILLED)


def _overspent(state: "RunState", event: ChildEnded) -> str | None:
    """Returns the first dimension that the parent has limited, and of which the child has spent more than was held."""
    held, limits, spent = state.budget.holds[child_hold(event.call_id)], state.budget.limits, event.amount
    dimensions = [
        name
        for name in ("usd", "tokens", "steps", "model_calls", "tool_calls")
        if getattr(limits, name) is not None and getattr(spent, name) > getattr(held, name)
    ]
    calls = {name for name, limit in limits.tools.items() if limit.calls is not None}
    meters = {name for name, bounds in limits.exposure.items() if bounds}
    dimensions += [f"tool:{name}" for name in spent.tools if name in calls and _more(spent.tools, held.tools, name)]
    dimensions += [
        f"exposure:{name}" for name in spent.exposure if name in meters and _more(spent.exposure, held.exposure, name)
    ]
    return next(iter(dimensions), None)


def _more(spent: Mapping[str, int], held: Mapping[str, int], name: str) -> bool:
    return spent[name] > held.get(name, 0)


def _handed_over(state: "RunState", event: HandedOver) -> "RunState":
    return replace(state, answered=True)


CHILD_TRANSITIONS: dict[type[Event], "Callable[[RunState, Any], RunState]"] = {
    ChildHeld: _held,
    ChildReleased: _released,
    ChildBegun: _begun,
    ChildWaits: _waits,
    ChildEnded: _ended,
    HandedOver: _handed_over,
}
