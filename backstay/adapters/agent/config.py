"""The file `agent.toml`: its keys, their defaults, and errors that name the line."""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError

from backstay.contracts.admission import Api
from backstay.contracts.budget import BudgetLimits
from backstay.contracts.money import Usd
from backstay.contracts.problems import Contract, problems_of
from backstay.errors import ConfigurationError
from backstay.kernel.progress import LONGEST_CYCLE, REMEMBERED
from backstay.kernel.stop import Thresholds
from backstay.tools.declare import seconds

Positive = Annotated[int, Field(ge=1, le=10**6, strict=True)]


def _duration(value: str) -> str:
    try:
        seconds(value)
    except ConfigurationError as error:
        raise ValueError(str(error)) from None
    return value


Duration = Annotated[str, AfterValidator(_duration)]
"""A duration such as "30s", "10m" or "24h"."""


class PriceTable(Contract):
    """USD per million tokens, for models that the price list does not know."""

    input: Usd
    output: Usd
    cached_input: Usd | None = None

    def given(self) -> dict[str, str]:
        """The prices that were written down."""
        return self.model_dump(exclude_none=True)


class ModelTable(Contract):
    """`[model]`: what is not set here comes from the environment."""

    name: Annotated[str, Field(min_length=1)] | None = None
    api: Api | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    max_output_tokens: Positive = 2_000
    give_up_after: Duration = "10m"
    price: PriceTable | None = None


class BudgetTable(BudgetLimits):
    """`[budget]`: ceilings; a request may only narrow them."""

    steps: int | None = Field(default=20, ge=0, le=10**15, strict=True)
    tool_calls: int | None = Field(default=40, ge=0, le=10**15, strict=True)
    tokens: int | None = Field(default=200_000, ge=0, le=10**15, strict=True)
    usd: Usd | None = "0.50"
    seconds: int | None = Field(default=900, ge=0, le=10**9, strict=True)
    seconds_exclude_approvals: bool = False


class StopTable(Contract):
    """`[stop]`: each threshold N stops at the Nth."""

    denials: Positive = 3
    repeats: Annotated[int, Field(ge=1, le=REMEMBERED // LONGEST_CYCLE, strict=True)] = 3
    failures: Positive = 5
    malformed: Positive = 3
    conclude_at: Annotated[str, Field(pattern=r"^([1-9][0-9]?|100)%$")] = "90%"

    def thresholds(self, expiry_stops: bool) -> Thresholds:
        """The same thresholds as the kernel counts them."""
        percent = int(self.conclude_at.removesuffix("%"))
        return Thresholds(self.denials, self.repeats, self.failures, self.malformed, expiry_stops, percent)


Group = Annotated[str, Field(min_length=1, max_length=80)]


class ApprovalTable(Contract):
    """`[approval]`: who is asked for what, and how long they have."""

    require: dict[str, str] = Field(default_factory=dict[str, str])
    expires_after: Duration = "24h"
    on_expiry: Literal["deny", "stop"] = "deny"
    unknown: Group | None = None
    requester_required: bool = False
    groups: dict[Group, list[Annotated[str, Field(min_length=1)]]] = Field(default_factory=dict[str, list[str]])
    notify: Annotated[str, Field(pattern="^https?://")] | None = None


class PolicyTable(Contract):
    """`[policy]`: what is permitted without a rule, and whether the agent's own rules are enforced."""

    permit: Literal["listed", "explicit"] = "listed"
    mode: Literal["enforce", "observe"] = "enforce"


class AgentConfig(Contract):
    """The whole file; only `instructions` is required."""

    instructions: Annotated[str, Field(min_length=1, max_length=200_000)]
    description: str = ""
    tools: list[str] | None = None
    model: ModelTable = ModelTable()
    budget: BudgetTable = BudgetTable()
    stop: StopTable = StopTable()
    approval: ApprovalTable = ApprovalTable()
    policy: PolicyTable = PolicyTable()


def read_config(path: Path) -> AgentConfig:
    """Reads an `agent.toml`.

    Raises:
        ConfigurationError: the file is missing, is no TOML, or a key in it does not fit; names the line where known.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot be read: {error}", where=str(path)) from None
    try:
        return AgentConfig.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"no valid TOML: {error}", where=str(path)) from None
    except ValidationError as error:
        problem = problems_of(error)[0]
        line = line_of(text, problem.field)
        known = ", ".join(f"`{key}`" for key in _known_keys(problem.field))
        mend = f"known keys are {known}" if problem.problem == "unknown field" and known else None
        where = f"{path}:{line}" if line else str(path)
        raise ConfigurationError(f"`{problem.field}`: {problem.problem}", where=where, mend=mend) from None


def line_of(text: str, field: str) -> int | None:
    """The line of a dotted key, or of the nearest table or key above it that the file spells out."""
    parts = field.split(".")
    for depth in range(len(parts), 0, -1):
        table, key = ".".join(parts[: depth - 1]), parts[depth - 1]
        current = ""
        for number, line in enumerate(text.splitlines(), 1):
            if header := re.match(r"\s*\[+([^\]]+)\]+", line):
                current = header[1].strip().replace('"', "")
                if current == ".".join(parts[:depth]):
                    return number
            elif current == table and re.match(rf'\s*"?{re.escape(key)}"?\s*=', line):
                return number
    return None


def _known_keys(field: str) -> list[str]:
    model: type[Contract] = AgentConfig
    for part in field.split(".")[:-1]:
        inner = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, Contract)):
            return []
        model = inner
    return list(model.model_fields)
