"""The request that starts a run, and the run's result."""

import json
from collections.abc import Sized
from typing import Annotated, Any, cast

from pydantic import AfterValidator, Field

from backstay.kernel.characters import steers

from .budget import BudgetLimits, LimitsInForce, ModelSpent, Spent
from .exposure import Sums
from .person import Person
from .problems import Contract, Problem, read_only
from .proof import METADATA_KEY

Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Text = Annotated[str, Field(max_length=4_000)]
MOST_ATTRIBUTE_BYTES = 2_000
"""Temporal ends a run that writes a longer search attribute, as JSON with every other letter spelled `\\uXXXX`."""


def _tenant(name: str) -> str:
    """Refuses a tenant that cannot be a search attribute, or that nobody could read."""
    if any(steers(character) for character in name):
        raise ValueError("a tenant holds no control, format or invisible characters and no line breaks")
    if len(json.dumps(name)) > MOST_ATTRIBUTE_BYTES:
        raise ValueError("a tenant is too long for a search attribute: use fewer characters")
    return name


Tenant = Annotated[str, Field(min_length=1, max_length=200, strict=True), AfterValidator(_tenant)]


class RunRequest(Contract):
    """The input of `AgentRun`: one JSON object.

    `requested_by` and `tenant` are claims of whoever may start runs, until the proof in the metadata's `backstay.proof`
    was verified.

    Attributes:
        goal: what the run is asked for.
        agent: the name of an agent's folder.
        tenant: for whom the run works.
        requested_by: who asked; may never approve this run's calls.
        budget: limits below the agent's ceilings.
        metadata: texts that traces, audit and tools are given.
    """

    goal: Annotated[str, Field(min_length=1, max_length=32_000, strict=True)]
    agent: Name = "default"
    tenant: Tenant = "default"
    requested_by: Person | None = None
    budget: BudgetLimits | None = None
    metadata: dict[Annotated[str, Field(max_length=200)], Annotated[Text, Field(strict=True)]] = Field(
        default_factory=dict[str, str], max_length=32
    )

    @property
    def proof(self) -> str | None:
        """The proof that came with the start."""
        return self.metadata.get(METADATA_KEY)

    def unsigned(self) -> "RunRequest":
        """Returns the request without its proof: what is signed, and what tools and traces are told."""
        if self.proof is None:
            return self
        metadata = {name: text for name, text in self.metadata.items() if name != METADATA_KEY}
        return self.model_copy(update={"metadata": metadata})

    def content(self) -> dict[str, Any]:
        """Returns the request as it is signed: with its defaults, without its proof and without what is null."""
        return self.unsigned().model_dump(mode="json", exclude_none=True)

    @classmethod
    def read(cls, args: tuple[Any, ...]) -> "RunRequest | list[Problem]":
        """Reads the arguments of a start; anything but one fitting object is a list of problems."""
        return read_only(cls, args, "inputs")


class InFlight(Contract):
    """A call that was running when the run was interrupted, and how it ended.

    Attributes:
        call_id: the call's id in the conversation.
        tool: the tool's name.
        outcome: how the call ended.
    """

    call_id: str
    tool: str
    outcome: str


class AuditSummary(Contract):
    """The number of audit records of a run, and the hash of the last.

    Attributes:
        records: how many records there are.
        head: the hash of the last.
    """

    records: int
    head: str


def _is_empty(value: Sized) -> bool:
    return not value


def _is_none(value: object) -> bool:
    return value is None


class ChildSpent(Contract):
    """A child run of a run, and what it spent, which is part of the run's own spend.

    Attributes:
        run_id: the child's workflow id.
        call_id: the call that asked for it.
        agent: the agent's name.
        status: `completed`, `stopped` or `failed`; `refused` where it was never admitted, `unknown` where it left no
            result: all that was held for it then counts as spent.
        stop_reason: why it ended.
        spent: what it spent.
        head: the hash of its last audit record.
    """

    run_id: str
    call_id: str
    agent: str
    status: str
    stop_reason: str | None
    spent: Spent
    head: str


class RunResult(Contract):
    """The result of a run, in one shape for completed, stopped and failed ones; what people ask first comes first.

    Attributes:
        answer: the model's answer, where there is one.
        status: `completed`, `stopped` or `failed`.
        stop_reason: why the run ended.
        stop_detail: the dimension, rule or words behind the reason.
        stop_explained: why a budget ended the run, in figures, and what to raise.
        run_id: the workflow's id.
        agent: the agent's name.
        agent_version: a digest of the agent's folder.
        tenant: for whom the run worked.
        steps: turns of the loop.
        spent: everything that was spent.
        budget: the limits in force.
        exposure: the sum of each meter: what happened or may have happened.
        in_flight: calls that were running when the run was interrupted.
        policy_version: the digest of the rules in force.
        audit: the number of audit records, and the hash of the last.
        models: the part of the spend that other models than the first have; left out where none was asked.
        labels: the labels of what the run has read, such as `untrusted`; left out where it read nothing that has one.
        children: the child runs, each with its part of the spend; left out where there were none.
        parent: the run that this one was a child of, and that has drawn what it spent; left out where it was none.
    """

    answer: str | None
    status: str
    stop_reason: str
    stop_detail: str | None
    run_id: str
    agent: str
    agent_version: str
    tenant: str
    steps: int
    spent: Spent
    budget: LimitsInForce
    in_flight: list[InFlight]
    policy_version: str
    audit: AuditSummary
    stop_explained: str | None = None
    exposure: Sums = Field(default_factory=dict[str, Any])
    models: Annotated[dict[str, ModelSpent], Field(exclude_if=_is_empty)] = Field(default_factory=dict[str, ModelSpent])
    labels: Annotated[list[str], Field(exclude_if=_is_empty)] = Field(default_factory=list[str])
    children: Annotated[list[ChildSpent], Field(exclude_if=_is_empty)] = Field(default_factory=list[ChildSpent])
    parent: Annotated[str | None, Field(exclude_if=_is_none)] = None


def plain(contract: Contract) -> dict[str, Any]:
    """Returns a contract as plain JSON values."""
    return cast("dict[str, Any]", json.loads(contract.model_dump_json()))
