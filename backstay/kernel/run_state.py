"""The whole memory of a run as one frozen value."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .approval import Approval
from .budget import Amount, Budget
from .child_events import ChildRun
from .conversation import Conversation
from .events import BudgetShort, DecisionHeld, Event, Flight, Killed
from .incident_events import IncidentStopped
from .ledger_period import Period
from .ledger_sums import Counts
from .price import Price
from .progress import Progress
from .stop import Stop, Thresholds
from .transitions import TRANSITIONS


@dataclass(frozen=True, slots=True)
class RunState:
    """Everything that decides how a run goes on. `failures` and `malformed` count in a row, `denials` in all.

    `shortfall` is the dimension in which the budget ends the run, `short` the hold that did not fit, with its figures;
    `wrapped` tells that a last answer was asked for. `models` are those that the run changed to, the present one last.
    `drawn` is what ledgers hold for the run, of US dollars and of tokens; None where the run draws on none. `counted`
    has the last sums that they told of each meter, by period. `incident` is the one that ended the run, `frozen` those
    that hold it. `spent_by` is the part of the spend on decisions of the models that the run changed to. `children` are
    the runs that it started, by call; `delegated` is what those have spent that ended, and is part of the spend.
    `conversation` is the one with people that goes on after an answer.
    """

    admitted: bool = False
    budget: Budget = field(default_factory=Budget)
    thresholds: Thresholds = field(default_factory=Thresholds)
    price: Price | None = None
    max_output_tokens: int = 0
    context_tokens: int = 0
    step: int = 0
    decision: DecisionHeld | None = None
    running: Mapping[str, str] = field(default_factory=dict[str, str])
    in_flight: Mapping[str, Flight] = field(default_factory=dict[str, Flight])
    progress: Progress = field(default_factory=Progress)
    denials: int = 0
    last_denial: Stop | None = None
    failures: int = 0
    malformed: int = 0
    killed: Killed | None = None
    incident: IncidentStopped | None = None
    frozen: tuple[str, ...] = ()
    cancelled: bool = False
    paused: bool = False
    deadline_passed: bool = False
    history_full: bool = False
    shortfall: str | None = None
    short: BudgetShort | None = None
    unknown_tool: str | None = None
    model_lost: str | None = None
    answered: bool = False
    refused_messages: int = 0
    approvals: Mapping[str, Approval] = field(default_factory=dict[str, Approval])
    expired: str | None = None
    taint: frozenset[str] = frozenset()
    concluding: bool = False
    warned: bool = False
    wrapped: bool = False
    models: tuple[str, ...] = ()
    spent_by: Mapping[str, Amount] = field(default_factory=dict[str, Amount])
    drawn: Mapping[str, int] | None = None
    counted: Counts = field(default_factory=dict[str, Mapping[Period, int]])
    children: Mapping[str, ChildRun] = field(default_factory=dict[str, ChildRun])
    delegated: Amount = field(default_factory=Amount)
    conversation: Conversation = field(default_factory=Conversation)

    @property
    def stands_still(self) -> bool:
        """Tells whether the run begins nothing until a person lets it go on."""
        return self.paused or bool(self.frozen)

    @property
    def waits_for_people(self) -> bool:
        """Tells whether the run, or a child run, waits for people."""
        return bool(self.open_approvals) or self.child_waits

    @property
    def child_waits(self) -> bool:
        """Tells whether a child run waits for people."""
        return any(child.waits for child in self.children.values())

    @property
    def listens(self) -> bool:
        """Tells whether the run has answered and waits for words."""
        return self.answered and self.conversation.listens

    @property
    def open_approvals(self) -> list[Approval]:
        """The approvals that wait for people, the oldest first."""
        return [approval for approval in self.approvals.values() if approval.end is None]

    def after(self, event: Event) -> "RunState":
        """Returns the state once `event` has happened; this is the only way a state changes."""
        transition = TRANSITIONS.get(type(event))
        return transition(self, event) if transition else self
