"""Marks Python functions as tools: `@tool` and what a tool may ask about its call.

    @tool(effect="write", timeout="30s")
    async def issue_refund(call: ToolCall, order_id: str, amount: Decimal) -> Refund:
        \"\"\"Refunds an order. (The docstring is what the model reads.)\"\"\"
"""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, overload

from backstay.errors import ConfigurationError, ToolError

__all__ = ["Effect", "ToolCall", "ToolError", "ToolOptions", "options_of", "seconds", "tool"]

Effect = Literal["read", "write", "once"]
F = TypeVar("F", bound=Callable[..., Any])

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_MARK = "__backstay_tool__"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What a tool may know of its call; it is given as the first parameter to a tool that asks for it.

    `idempotency_key` is the same over attempts, worker crashes and resets of one call, and different for every other
    call: hand it to whatever performs the effect.
    """

    run_id: str
    step: int
    call_id: str
    idempotency_key: str
    agent: str
    tenant: str
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class ToolOptions:
    """The options of `@tool`.

    Attributes:
        effect: `read` has none; `write` is idempotent, by nature or by its key; `once` is neither.
        timeout: seconds of one attempt.
        groups: action groups that rules may name.
        repeatable: the same call may bring the same result for long (polling), without counting as no progress.
    """

    effect: Effect = "once"
    timeout: float = 60.0
    groups: tuple[str, ...] = ()
    repeatable: bool = False


def seconds(text: str) -> float:
    """Reads a duration such as "500ms", "30s", "10m", "24h" or "1d" as seconds.

    Raises:
        ConfigurationError: the text is no such duration, or is zero.
    """
    match = _DURATION.fullmatch(text.strip())
    if not match or float(match[1]) == 0:
        raise ConfigurationError(f"`{text}` is no duration", mend='write for example "30s", "10m" or "24h"')
    return float(match[1]) * _UNITS[match[2]]


@overload
def tool(function: F, /) -> F: ...
@overload
def tool(
    *,
    effect: Effect = "once",
    timeout: str = "60s",
    groups: Sequence[str] = (),
    repeatable: bool = False,
) -> Callable[[F], F]: ...
def tool(
    function: Any = None,
    /,
    *,
    effect: Effect = "once",
    timeout: str = "60s",
    groups: Sequence[str] = (),
    repeatable: bool = False,
) -> Any:
    """Marks a function, async or not, as a tool; the function itself stays as it was.

    Raises:
        ConfigurationError: an option is not one of those that `ToolOptions` lists.
    """
    if effect not in ("read", "write", "once"):
        raise ConfigurationError(f"`{effect}` is no effect", mend="use `read`, `write` or `once`")
    options = ToolOptions(effect, seconds(timeout), tuple(groups), repeatable)

    def mark(marked: F) -> F:
        if not inspect.isfunction(marked):
            raise ConfigurationError("`@tool` marks functions only", mend="wrap the object in a function")
        setattr(marked, _MARK, options)
        return marked

    return mark if function is None else mark(function)


def options_of(candidate: object) -> ToolOptions | None:
    """The options of a marked function; None for anything else."""
    options = getattr(candidate, _MARK, None)
    return options if isinstance(options, ToolOptions) else None
