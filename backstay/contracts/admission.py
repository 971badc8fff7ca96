"""The admission of a run: fixed for its life, whatever is deployed meanwhile."""

from typing import Any, Literal

from pydantic import Field

from backstay.kernel.budget import Limits
from backstay.kernel.price import Price
from backstay.kernel.stop import Thresholds

from .budget import BudgetLimits
from .problems import Contract

Effect = Literal["read", "write", "once"]
Dedupe = Literal["run", "tenant"]
Api = Literal["responses", "chat"]


class ToolSpec(Contract):
    """A tool as the model, the runtime and the rules see it.

    `timeout` is seconds of one attempt, `cost` micro-dollars at most; `facts` has the Cedar type of each fact.
    `dedupe` says in which scope an identical call gets the first one's result, for `dedupe_window` seconds.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    digest: str
    effect: Effect
    timeout: float
    repeatable: bool = False
    untrusted: bool = False
    cost: int = 0
    reconciles: bool = False
    dedupe: Dedupe | None = None
    dedupe_window: float = 86_400.0
    groups: list[str] = Field(default_factory=list[str])
    facts: dict[str, str] = Field(default_factory=dict[str, str])


class ApprovalSpec(Contract):
    """The settings of approvals: `expires_after` in seconds; `notify` says whether a webhook is told.

    `unknown` is the group that answers for calls whose outcome nobody knows; without it such a run stops.
    """

    expires_after: float = 86_400.0
    notify: bool = False
    unknown: str | None = None
    unknown_members: list[str] = Field(default_factory=list[str])


class ModelSpec(Contract):
    """The model of a run; `give_up_after` is seconds of failed attempts at one decision."""

    name: str
    api: Api
    max_output_tokens: int
    give_up_after: float
    price: Price | None


class AdmitInput(Contract):
    """The input of `admit`."""

    agent: str
    requested_by: str | None = None
    budget: BudgetLimits | None = None


class Admission(Contract):
    """The admission record, the result of the run's first activity."""

    agent: str
    agent_version: str
    instructions: str
    model: ModelSpec
    tools: list[ToolSpec]
    limits: Limits
    thresholds: Thresholds
    policy_version: str
    approval: ApprovalSpec = ApprovalSpec()
    seconds_exclude_approvals: bool = False
    search_attributes: bool = True

    def tool(self, name: str) -> ToolSpec | None:
        """Returns the admitted tool of that name; None where there is none."""
        return next((tool for tool in self.tools if tool.name == name), None)


class Opening(Contract):
    """The start of a run: its request, its admission, and whether it was reset."""

    run_id: str
    goal: str
    agent: str
    tenant: str
    requested_by: str | None
    metadata: dict[str, str] = Field(default_factory=dict[str, str])
    admission: Admission
    reset: bool = False
