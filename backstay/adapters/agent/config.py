"""Describes and reads `agent.toml`: its keys, their defaults, and errors that name the line."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from backstay.contracts.admission import Api, OnExhausted
from backstay.contracts.budget import BudgetLimits
from backstay.contracts.exposure import ExposureLimits, MeterName
from backstay.contracts.money import Usd
from backstay.contracts.person import People
from backstay.contracts.problems import Contract
from backstay.contracts.quota import Account
from backstay.errors import ConfigurationError
from backstay.kernel.progress import FEWEST_REPEATS, LONGEST_CYCLE, REMEMBERED
from backstay.kernel.stop import Thresholds
from backstay.tools.declare import seconds
from backstay.tools.ready.settings import ReadyTable

from ..model.dialect import Name, Parameters, Wire
from .delegating import DelegateTable
from .mcp_table import McpTable, ServerName
from .registers import Registers
from .toml_file import read_table

Positive = Annotated[int, Field(ge=1, le=10**6, strict=True)]
Window = Annotated[int, Field(ge=1_000, le=10**9, strict=True)]


def _duration(value: str) -> str:
    try:
        seconds(value)
    except ConfigurationError as error:
        raise ValueError(str(error)) from None
    return value


Duration = Annotated[str, AfterValidator(_duration)]
"""A duration such as "30s", "10m" or "24h"."""


class PriceTable(Contract):
    """The prices in USD per million tokens for a model that the price list does not know.

    Attributes:
        input: for input tokens.
        output: for output tokens.
        cached_input: for input tokens that the server had cached; default: as `input`.
        cache_write: for input tokens that the server writes to its cache; default: as `input`.
    """

    input: Usd
    output: Usd
    cached_input: Usd | None = None
    cache_write: Usd | None = None

    def given(self) -> dict[str, str]:
        """Returns the prices written in the file."""
        return self.model_dump(exclude_none=True)


class OtherModelTable(Contract):
    """Another model at the same server; its name alone may stand in place of the table: `near_limit = "gpt-5-nano"`.

    Attributes:
        name: the model's name.
        price: what it costs, where the price list does not know it.
        context_window: the tokens that it takes, its reply included, where the price list does not know it.
    """

    name: Annotated[str, Field(min_length=1)]
    price: PriceTable | None = None
    context_window: Window | None = None


def _named(value: Any) -> Any:
    """Reads a model that is given by its name alone."""
    return {"name": value} if isinstance(value, str) else value


Other = Annotated[OtherModelTable, BeforeValidator(_named, json_schema_input_type=str | OtherModelTable)]


class ModelTable(Contract):
    """The table `[model]`; the environment provides keys that are not set.

    Attributes:
        name: the model's name; default: `BACKSTAY_MODEL`.
        api: the API that the server speaks; default: `BACKSTAY_MODEL_API`.
        base_url: the server's address; default: `OPENAI_BASE_URL`.
        api_key_env: the variable that holds the key; default: `OPENAI_API_KEY`.
        max_output_tokens: the most tokens that one decision may write.
        give_up_after: how long failed attempts at one decision are repeated.
        dialect: how the server wants the wire; known hosts have the right default.
        price: what a model costs that the price list does not know.
        near_limit: a cheaper model, asked once `[budget] conclude_at` is reached: a name, or name and price.
        fallback: the models asked in turn where the model is not to be had: names, or names and prices.
        account: the provider's account: calls of one account share a rate, set by `backstay quota set`.
        context_window: the tokens that the model takes, its reply included; default: as the price list has it.
    """

    name: Annotated[str, Field(min_length=1)] | None = None
    api: Api | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    max_output_tokens: Positive = 2_000
    give_up_after: Duration = "10m"
    dialect: Name = "auto"
    parameters: Parameters = Parameters()
    price: PriceTable | None = None
    near_limit: Other | None = None
    fallback: Annotated[list[Other], Field(max_length=10)] = Field(default_factory=list[OtherModelTable])
    account: Account | None = None
    context_window: Window | None = None

    def wire(self) -> Wire:
        """Returns what the file says of the wire."""
        return Wire(self.dialect, self.parameters)


class ContextTable(Contract):
    """The table `[context]`: what becomes of a conversation that nears the model's window, where that is known.

    Attributes:
        compact_at: the percentage of the window at which older turns are replaced by a summary.
        model: a cheaper model that writes the summary: a name, or name and price; default: the model of the decisions.
    """

    compact_at: Annotated[int, Field(ge=10, le=95, strict=True)] = 80
    model: Other | None = None


class BudgetTable(BudgetLimits):
    """The table `[budget]`: ceilings that a request may only lower.

    Attributes:
        seconds_exclude_approvals: waiting for people does not use up `seconds`.
        conclude_at: the percentage of any limit at which the model is told once what is left.
        wrap_up: holds back a last answer without tools, so that a run whose budget is exhausted says what is done.
        on_exhausted: ends the run, or asks the group in `[approval] budget` for more.
    """

    steps: int | None = Field(default=20, ge=0, le=10**15, strict=True)
    tool_calls: int | None = Field(default=40, ge=0, le=10**15, strict=True)
    tokens: int | None = Field(default=200_000, ge=0, le=10**15, strict=True)
    usd: Usd | None = "0.50"
    seconds: int | None = Field(default=900, ge=0, le=10**9, strict=True)
    seconds_exclude_approvals: bool = True
    conclude_at: Annotated[int, Field(ge=1, le=100, strict=True)] = 80
    wrap_up: bool = True
    on_exhausted: OnExhausted = "stop"

    def written(self) -> BudgetLimits:
        """Returns the limits that the file sets, without defaults."""
        return BudgetLimits.model_validate(self.model_dump(exclude_unset=True, include=set(BudgetLimits.model_fields)))


def _repeated(times: int) -> int:
    """Refuses what would stop a run at its first call, which repeats nothing."""
    if times < FEWEST_REPEATS:
        raise ValueError(
            f"expected {FEWEST_REPEATS} or more: the first call repeats nothing, so it cannot stop the run"
        )
    return times


class StopTable(Contract):
    """The table `[stop]`: a threshold of N stops the run at the Nth event.

    The model reads the results, and that a repetition stops the run, before one does.

    Attributes:
        denials: calls refused by rules or people.
        repeats: the same call with the same result, the first time included; at least 2.
        failures: failed calls in a row.
        malformed: decisions in a row that cannot be used.
    """

    denials: Positive = 3
    repeats: Annotated[int, Field(le=REMEMBERED // LONGEST_CYCLE, strict=True), AfterValidator(_repeated)] = 3
    failures: Positive = 5
    malformed: Positive = 3

    def thresholds(self) -> Thresholds:
        """Returns the thresholds in the kernel's form."""
        return Thresholds(self.denials, self.repeats, self.failures, self.malformed)


def _address(value: str) -> str:
    """Refuses what is no address and no reference to one, without repeating any of it."""
    if not re.fullmatch(r"https?://[^/]\S*|secret:[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError("expected `secret:NAME`, or an address that begins with https:// or http://")
    return value


Notify = Annotated[str, AfterValidator(_address)]
"""A web address, or better `secret:NAME`: whoever knows the address may write there."""

Group = Annotated[str, Field(min_length=1, max_length=80)]


class ApprovalTable(Contract):
    """The table `[approval]`: who approves which tools, and how long they have to answer.

    Attributes:
        require: the group that must approve a tool's calls, by tool; for conditions write a rule.
        expires_after: how long people have to answer.
        wait_at_most: how long a run waits for people, all its approvals together.
        on_expiry: an approval that nobody answered counts as a refusal, or stops the run.
        unknown: the group that says what became of a lost call; without it the run stops.
        budget: the group that may raise limits of running runs, and answers where one is exhausted.
        requester_required: refuses runs that do not say who asked.
        groups: the people of each group.
        notify: where notices of approvals are posted: an address, or better `secret:NAME`.
    """

    require: dict[str, str] = Field(default_factory=dict[str, str])
    expires_after: Duration = "24h"
    wait_at_most: Duration = "7d"
    on_expiry: Literal["deny", "stop"] = "deny"
    unknown: Group | None = None
    budget: Group | None = None
    requester_required: bool = False
    groups: dict[Group, People] = Field(default_factory=dict[str, list[str]])
    notify: Notify | None = None


class ConversationTable(Contract):
    """The table `[conversation]`: keeps runs open after their answer, so that people may say more.

    Attributes:
        keep_open: how long a run waits after each answer for more words, under the same budget.
        speakers: the group that may speak, beside who asked for the run.
    """

    keep_open: Duration
    speakers: Group | None = None


class PolicyTable(Contract):
    """The table `[policy]`: tools permitted without a rule, and whether the agent's own rules are enforced.

    Attributes:
        permit: `listed` permits the listed tools by a generated rule, `explicit` only what `policy.cedar` permits.
        mode: `observe` records what `policy.cedar` would decide, and enforces the organisation's rules only.
    """

    permit: Literal["listed", "explicit"] = "listed"
    mode: Literal["enforce", "observe"] = "enforce"


class SourcesTable(Contract):
    """The table `[sources]`: where values may come from beyond what the organisation trusts.

    Attributes:
        accept: the sources that an argument may have, by tool and argument, as far as org.toml opens them to agents.
    """

    accept: dict[str, dict[str, list[str]]] = Field(default_factory=dict[str, dict[str, list[str]]])


class AgentConfig(Contract):
    """The whole file `agent.toml`; only `instructions` is required.

    Attributes:
        instructions: what the agent is for and how it works, in your words.
        description: one line for people.
        tools: the tools that the agent may call; default: every `@tool` of tools.py.
        exposure: limits of what calls mean, by meter.
        registers: known values by the name of their register: a list, or a file in the agent's folder.
        mcp: MCP servers by the name that the agent gives them; their tools are listed as `mcp:NAME/TOOL`.
        conversation: keeps runs open after their answer, so that people may say more.
        delegate: the agents that `std:delegate` may ask, and how many of their runs there may be.
    """

    instructions: Annotated[str, Field(min_length=1, max_length=200_000)]
    description: str = ""
    tools: list[str] | None = None
    model: ModelTable = ModelTable()
    context: ContextTable = ContextTable()
    budget: BudgetTable = BudgetTable()
    stop: StopTable = StopTable()
    approval: ApprovalTable = ApprovalTable()
    exposure: dict[MeterName, ExposureLimits] = Field(default_factory=dict[str, ExposureLimits])
    policy: PolicyTable = PolicyTable()
    registers: Registers = Field(default_factory=dict[str, str | list[str]])
    sources: SourcesTable = SourcesTable()
    std: ReadyTable = ReadyTable()
    mcp: dict[ServerName, McpTable] = Field(default_factory=dict[str, McpTable])
    delegate: DelegateTable | None = None
    conversation: ConversationTable | None = None

    def thresholds(self, *, calls_tools: bool) -> Thresholds:
        """Returns when a run stops, is told to conclude and wraps up; without tools every answer is a last one."""
        return replace(
            self.stop.thresholds(),
            expiry_stops=self.approval.on_expiry == "stop",
            conclude_at=self.budget.conclude_at,
            wrap_up=self.budget.wrap_up and calls_tools,
        )


def read_config(path: Path) -> AgentConfig:
    """Reads an `agent.toml`.

    Raises:
        ConfigurationError: the file is missing, is not TOML, or a key does not fit; names the line where known.
    """
    return read_table(path, AgentConfig)
