"""Budgets as callers write and read them."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from backstay.kernel.budget import Amount, Budget, Limits, ToolLimit
from backstay.kernel.meter import format_amount
from backstay.kernel.money import format_usd, parse_usd

from .money import Usd
from .problems import Contract, Problem

MAX_TOOLS = 200
Count = Annotated[int, Field(ge=0, le=10**15, strict=True)]


class ToolBudget(Contract):
    """Limits of one tool.

    Attributes:
        calls: calls of the tool.
        per_minute: calls of the tool within any 60 seconds.
    """

    calls: Count | None = None
    per_minute: Count | None = None


class BudgetLimits(Contract):
    """Limits; None sets none. In a request they may only narrow the agent's ceilings.

    Attributes:
        steps: turns of the loop.
        model_calls: decisions asked of a model.
        tool_calls: calls of tools.
        tokens: input and output tokens together.
        usd: US dollars, as text: `"0.50"`.
        seconds: seconds since the start.
        tools: limits by tool.
    """

    steps: Count | None = None
    model_calls: Count | None = None
    tool_calls: Count | None = None
    tokens: Count | None = None
    usd: Usd | None = None
    seconds: Annotated[int, Field(ge=0, le=10**9, strict=True)] | None = None
    tools: dict[Annotated[str, Field(max_length=200)], ToolBudget] = Field(default_factory=dict, max_length=MAX_TOOLS)

    def limits(self) -> Limits:
        """Returns the same limits as the kernel counts them."""
        return Limits(
            steps=self.steps,
            model_calls=self.model_calls,
            tool_calls=self.tool_calls,
            tokens=self.tokens,
            usd=None if self.usd is None else parse_usd(self.usd),
            seconds=self.seconds,
            tools={name: ToolLimit(tool.calls, tool.per_minute) for name, tool in self.tools.items()},
        )

    @classmethod
    def of(cls, limits: Limits) -> "BudgetLimits":
        """Returns kernel limits as a caller reads them."""
        return cls(
            steps=limits.steps,
            model_calls=limits.model_calls,
            tool_calls=limits.tool_calls,
            tokens=limits.tokens,
            usd=None if limits.usd is None else format_usd(limits.usd),
            seconds=limits.seconds,
            tools={
                name: ToolBudget(calls=tool.calls, per_minute=tool.per_minute) for name, tool in limits.tools.items()
            },
        )


class LimitsInForce(BudgetLimits):
    """The limits of a run, those of its meters included.

    Attributes:
        exposure: the limit of each meter within the run, as text; null counts without one.
    """

    exposure: dict[str, str | None] = Field(default_factory=dict[str, str | None])

    @classmethod
    def of(cls, limits: Limits) -> "LimitsInForce":
        """Returns kernel limits as a caller reads them."""
        lowest_of = {name: min((one.limit for one in bounds), default=None) for name, bounds in limits.exposure.items()}
        exposure = {name: None if limit is None else format_amount(limit) for name, limit in lowest_of.items()}
        return cls(**BudgetLimits.of(limits).model_dump(), exposure=exposure)


DIMENSIONS = ("steps", "model_calls", "tool_calls", "tokens", "usd", "seconds")


def narrowed(ceilings: Limits, request: BudgetLimits | None) -> Limits | list[Problem]:
    """Returns the ceilings narrowed by a request, or the fields in which it asks for more than a ceiling."""
    if request is None:
        return ceilings
    asked = request.limits()
    problems: list[Problem] = []
    values: dict[str, int | None] = {}
    for dimension in DIMENSIONS:
        values[dimension] = _narrowed(
            f"budget.{dimension}", getattr(ceilings, dimension), getattr(asked, dimension), problems
        )
    tools = dict(ceilings.tools)
    for name, limit in asked.tools.items():
        ceiling = tools.get(name, ToolLimit())
        field = f"budget.tools.{name}"
        tools[name] = ToolLimit(
            _narrowed(f"{field}.calls", ceiling.calls, limit.calls, problems),
            _narrowed(f"{field}.per_minute", ceiling.per_minute, limit.per_minute, problems),
        )
    if len(tools) > MAX_TOOLS:
        problem = f"may not name more than {MAX_TOOLS} tools, those of the agent's own budget included"
        problems.append(Problem(field="budget.tools", problem=problem))
    return problems or Limits(**values, tools=tools, exposure=ceilings.exposure)


def lowest(first: Limits, second: Limits) -> Limits:
    """Returns the tighter of two limits in every dimension; of a meter the bounds of both hold."""
    tools = {
        name: ToolLimit(
            _lower(first.tools.get(name, ToolLimit()).calls, second.tools.get(name, ToolLimit()).calls),
            _lower(first.tools.get(name, ToolLimit()).per_minute, second.tools.get(name, ToolLimit()).per_minute),
        )
        for name in {**first.tools, **second.tools}
    }
    exposure = {
        name: (*first.exposure.get(name, ()), *second.exposure.get(name, ()))
        for name in {**first.exposure, **second.exposure}
    }
    lower = {name: _lower(getattr(first, name), getattr(second, name)) for name in DIMENSIONS}
    return Limits(**lower, tools=tools, exposure=exposure)


def _lower(first: int | None, second: int | None) -> int | None:
    return min((limit for limit in (first, second) if limit is not None), default=None)


def _narrowed(field: str, ceiling: int | None, asked: int | None, problems: list[Problem]) -> int | None:
    if asked is None:
        return ceiling
    if ceiling is not None and asked > ceiling:
        limit = format_usd(ceiling) if field.endswith(".usd") else str(ceiling)
        problems.append(Problem(field=field, problem=f"may not exceed the ceiling of {limit}"))
    return asked


class Spent(Contract):
    """The spend of a run, or its holds. `usd_unbilled` is the part settled at its hold because no bill came.

    Attributes:
        steps: turns of the loop.
        model_calls: decisions asked of a model.
        tool_calls: calls of tools.
        input_tokens: tokens that the model read.
        output_tokens: tokens that the model wrote.
        usd: US dollars, as text.
        usd_unbilled: the part of `usd` that was settled at its hold because no bill came.
        seconds: seconds since the start.
        tools: calls by tool.
        exposure: what calls meant in the domain, by meter, as text.
    """

    steps: int
    model_calls: int
    tool_calls: int
    input_tokens: int
    output_tokens: int
    usd: str
    usd_unbilled: str
    seconds: int
    tools: dict[str, int]
    exposure: dict[str, str] = Field(default_factory=dict[str, str])

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    @classmethod
    def of(cls, amount: Amount, seconds: int, usd_unbilled: int = 0) -> "Spent":
        """Returns kernel amounts as a caller reads them; `seconds` is wall clock."""
        return cls(
            steps=amount.steps,
            model_calls=amount.model_calls,
            tool_calls=amount.tool_calls,
            input_tokens=amount.input_tokens,
            output_tokens=amount.output_tokens,
            usd=format_usd(amount.usd),
            usd_unbilled=format_usd(usd_unbilled),
            seconds=seconds,
            tools=dict(amount.tools),
            exposure={name: format_amount(units) for name, units in amount.exposure.items()},
        )

    def amount(self, exposure: Mapping[str, int] | None = None) -> Amount:
        """Returns the same as the kernel counts it.

        Args:
            exposure: what counts of each meter, in ten-thousandths; default: nothing.
        """
        return Amount(
            steps=self.steps,
            model_calls=self.model_calls,
            tool_calls=self.tool_calls,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            usd=parse_usd(self.usd),
            tools=dict(self.tools),
            exposure={name: units for name, units in (exposure or {}).items() if units},
        )

    @classmethod
    def by(cls, budget: Budget, seconds: int) -> "Spent":
        """Returns the spend of a budget."""
        return cls.of(budget.spent, seconds, budget.usd_unbilled)


class ModelSpent(Contract):
    """The part of a run's spend that a model has which the run changed to.

    Attributes:
        model_calls: decisions asked of the model.
        input_tokens: tokens that it read.
        output_tokens: tokens that it wrote.
        usd: US dollars, as text.
    """

    model_calls: int
    input_tokens: int
    output_tokens: int
    usd: str

    @classmethod
    def of(cls, amount: Amount) -> "ModelSpent":
        """Returns a kernel amount as a caller reads it."""
        return cls(
            model_calls=amount.model_calls,
            input_tokens=amount.input_tokens,
            output_tokens=amount.output_tokens,
            usd=format_usd(amount.usd),
        )
