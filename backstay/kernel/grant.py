"""Raises limits of a running run: a grant adds to them, and never takes one above its ceiling."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from .approval import Refusal
from .budget import Limits, ToolLimit
from .money import format_usd
from .person import people_keys, person_key

_DIMENSIONS = ("steps", "model_calls", "tool_calls", "tokens", "usd", "seconds")
_TOOL = "tool:"
_PER_MINUTE = ":per_minute"


def refuses(by: str, members: Sequence[str], requester: str | None) -> Refusal | None:
    """Returns why a person may not raise the limits of a run; None where they may.

    Args:
        by: who grants.
        members: the people of the group that may grant.
        requester: who asked for the run.
    """
    if not members:
        return Refusal("NoGroup", "nobody may grant: `[approval] budget` of the agent names no group")
    if requester is not None and person_key(by) == person_key(requester):
        return Refusal("RequesterMayNotGrant", "who asked for the run may not raise its limits")
    if person_key(by) not in people_keys(members):
        return Refusal("NotInGroup", "only members of the group in `[approval] budget` may grant")
    return None


def raised(limits: Limits, added: Limits, ceilings: Limits) -> Limits | Refusal:
    """Returns the limits with a grant added, or why it cannot be: in one dimension it may not, so in none it does."""
    after = limits
    for dimension, amount in amounts_of(added):
        limit, ceiling = limit_of(after, dimension), limit_of(ceilings, dimension)
        name = setting_of(dimension)
        if limit is None:
            return Refusal("NoLimit", f"`{name}` has no limit in this run: there is nothing to raise")
        if ceiling is not None and limit + amount > ceiling:
            text = (
                f"`{name}` would be {spelled(dimension, limit + amount)}, above the ceiling of "
                f"{spelled(dimension, ceiling)}: {spelled(dimension, max(0, ceiling - limit))} can be granted"
            )
            return Refusal("AboveCeiling", text)
        after = _with(after, dimension, limit + amount)
    return after


def offer(limits: Limits, first: Limits, ceilings: Limits, dimension: str) -> Limits | None:
    """Returns what people are asked to grant: half of the first limit, cut at the ceiling; None where nothing is left.

    Args:
        limits: those in force.
        first: those that the run was admitted with.
        ceilings: those that no grant passes.
        dimension: the one that is exhausted, such as `usd` or `tool:send_email`.
    """
    limit, start, ceiling = (limit_of(one, dimension) for one in (limits, first, ceilings))
    if limit is None or start is None:
        return None  # a dimension that nobody can raise, such as `history`
    amount = -(-start // 2)
    if ceiling is not None:
        amount = min(amount, ceiling - limit)
    return _with(Limits(), dimension, amount) if amount > 0 else None


def limit_of(limits: Limits, dimension: str) -> int | None:
    """Returns the limit of a dimension such as `usd`, `tool:send_email` or `tool:send_email:per_minute`."""
    if dimension in _DIMENSIONS:
        return getattr(limits, dimension)
    if not dimension.startswith(_TOOL):
        return None
    limit = limits.tools.get(dimension.removeprefix(_TOOL).removesuffix(_PER_MINUTE), ToolLimit())
    return limit.per_minute if dimension.endswith(_PER_MINUTE) else limit.calls


def amounts_of(added: Limits) -> Iterator[tuple[str, int]]:
    """Yields each dimension that a grant adds to, and how much."""
    names = [_TOOL + tool + end for tool in added.tools for end in ("", _PER_MINUTE)]
    for dimension in (*_DIMENSIONS, *names):
        if amount := limit_of(added, dimension):
            yield dimension, amount


def setting_of(dimension: str) -> str:
    """Returns a dimension as a budget spells it: `tool:send_email` is `tools.send_email.calls`."""
    if not dimension.startswith(_TOOL):
        return dimension
    tool = dimension.removeprefix(_TOOL)
    if tool.endswith(_PER_MINUTE):
        return f"tools.{tool.removesuffix(_PER_MINUTE)}.per_minute"
    return f"tools.{tool}.calls"


def spelled(dimension: str, amount: int) -> str:
    """Spells an amount of a dimension for people: money as a decimal string."""
    return format_usd(amount) if dimension == "usd" else str(amount)


def words_of(added: Limits) -> str:
    """Spells a grant as the command takes it: `usd=0.50, steps=10`."""
    return ", ".join(f"{setting_of(name)}={spelled(name, amount)}" for name, amount in amounts_of(added))


def _with(limits: Limits, dimension: str, limit: int) -> Limits:
    if dimension in _DIMENSIONS:
        return replace(limits, **{dimension: limit})
    tool = dimension.removeprefix(_TOOL).removesuffix(_PER_MINUTE)
    changed = {"per_minute" if dimension.endswith(_PER_MINUTE) else "calls": limit}
    before = limits.tools.get(tool, ToolLimit())
    return replace(limits, tools={**limits.tools, tool: replace(before, **changed)})
