"""The facts that change a run, one frozen value each.

The audit trail is the list of these: each event becomes one record, its name in snake case and its fields as facts.
"""

import functools
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .approval import Approval, ApprovalEnd
from .budget import Amount, Limits
from .price import Price
from .stop import StopReason, Thresholds
from .verdict import Verdict


class DecisionKind(StrEnum):
    """The kinds of a model's reply."""

    ANSWER = "answer"
    CALLS = "calls"
    MALFORMED = "malformed"


class CallOutcome(StrEnum):
    """The ends of a tool call. `unknown`: its effect may have happened, and nobody can tell."""

    COMPLETED = "completed"
    FAILED = "failed"
    DENIED = "denied"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Flight:
    """A call that was running when the run was interrupted, and how it ended (None: not yet)."""

    tool: str
    outcome: CallOutcome | None = None


@functools.cache
def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _plain(value: Any) -> Any:
    """Returns a field as `dataclasses.asdict` would, without its deep copies, which every event would pay for."""
    kind = type(value).__name__  # `isinstance` costs ten times as much in a workflow's sandbox
    if kind == "dict":
        return {key: _plain(entry) for key, entry in value.items()}
    if kind == "tuple":
        return tuple(_plain(entry) for entry in value)
    fields = getattr(value, "__dataclass_fields__", None)
    return value if fields is None else {name: _plain(getattr(value, name)) for name in fields}


@dataclass(frozen=True, slots=True)
class Event:
    """A fact about a run."""

    @classmethod
    def name(cls) -> str:
        """Returns the event's name in the audit: `CallEnded` is `call_ended`."""
        return _snake_case(cls.__name__)

    def facts(self) -> dict[str, Any]:
        """Returns the event's fields as plain JSON values."""
        return {name: _plain(getattr(self, name)) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class Admitted(Event):
    """The run was admitted; everything here stays in force for its life."""

    agent: str
    agent_version: str
    tenant: str
    requested_by: str | None
    model: str
    limits: Limits
    thresholds: Thresholds
    price: Price | None
    max_output_tokens: int


@dataclass(frozen=True, slots=True)
class DecisionHeld(Event):
    """The worst case of a decision is reserved: `attempts` requests of at most this much input and output each."""

    step: int
    attempts: int
    input_tokens: int
    max_output_tokens: int
    amount: Amount


@dataclass(frozen=True, slots=True)
class DecisionSettled(Event):
    """A decision's hold was replaced by its bill; `context_tokens` bounds what the next request repeats.

    `model` is the model that replied, as the server names it.
    """

    step: int
    amount: Amount
    usd_unbilled: int
    lost_attempts: int
    context_tokens: int
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Decided(Event):
    """The model's reply arrived; its calls are still unchecked."""

    step: int
    decision: DecisionKind
    calls: int
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class CallJudged(Event):
    """Policy gave its verdict over a call."""

    call_id: str
    tool: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class CallHeld(Event):
    """A call is admitted under the budget and is about to be executed."""

    call_id: str
    tool: str
    at_ms: int
    usd: int = 0


@dataclass(frozen=True, slots=True)
class CallEnded(Event):
    """A call came to its end; `fingerprint` is a digest of tool, arguments and result, None for repeatable tools."""

    call_id: str
    tool: str
    outcome: CallOutcome
    fingerprint: str | None = None
    usd: int = 0


@dataclass(frozen=True, slots=True)
class Tainted(Event):
    """The run read untrusted content; the taint stays for its life."""

    tool: str
    taint: str = "untrusted"


@dataclass(frozen=True, slots=True)
class CallReleased(Event):
    """A call that was held was never started; its hold is given back."""

    call_id: str
    tool: str


@dataclass(frozen=True, slots=True)
class ApprovalOpened(Event):
    """People are asked about a call."""

    approval: Approval


@dataclass(frozen=True, slots=True)
class ApprovalVoted(Event):
    """A person said yes; more may be needed."""

    approval_id: str
    by: str
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class ApprovalEnded(Event):
    """An approval came to its end; `by` is None where no person ended it."""

    approval_id: str
    end: ApprovalEnd
    by: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class OutcomeLearned(Event):
    """The tool or a person told how a call ended that had been lost from sight."""

    call_id: str
    tool: str
    happened: bool


@dataclass(frozen=True, slots=True)
class DecisionUnusable(Event):
    """A decision ended without one call that fits its tool."""

    step: int


@dataclass(frozen=True, slots=True)
class Concluding(Event):
    """A budget is nearly spent: the agent is told to conclude, and may use what was held back for that."""

    dimension: str


@dataclass(frozen=True, slots=True)
class Warned(Event):
    """The agent was told that it gets nowhere; it is told so once."""

    repetitions: int


@dataclass(frozen=True, slots=True)
class BudgetShort(Event):
    """A further call was needed and its hold did not fit."""

    dimension: str


@dataclass(frozen=True, slots=True)
class Killed(Event):
    """A person ended the run."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Paused(Event):
    """A person holds the run back from new decisions and actions."""

    by: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Resumed(Event):
    """A person lets the run go on."""

    by: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class DeadlinePassed(Event):
    """The run's seconds are over."""

    seconds: int


@dataclass(frozen=True, slots=True)
class CancelRequested(Event):
    """The engine was asked to cancel the run."""


@dataclass(frozen=True, slots=True)
class ModelLost(Event):
    """No reply of the model could be had."""

    detail: str


@dataclass(frozen=True, slots=True)
class MessageRefused(Event):
    """A signal or an update was refused; of its content only a valid `by` is kept."""

    message: str
    code: str
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Closed(Event):
    """The run came to its end."""

    reason: StopReason | None
    detail: str | None = None
