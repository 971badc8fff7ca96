"""The request that starts a run, and the run's result."""

import json
from typing import Annotated, Any, cast

from pydantic import Field, ValidationError

from .budget import BudgetLimits, Spent
from .problems import Contract, Problem, problems_of

Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Text = Annotated[str, Field(max_length=4_000)]


class RunRequest(Contract):
    """The input of `AgentRun`: one JSON object."""

    goal: Annotated[str, Field(min_length=1, max_length=32_000, strict=True)]
    agent: Name = "default"
    tenant: Annotated[str, Field(min_length=1, max_length=200, strict=True)] = "default"
    requested_by: Annotated[str, Field(min_length=1, max_length=200, strict=True)] | None = None
    budget: BudgetLimits | None = None
    metadata: dict[Annotated[str, Field(max_length=200)], Annotated[Text, Field(strict=True)]] = Field(
        default_factory=dict[str, str], max_length=32
    )

    @classmethod
    def read(cls, args: tuple[Any, ...]) -> "RunRequest | list[Problem]":
        """Reads the arguments of a start; anything but one fitting object is a list of problems."""
        if len(args) != 1:
            return [Problem(field="$", problem=f"expected exactly one JSON object, got {len(args)} inputs")]
        try:
            return cls.model_validate(args[0])
        except ValidationError as error:
            return problems_of(error)


class InFlight(Contract):
    """A call that was running when the run was interrupted, and how it ended."""

    call_id: str
    tool: str
    outcome: str


class AuditSummary(Contract):
    """The number of audit records of a run, and the hash of the last."""

    records: int
    head: str


class RunResult(Contract):
    """The result of a run, in one shape for completed, stopped and failed ones."""

    run_id: str
    agent: str
    agent_version: str
    tenant: str
    status: str
    stop_reason: str
    stop_detail: str | None
    answer: str | None
    steps: int
    spent: Spent
    budget: BudgetLimits
    in_flight: list[InFlight]
    policy_version: str
    audit: AuditSummary


def plain(contract: Contract) -> dict[str, Any]:
    """Returns a contract as plain JSON values."""
    return cast("dict[str, Any]", json.loads(contract.model_dump_json()))
