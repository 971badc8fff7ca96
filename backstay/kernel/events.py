"""The facts that change a run, one frozen value each.

The audit trail is the list of these: each event becomes one record, its name in snake case and its fields as facts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from .approval import Approval, ApprovalEnd
from .budget import Amount, Limits
from .event import Event
from .ledger_sums import Amounts, Counts, Crossing, Keys
from .meter import Excess
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
    """The worst case of a decision is reserved: `attempts` requests of at most this much input and output each.

    `last_answer` is what stays held beside it for a last answer after it; None where none is held back, or this is it.
    """

    step: int
    attempts: int
    input_tokens: int
    max_output_tokens: int
    amount: Amount
    last_answer: Amount | None = None


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
    """A call is admitted under the budget and is about to be executed.

    `exposure` is what it adds to each meter, `agreed` the sum that people agreed to, where they were asked.
    """

    call_id: str
    tool: str
    at_ms: int
    usd: int = 0
    exposure: Mapping[str, int] = field(default_factory=dict[str, int])
    agreed: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class CallEnded(Event):
    """A call came to its end.

    `unclear`: it failed in a way that leaves open whether its effect happened. `borrowed`: another call performed the
    effect that identical calls share.
    """

    call_id: str
    tool: str
    outcome: CallOutcome
    usd: int = 0
    unclear: bool = False
    borrowed: bool = False

    @property
    def counts(self) -> bool:
        """True where what the call means in the domain goes on to count: it happened, or nobody can rule that out.

        INVARIANT: of a shared effect only the call that performed it counts.
        """
        perhaps = self.unclear and self.outcome is not CallOutcome.DENIED
        return (self.outcome in (CallOutcome.COMPLETED, CallOutcome.UNKNOWN) or perhaps) and not self.borrowed


@dataclass(frozen=True, slots=True)
class DecisionEnded(Event):
    """All calls of a decision came to their ends, which stand here in the order asked.

    `fingerprints` are digests of tool, arguments and result; calls of repeatable tools have none.
    """

    step: int
    outcomes: tuple[CallOutcome, ...]
    fingerprints: tuple[str, ...]


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
class ModelChanged(Event):
    """Decisions are asked of another model from now on, held at its own price: the cheaper one, or the next one left.

    `why` is `near_limit` or `fallback`.
    """

    model: str
    price: Price | None
    why: str


@dataclass(frozen=True, slots=True)
class WrapsUp(Event):
    """The budget is exhausted: the agent is asked for a last answer without tools, from what was held back for it."""

    dimension: str


@dataclass(frozen=True, slots=True)
class Warned(Event):
    """The agent was told that it gets nowhere; it is told so once."""

    repetitions: int


@dataclass(frozen=True, slots=True)
class BudgetShort(Event):
    """A further call was needed and its hold did not fit: of the tool `call`, or of the model where that is None.

    `needed` is what the hold asked for in this dimension, `left` what the budget had; None in earlier records.
    """

    dimension: str
    call: str | None = None
    needed: int | None = None
    left: int | None = None


@dataclass(frozen=True, slots=True)
class Granted(Event):
    """A person raised limits of the run: `added` to those before, which gives the `limits` now in force.

    `approval_id` names the approval that asked for it; None where nobody was asked.
    """

    by: str
    reason: str
    added: Limits
    limits: Limits
    approval_id: str | None = None


@dataclass(frozen=True, slots=True)
class Drawn(Event):
    """Ledgers reserved `amounts` for the run; `keys` names the periods in which they count."""

    draw: str
    amounts: Amounts
    keys: Keys


@dataclass(frozen=True, slots=True)
class LimitNeared(Event):
    """A draw of the run was the first to reach a share of a limit that holds for many runs."""

    crossing: Crossing


@dataclass(frozen=True, slots=True)
class Counted(Event):
    """Ledgers hold what a call adds to meters; `sums` are those of the tenant with it, `keys` names the periods."""

    call_id: str
    tool: str
    hold: str
    sums: Counts
    keys: Keys


@dataclass(frozen=True, slots=True)
class Uncounted(Event):
    """Ledgers get back what they held of calls that did not happen; `holds` are the names of these holds."""

    holds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExposureExceeded(Event):
    """A call would have taken meters above a limit, and was not made; the run goes on."""

    call_id: str
    tool: str
    excess: Excess


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
class HistoryFull(Event):
    """The run's history is nearly as long as the engine keeps one: its size in bytes, its events, its signals."""

    size: int
    events: int
    signals: int


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
class ClaimProven(Event):
    """A proof was verified: the person sent this message; `message` is `start` for the run's request."""

    message: str
    by: str


@dataclass(frozen=True, slots=True)
class Closed(Event):
    """The run came to its end."""

    reason: StopReason | None
    detail: str | None = None
