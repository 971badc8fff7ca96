"""Describes and reads `agent.toml`: its keys, their defaults, and errors that name the line."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from backstay.contracts.admission import Api
from backstay.contracts.budget import BudgetLimits
from backstay.contracts.money import Usd
from backstay.contracts.problems import Contract
from backstay.errors import ConfigurationError
from backstay.kernel.progress import LONGEST_CYCLE, REMEMBERED
from backstay.kernel.stop import Thresholds
from backstay.tools.declare import seconds

from .toml_file import read_table

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
    """The prices in USD per million tokens for a model that the price list does not know."""

    input: Usd
    output: Usd
    cached_input: Usd | None = None

    def given(self) -> dict[str, str]:
        """Returns the prices written in the file."""
        return self.model_dump(exclude_none=True)


class ModelTable(Contract):
    """The table `[model]`; the environment provides keys that are not set."""

    name: Annotated[str, Field(min_length=1)] | None = None
    api: Api | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    max_output_tokens: Positive = 2_000
    give_up_after: Duration = "10m"
    price: PriceTable | None = None


class BudgetTable(BudgetLimits):
    """The table `[budget]`: ceilings that a request may only lower."""

    steps: int | None = Field(default=20, ge=0, le=10**15, strict=True)
    tool_calls: int | None = Field(default=40, ge=0, le=10**15, strict=True)
    tokens: int | None = Field(default=200_000, ge=0, le=10**15, strict=True)
    usd: Usd | None = "0.50"
    seconds: int | None = Field(default=900, ge=0, le=10**9, strict=True)
    seconds_exclude_approvals: bool = False


class StopTable(Contract):
    """The table `[stop]`: a threshold of N stops the run at the Nth event."""

    denials: Positive = 3
    repeats: Annotated[int, Field(ge=1, le=REMEMBERED // LONGEST_CYCLE, strict=True)] = 3
    failures: Positive = 5
    malformed: Positive = 3
    conclude_at: Annotated[str, Field(pattern=r"^([1-9][0-9]?|100)%$")] = "90%"

    def thresholds(self, expiry_stops: bool) -> Thresholds:
        """Returns the thresholds in the kernel's form."""
        percent = int(self.conclude_at.removesuffix("%"))
        return Thresholds(self.denials, self.repeats, self.failures, self.malformed, expiry_stops, percent)


Group = Annotated[str, Field(min_length=1, max_length=80)]


class ApprovalTable(Contract):
    """The table `[approval]`: who approves which tools, and how long they have to answer."""

    require: dict[str, str] = Field(default_factory=dict[str, str])
    expires_after: Duration = "24h"
    on_expiry: Literal["deny", "stop"] = "deny"
    unknown: Group | None = None
    requester_required: bool = False
    groups: dict[Group, list[Annotated[str, Field(min_length=1)]]] = Field(default_factory=dict[str, list[str]])
    notify: Annotated[str, Field(pattern="^https?://")] | None = None


class PolicyTable(Contract):
    """The table `[policy]`: tools permitted without a rule, and whether the agent's own rules are enforced."""

    permit: Literal["listed", "explicit"] = "listed"
    mode: Literal["enforce", "observe"] = "enforce"


class AgentConfig(Contract):
    """The whole file `agent.toml`; only `instructions` is required."""

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
        ConfigurationError: the file is missing, is not TOML, or a key does not fit; names the line where known.
    """
    return read_table(path, AgentConfig)
