"""Tells what a call of an MCP server's tool may do: as the agent says, and stricter where the server says more."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .tool_patterns import nearest_fitting

Effect = Literal["read", "write", "once"]
STRICTNESS: tuple[Effect, ...] = ("read", "write", "once")
_READ_ONLY = "readOnlyHint"
_IDEMPOTENT = "idempotentHint"


@dataclass(frozen=True, slots=True)
class Judged:
    """The effect of a tool; `warning` says why it is stricter than configured, and is empty where it is not."""

    effect: Effect
    warning: str = ""


def effect_of(patterns: Mapping[str, Effect], tool: str, hints: Mapping[str, object]) -> Judged:
    """Returns the effect of a tool.

    A server's hint is a claim: it can take an allowance back, and never give one. Where it says nothing nothing
    follows, because most servers say nothing, or a part.

    Args:
        patterns: what the agent says, by pattern of the tool's own name.
        tool: the tool's own name.
        hints: the `annotations` that the server lists with it.

    Returns:
        The effect of the nearest pattern, of several as near the strictest, and `once` where there is none.
    """
    found = nearest_fitting(patterns, tool)
    said = max(found, key=STRICTNESS.index) if found else "once"
    if said == "read" and hints.get(_READ_ONLY) is False:
        return Judged("once", f"`{tool}` is `read` by agent.toml, and the server says that it is not read-only")
    if said == "write" and hints.get(_IDEMPOTENT) is False:
        return Judged("once", f"`{tool}` is `write` by agent.toml, and the server says that it is not idempotent")
    return Judged(said)
