"""The budget of a run: limits, what is held, what is spent.

INVARIANT: spent + held never exceeds a limit, in any dimension and after any order of holds, settlements and
releases, except by what a provider billed above its hold; that is reported as overbilled and stops the run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

WINDOW_MS = 60_000
Held = tuple[int, str]
"""When a call was held, in milliseconds, and the name of its hold."""


def _no_tools() -> dict[str, int]:
    return {}


@dataclass(frozen=True, slots=True)
class ToolLimit:
    """Limits of one tool: calls in the run, and calls in any 60 seconds. None is no limit."""

    calls: int | None = None
    per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits in force. `tokens` counts input and output; `usd` is micro-dollars; None is no limit."""

    steps: int | None = None
    model_calls: int | None = None
    tool_calls: int | None = None
    tokens: int | None = None
    usd: int | None = None
    seconds: int | None = None
    tools: Mapping[str, ToolLimit] = field(default_factory=dict[str, ToolLimit])


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount of each dimension, zero or more; `usd` is micro-dollars."""

    steps: int = 0
    model_calls: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: int = 0
    tools: Mapping[str, int] = field(default_factory=_no_tools)

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "Amount") -> "Amount":
        tools = dict(self.tools)
        for name, count in other.tools.items():
            tools[name] = tools.get(name, 0) + count
        return Amount(
            self.steps + other.steps,
            self.model_calls + other.model_calls,
            self.tool_calls + other.tool_calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.usd + other.usd,
            tools,
        )

    def __sub__(self, other: "Amount") -> "Amount":
        """Returns the difference; `other` must have been added earlier."""
        tools = {name: count - other.tools.get(name, 0) for name, count in self.tools.items()}
        return Amount(
            self.steps - other.steps,
            self.model_calls - other.model_calls,
            self.tool_calls - other.tool_calls,
            self.input_tokens - other.input_tokens,
            self.output_tokens - other.output_tokens,
            self.usd - other.usd,
            {name: count for name, count in tools.items() if count},
        )

    def exceeds(self, other: "Amount") -> str | None:
        """Returns the first dimension that exceeds `other`, money first: `usd`, `tokens`, ..., `tool:x`."""
        for dimension in ("usd", "tokens", "steps", "model_calls", "tool_calls"):
            if getattr(self, dimension) > getattr(other, dimension):
                return dimension
        more = (tool for tool, count in self.tools.items() if count > other.tools.get(tool, 0))
        return next((f"tool:{tool}" for tool in more), None)


@dataclass(frozen=True, slots=True)
class Shortfall:
    """The dimension in which a hold does not fit: `usd`, `tool:send_email`, ..."""

    dimension: str


@dataclass(frozen=True, slots=True)
class Settled:
    """A budget after a hold was settled; `overbilled` names a dimension billed above the hold."""

    budget: "Budget"
    overbilled: str | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits, spend and holds as one value; every change returns a new one.

    `held` is the sum of all open `holds`; `usd_unbilled` is the part of the spend that was settled at its hold
    because no bill came. `recent` keeps the times (milliseconds) and the holds of each tool's calls in the 60 seconds
    before its last one.
    """

    limits: Limits = field(default_factory=Limits)
    spent: Amount = field(default_factory=Amount)
    usd_unbilled: int = 0
    holds: Mapping[str, Amount] = field(default_factory=dict[str, Amount])
    held: Amount = field(default_factory=Amount)
    recent: Mapping[str, tuple[Held, ...]] = field(default_factory=dict[str, tuple[Held, ...]])

    def shortfall(self, amount: Amount, at_ms: int = 0) -> Shortfall | None:
        """Returns the first dimension in which `amount` does not fit beside spend and holds; None where it fits."""
        total = self.spent + self.held + amount
        for dimension in ("steps", "model_calls", "tool_calls", "tokens", "usd"):
            limit = getattr(self.limits, dimension)
            if limit is not None and getattr(total, dimension) > limit:
                return Shortfall(dimension)
        for tool in amount.tools:
            limit = self.limits.tools.get(tool, ToolLimit())
            if limit.calls is not None and total.tools[tool] > limit.calls:
                return Shortfall(f"tool:{tool}")
            if (
                limit.per_minute is not None
                and self.calls_in_window(tool, at_ms) + amount.tools[tool] > limit.per_minute
            ):
                return Shortfall(f"tool:{tool}:per_minute")
        return None

    def hold(self, name: str, amount: Amount, at_ms: int = 0) -> "Budget | Shortfall":
        """Reserves the worst case of a call under its own name; a name that is held already is a shortfall."""
        if name in self.holds:
            return Shortfall(f"hold:{name}")
        if short := self.shortfall(amount, at_ms):
            return short
        recent = dict(self.recent)
        for tool, count in amount.tools.items():
            recent[tool] = (*self._window(tool, at_ms), *((at_ms, name) for _ in range(count)))
        return replace(self, holds={**self.holds, name: amount}, held=self.held + amount, recent=recent)

    def settle(self, name: str, actual: Amount, usd_unbilled: int = 0) -> Settled:
        """Replaces a hold by the real usage; a name that is not held changes nothing."""
        if name not in self.holds:
            return Settled(self)
        held = self.holds[name]
        rest = {key: amount for key, amount in self.holds.items() if key != name}
        budget = replace(
            self,
            spent=self.spent + actual,
            usd_unbilled=self.usd_unbilled + usd_unbilled,
            holds=rest,
            held=self.held - held,
        )
        return Settled(budget, actual.exceeds(held))

    def release(self, name: str) -> "Budget":
        """Gives a hold back unused, because its call was never made: it does not count in the last minute either."""
        if name not in self.holds:
            return self
        rest = {key: amount for key, amount in self.holds.items() if key != name}
        recent = {tool: tuple(one for one in held if one[1] != name) for tool, held in self.recent.items()}
        return replace(self, holds=rest, held=self.held - self.holds[name], recent=recent)

    def left(self, dimension: str) -> int | None:
        """Returns the rest of a dimension beside spend and holds; None where it has no limit."""
        limit = getattr(self.limits, dimension)
        return None if limit is None else limit - getattr(self.spent, dimension) - getattr(self.held, dimension)

    def calls_in_window(self, tool: str, at_ms: int, before: str | None = None) -> int:
        """Counts the calls of a tool held in the 60 seconds before a time; only those held `before` one, if named."""
        names = [name for _, name in self._window(tool, at_ms)]
        return names.index(before) if before in names else len(names)

    def _window(self, tool: str, at_ms: int) -> tuple[Held, ...]:
        return tuple(held for held in self.recent.get(tool, ()) if held[0] > at_ms - WINDOW_MS)
