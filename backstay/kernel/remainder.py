"""Tells how much of a budget is left: when it is nearly spent, and in words for the model."""

from collections.abc import Mapping

from .budget import Budget
from .grant import limit_of, setting_of, spelled
from .run_state import RunState

_NAMES = {"usd": "US dollars", "model_calls": "model calls", "tool_calls": "tool calls"}


def nearly_spent(state: RunState, seconds: int) -> str | None:
    """Returns the first dimension that has reached the share at which the agent is told; None where none has.

    Args:
        state: the run, with its threshold.
        seconds: how many of the run's have passed.
    """
    share = state.thresholds.conclude_at
    if share is None:
        return None
    for dimension, spent, limit in _rows(state.budget, seconds):
        if limit and spent and spent * 100 >= limit * share:
            return dimension
    return None


def left_words(state: RunState, seconds: int) -> str:
    """Spells what is left beside spend and holds, in every dimension with a limit: `2 of 20 steps, ...`."""
    parts: list[str] = []
    for dimension, spent, limit in _rows(state.budget, seconds):
        left = max(0, limit - spent - held_of(state.budget, dimension))
        name = _NAMES.get(dimension, setting_of(dimension))
        parts.append(f"{spelled(dimension, left)} of {spelled(dimension, limit)} {name}")
    return ", ".join(parts)


def spent_of(budget: Budget, dimension: str, seconds: int = 0) -> int:
    """Returns what is spent of a dimension such as `usd` or `tool:send_email`."""
    if dimension == "seconds":
        return seconds
    return _of(budget.spent.tools, dimension, getattr(budget.spent, dimension, 0))


def held_of(budget: Budget, dimension: str) -> int:
    """Returns what is held of a dimension, a last answer that is held back included."""
    return _of(budget.held.tools, dimension, getattr(budget.held, dimension, 0))


def _rows(budget: Budget, seconds: int) -> list[tuple[str, int, int]]:
    """Lists the dimensions with a limit, each with what is spent and its limit."""
    tools = [f"tool:{name}" for name, limit in budget.limits.tools.items() if limit.calls is not None]
    rows: list[tuple[str, int, int]] = []
    for dimension in ("steps", "model_calls", "tool_calls", "tokens", "usd", "seconds", *tools):
        limit = limit_of(budget.limits, dimension)
        if limit is not None:
            rows.append((dimension, spent_of(budget, dimension, seconds), limit))
    return rows


def _of(tools: Mapping[str, int], dimension: str, otherwise: int) -> int:
    return tools.get(dimension.removeprefix("tool:"), 0) if dimension.startswith("tool:") else otherwise
