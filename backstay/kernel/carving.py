"""Carves the budgets of child runs from what is left of their parent's.

Every dimension that the parent has limited is carved. Seconds are not: children run side by side, and each may take
all that are left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .budget import Amount, Budget, Limits, Shortfall, ToolLimit
from .child_events import ChildEnded
from .keys import child_hold
from .meter import Bound
from .run_state import RunState

COUNTED = ("usd", "tokens", "steps", "model_calls", "tool_calls")
NEEDED = ("usd", "tokens", "steps", "model_calls")
"""The dimensions without which a run does nothing."""
MOST_PER_MINUTE = 1_000
"""The most calls of a tool in a minute that a child run may make, where its parent has limited them."""


@dataclass(frozen=True, slots=True)
class Report:
    """The end of a child run as its result tells it."""

    status: str
    stop_reason: str | None = None
    spent: Amount = field(default_factory=Amount)
    usd_unbilled: int = 0
    records: int = 0
    head: str = ""


@dataclass(frozen=True, slots=True)
class _Room:
    """Holds what is left for the children of a decision: in each dimension, of each tool, of each meter."""

    counted: Mapping[str, int]
    calls: Mapping[str, int]
    minute: Mapping[str, int]
    meters: Mapping[str, int]


def carve(
    budget: Budget, asked: Sequence[Limits], beside: Amount, seconds: int | None, at_ms: int
) -> list[Limits | Shortfall]:
    """Returns the limits of the children of one decision, in the order asked, or what one asks for and is not left.

    What nobody asks for a certain part of is shared equally.

    Args:
        budget: the parent's.
        asked: the limits that each child is asked to have; None in a dimension is a share.
        beside: what the calls of the same decision take themselves, those that ask for the children included.
        seconds: those that are left to the parent; None where it has no limit of them.
        at_ms: now.
    """
    room = _room(budget, beside, at_ms)
    left = dict(room.counted)
    shorts: list[Shortfall | None] = []
    for one in asked:
        short = _short(one, left, seconds)
        shorts.append(short)
        for name in left if short is None else ():
            left[name] -= getattr(one, name) or 0
    taking = [one for one, short in zip(asked, shorts, strict=True) if short is None]
    shares = {name: units // max(1, _sharing(taking, name)) for name, units in left.items()}
    each = _shared(room, max(1, len(taking)))
    return [short or _useful(_limits(one, shares, each, seconds)) for one, short in zip(asked, shorts, strict=True)]


def recarved(budget: Budget, asked: Limits, before: Limits, seconds: int | None, at_ms: int) -> Limits | Shortfall:
    """Returns the limits of a child anew, once people have answered: what it does not ask for stays as it was carved.

    Args:
        budget: the parent's, with nothing held for the child.
        asked: the limits that the call asks for now.
        before: those that were carved for it.
        seconds: those that are left to the parent.
        at_ms: now.
    """
    whole = carve(budget, [asked], Amount(), seconds, at_ms)[0]
    if isinstance(whole, Shortfall):
        return whole
    shared = {name: getattr(before, name) for name in COUNTED if getattr(asked, name) is None}
    lower = {name: _least(getattr(whole, name), limit) for name, limit in shared.items()}
    tools = {
        name: ToolLimit(_least(limit.calls, was.calls), _least(limit.per_minute, was.per_minute))
        for name, limit in whole.tools.items()
        if (was := before.tools.get(name))
    }
    meters = {
        name: min(bounds, was, key=_lowest)
        for name, bounds in whole.exposure.items()
        if (was := before.exposure.get(name))
    }
    return _useful(replace(whole, **lower, tools=tools, exposure=meters))


def held_for(limits: Limits) -> Amount:
    """Returns what is held for a child with some limits."""
    return Amount(
        steps=limits.steps or 0,
        model_calls=limits.model_calls or 0,
        tool_calls=limits.tool_calls or 0,
        input_tokens=limits.tokens or 0,
        usd=limits.usd or 0,
        tools={name: limit.calls for name, limit in limits.tools.items() if limit.calls},
        exposure={name: _lowest(bounds) for name, bounds in limits.exposure.items() if _lowest(bounds)},
    )


def minute_of(limits: Limits) -> dict[str, int]:
    """Returns the calls of each tool that a child with some limits may make in any minute, where that is limited."""
    return {name: limit.per_minute for name, limit in limits.tools.items() if limit.per_minute}


def close_child(state: RunState, call_id: str, run_id: str, report: Report | None, at_ms: int) -> ChildEnded:
    """Returns the end of a child run; where it left no result, all that was carved for it counts as spent.

    Args:
        state: the state of the parent.
        call_id: the call that asked for it.
        run_id: its id.
        report: what its result tells; None where it left none.
        at_ms: now.
    """
    agent = state.children[call_id].agent if call_id in state.children else ""
    if report is None:
        held = state.budget.holds.get(child_hold(call_id), Amount())
        return ChildEnded(call_id, agent, run_id, "unknown", None, held, at_ms, held.usd)
    return ChildEnded(
        call_id,
        agent,
        run_id,
        report.status,
        report.stop_reason,
        report.spent,
        at_ms,
        report.usd_unbilled,
        report.records,
        report.head,
    )


def _room(budget: Budget, beside: Amount, at_ms: int) -> _Room:
    total = budget.spent + budget.held + beside
    counted = {
        name: max(0, limit - getattr(total, name))
        for name in COUNTED
        if (limit := getattr(budget.limits, name)) is not None
    }
    calls = {
        name: max(0, limit.calls - total.tools.get(name, 0))
        for name, limit in budget.limits.tools.items()
        if limit.calls is not None
    }
    minute = {
        name: max(0, limit.per_minute - budget.calls_in_window(name, at_ms) - beside.tools.get(name, 0))
        for name, limit in budget.limits.tools.items()
        if limit.per_minute is not None
    }
    meters = {
        name: max(0, _lowest(bounds) - total.exposure.get(name, 0))
        for name, bounds in budget.limits.exposure.items()
        if bounds
    }
    return _Room(counted, calls, minute, meters)


def _short(asked: Limits, left: Mapping[str, int], seconds: int | None) -> Shortfall | None:
    """Returns the first dimension in which more is asked for than is left; None where all fits."""
    for name, room in left.items():
        wanted = getattr(asked, name)
        if wanted is not None and wanted > room:
            return Shortfall(name, wanted, room)
    if seconds is not None and asked.seconds is not None and asked.seconds > seconds:
        return Shortfall("seconds", asked.seconds, seconds)
    return None


def _sharing(taking: Sequence[Limits], name: str) -> int:
    return sum(getattr(one, name) is None for one in taking)


def _shared(room: _Room, among: int) -> tuple[dict[str, ToolLimit], dict[str, tuple[Bound, ...]]]:
    """Returns the equal shares of what no call asks for: calls of limited tools, and limited meters."""
    tools = {
        name: ToolLimit(
            room.calls[name] // among if name in room.calls else None,
            min(MOST_PER_MINUTE, room.minute[name] // among) if name in room.minute else None,
        )
        for name in {**room.calls, **room.minute}
    }
    return tools, {name: (Bound(units // among),) for name, units in room.meters.items()}


def _limits(
    asked: Limits,
    shares: Mapping[str, int],
    each: tuple[Mapping[str, ToolLimit], Mapping[str, tuple[Bound, ...]]],
    seconds: int | None,
) -> Limits:
    values: dict[str, Any] = {
        name: shares.get(name) if getattr(asked, name) is None else getattr(asked, name) for name in COUNTED
    }
    time = seconds if asked.seconds is None else asked.seconds
    return Limits(**values, seconds=time, tools=each[0], exposure=each[1])


def _useful(limits: Limits) -> Limits | Shortfall:
    """Returns limits within which a run can do something, else the dimension of which nothing is left."""
    for name in (*NEEDED, "seconds"):
        if getattr(limits, name) == 0:
            return Shortfall(name, 1, 0)
    return limits


def _lowest(bounds: Sequence[Bound]) -> int:
    return min(bound.limit for bound in bounds)


def _least(one: int | None, other: int | None) -> int | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)
