"""The child runs of a run as others see them."""

from collections.abc import Mapping

from backstay.contracts.budget import Spent
from backstay.contracts.run import ChildSpent
from backstay.contracts.status import ChildView
from backstay.kernel.budget import Amount
from backstay.kernel.child_events import ChildRun
from backstay.kernel.keys import child_hold
from backstay.kernel.meter import format_amount
from backstay.kernel.money import format_usd
from backstay.kernel.run_state import RunState

from .live import LiveRun


def children_of(state: RunState) -> list[ChildView]:
    """Returns the child runs of a run."""
    return [
        ChildView(
            run_id=child.run_id,
            call_id=call_id,
            agent=child.agent,
            state=_state(child),
            stop_reason=child.stop_reason,
            usd=format_usd(child.amount.usd),
            exposure={name: format_amount(units) for name, units in _taken(state, call_id, child).items()},
        )
        for call_id, child in state.children.items()
    ]


def ended_children(state: RunState) -> list[ChildSpent]:
    """Returns the child runs that have ended, with what they spent."""
    return [
        ChildSpent(
            run_id=child.run_id or "",
            call_id=call_id,
            agent=child.agent,
            status=child.status,
            stop_reason=child.stop_reason,
            spent=Spent.of(child.amount, 0, child.usd_unbilled),
            head=child.head,
        )
        for call_id, child in state.children.items()
        if child.status is not None
    ]


def labels_of(run: LiveRun) -> frozenset[str]:
    """Returns the labels of what a run has read, by itself and through its children."""
    called = (run.admission.tool(name) for name in run.state.budget.spent.tools)
    own = (label for tool in called if tool for label in tool.marked.everywhere)
    return frozenset({*own, *run.labels, *run.state.taint})


def _taken(state: RunState, call_id: str, child: ChildRun) -> Mapping[str, int]:
    """Returns what a child has added to meters, or what of them is held for it."""
    held = state.budget.holds.get(child_hold(call_id), Amount())
    return held.exposure if child.status is None else child.amount.exposure


def _state(child: ChildRun) -> str:
    if child.status is not None:
        return child.status
    if child.run_id is None:
        return "held"
    return "waiting_approval" if child.waits else "running"
