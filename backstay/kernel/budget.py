"""The budget of a run: limits, what is held, what is spent.

INVARIANT: spent + held never exceeds a limit, in any dimension and after any order of holds, settlements and
releases, except by what a provider billed above its hold; that is reported as overbilled and stops the run. A meter
goes above its limit only up to a sum that people agreed to.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from .meter import Bound, Excess, excess

WINDOW_MS = 60_000
OPEN_MS = 2**62
"""The time of calls that may be made at any moment: those that a child run may make in a minute, while it runs."""
Held = tuple[int, str]
"""The time at which a call was held, in milliseconds, and the name of its hold."""


def _nothing() -> dict[str, int]:
    return {}


@dataclass(frozen=True, slots=True)
class ToolLimit:
    """Limits of one tool: calls in the run, and calls in any 60 seconds. None is no limit."""

    calls: int | None = None
    per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits in force. `tokens` counts input and output; `usd` is micro-dollars; None is no limit.

    `exposure` has the bounds of every meter that is counted, none for a meter without a limit.
    """

    steps: int | None = None
    model_calls: int | None = None
    tool_calls: int | None = None
    tokens: int | None = None
    usd: int | None = None
    seconds: int | None = None
    tools: Mapping[str, ToolLimit] = field(default_factory=dict[str, ToolLimit])
    exposure: Mapping[str, tuple[Bound, ...]] = field(default_factory=dict[str, tuple[Bound, ...]])


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount of each dimension, zero or more; `usd` is micro-dollars, `exposure` ten-thousandths of each meter."""

    steps: int = 0
    model_calls: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: int = 0
    tools: Mapping[str, int] = field(default_factory=_nothing)
    exposure: Mapping[str, int] = field(default_factory=_nothing)

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(
            self.steps + other.steps,
            self.model_calls + other.model_calls,
            self.tool_calls + other.tool_calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.usd + other.usd,
            _sum(self.tools, other.tools),
            _sum(self.exposure, other.exposure),
        )

    def __sub__(self, other: "Amount") -> "Amount":
        """Returns the difference; `other` must have been added earlier."""
        return Amount(
            self.steps - other.steps,
            self.model_calls - other.model_calls,
            self.tool_calls - other.tool_calls,
            self.input_tokens - other.input_tokens,
            self.output_tokens - other.output_tokens,
            self.usd - other.usd,
            _difference(self.tools, other.tools),
            _difference(self.exposure, other.exposure),
        )

    def exceeds(self, other: "Amount") -> str | None:
        """Returns the first dimension that exceeds `other`, money first: `usd`, `tokens`, ..., `tool:x`, a meter."""
        for dimension in ("usd", "tokens", "steps", "model_calls", "tool_calls"):
            if getattr(self, dimension) > getattr(other, dimension):
                return dimension
        more = [f"tool:{name}" for name, count in self.tools.items() if count > other.tools.get(name, 0)]
        more += [f"exposure:{name}" for name, units in self.exposure.items() if units > other.exposure.get(name, 0)]
        return next(iter(more), None)


@dataclass(frozen=True, slots=True)
class Shortfall:
    """The dimension in which a hold does not fit, such as `usd` or `tool:send_email`.

    `needed` is what the hold asks for, `left` what the limit leaves beside spend and holds.
    """

    dimension: str
    needed: int = 0
    left: int = 0


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

    def shortfall(self, amount: Amount, at_ms: int = 0, minute: Mapping[str, int] | None = None) -> Shortfall | None:
        """Returns the first dimension in which `amount` does not fit beside spend and holds; None where it fits.

        Meters are not among them: what exceeds one has an `excess`.

        Args:
            amount: what is to be held.
            at_ms: now.
            minute: the calls that may be made within a minute; default: all calls of the amount.
        """
        within = amount.tools if minute is None else minute
        total = self.spent + self.held + amount
        for dimension in ("steps", "model_calls", "tool_calls", "tokens", "usd"):
            limit = getattr(self.limits, dimension)
            if limit is not None and getattr(total, dimension) > limit:
                asked = getattr(amount, dimension)
                return Shortfall(dimension, asked, limit - getattr(total, dimension) + asked)
        for tool in amount.tools:
            limit = self.limits.tools.get(tool, ToolLimit())
            asked = amount.tools[tool]
            if limit.calls is not None and total.tools[tool] > limit.calls:
                return Shortfall(f"tool:{tool}", asked, limit.calls - total.tools[tool] + asked)
            asked = within.get(tool, 0)
            if limit.per_minute is not None and (now := self.calls_in_window(tool, at_ms)) + asked > limit.per_minute:
                return Shortfall(f"tool:{tool}:per_minute", asked, limit.per_minute - now)
        return None

    def excess(self, exposure: Mapping[str, int], agreed: Mapping[str, int]) -> Excess | None:
        """Returns the meters that a call would take above a limit; None where it fits.

        Args:
            exposure: what the call adds to each meter.
            agreed: the sum that people agreed to for this very call.
        """
        return excess(self.exposed(), exposure, self.limits.exposure, agreed) if exposure else None

    def hold(
        self,
        name: str,
        amount: Amount,
        at_ms: int = 0,
        agreed: Mapping[str, int] | None = None,
        minute: Mapping[str, int] | None = None,
    ) -> "Budget | Shortfall":
        """Reserves the worst case of a call under its own name; a name that is held already is a shortfall.

        Args:
            name: the hold's name.
            amount: the worst case.
            at_ms: now.
            agreed: the sum of each meter that people agreed to for this very call.
            minute: the calls of each tool that a child run may make in any minute; default: the amount's, made now.
        """
        if name in self.holds:
            return Shortfall(f"hold:{name}")
        if short := self.shortfall(amount, at_ms, minute):
            return short
        if over := self.excess(amount.exposure, agreed or {}):
            meter, one = next(iter(over.meters.items()))
            return Shortfall(f"exposure:{meter}", one.amount, max(0, (one.limit or 0) - one.before))
        recent = dict(self.recent)
        made, when = (amount.tools, at_ms) if minute is None else (minute, OPEN_MS)
        for tool, count in made.items():
            recent[tool] = (*self._window(tool, at_ms), *((when, name) for _ in range(count)))
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

    def past(self, name: str, at_ms: int, made: Mapping[str, int]) -> "Budget":
        """Counts the calls that a child run made, as if all were made now, in place of those that it could make.

        Args:
            name: the child's hold.
            at_ms: now.
            made: its calls of each tool.
        """
        recent = dict(self.recent)
        for tool, held in self.recent.items():
            others = tuple(one for one in held if one != (OPEN_MS, name))
            count = min(made.get(tool, 0), len(held) - len(others))
            recent[tool] = (*others, *((at_ms, name) for _ in range(count)))
        return replace(self, recent=recent)

    def keep(self, name: str, amount: Amount) -> "Budget":
        """Holds on to a part of a hold that was just settled, which therefore still fits."""
        return replace(self, holds={**self.holds, name: amount}, held=self.held + amount)

    def release(self, name: str) -> "Budget":
        """Gives a hold back unused, because its call was never made: it does not count in the last minute either."""
        if name not in self.holds:
            return self
        rest = {key: amount for key, amount in self.holds.items() if key != name}
        recent = {tool: tuple(one for one in held if one[1] != name) for tool, held in self.recent.items()}
        return replace(self, holds=rest, held=self.held - self.holds[name], recent=recent)

    def exposed(self, but: Collection[str] = ()) -> Mapping[str, int]:
        """Returns what is spent and held of each meter, without some holds."""
        total = _sum(self.spent.exposure, self.held.exposure)
        for name in but:
            total = _difference(total, self.holds.get(name, Amount()).exposure)
        return total

    def exposed_before(self, name: str) -> Mapping[str, int]:
        """Returns what is spent of each meter, and held by the calls that were held before one."""
        names = list(self.holds)
        return self.exposed(names[names.index(name) :] if name in self.holds else ())

    def left(self, dimension: str) -> int | None:
        """Returns the rest of a dimension beside spend and holds; None where it has no limit."""
        limit = getattr(self.limits, dimension)
        return None if limit is None else limit - getattr(self.spent, dimension) - getattr(self.held, dimension)

    def calls_in_window(self, tool: str, at_ms: int, before: str | None = None) -> int:
        """Counts the calls of a tool held in the 60 seconds before a time; only those held `before` one, if named."""
        names = [name for _, name in self._window(tool, at_ms)]
        return names.index(before) if before in names else len(names)

    def calls_in_windows(self, at_ms: int) -> dict[str, int]:
        """Counts the calls of each tool held in the 60 seconds before a time; tools without any are left out."""
        return {tool: count for tool in self.recent if (count := len(self._window(tool, at_ms)))}

    def _window(self, tool: str, at_ms: int) -> tuple[Held, ...]:
        return tuple(held for held in self.recent.get(tool, ()) if held[0] > at_ms - WINDOW_MS)


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    total = dict(one)
    for name, count in other.items():
        total[name] = total.get(name, 0) + count
    return total


def _difference(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    rest = {name: count - other.get(name, 0) for name, count in one.items()}
    return {name: count for name, count in rest.items() if count}
