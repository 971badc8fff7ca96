"""The whole memory of a run as one frozen value."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .approval import Approval
from .budget import Budget
from .events import DecisionHeld, Event, Flight, Killed
from .price import Price
from .progress import Progress
from .stop import Stop, Thresholds
from .transitions import TRANSITIONS


@dataclass(frozen=True, slots=True)
class RunState:
    """Everything that decides how a run goes on. `failures` and `malformed` count in a row, `denials` in all."""

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
    cancelled: bool = False
    paused: bool = False
    deadline_passed: bool = False
    shortfall: str | None = None
    unknown_tool: str | None = None
    model_lost: str | None = None
    answered: bool = False
    refused_messages: int = 0
    approvals: Mapping[str, Approval] = field(default_factory=dict[str, Approval])
    expired: str | None = None
    taint: frozenset[str] = frozenset()
    concluding: bool = False
    warned: bool = False

    @property
    def open_approvals(self) -> list[Approval]:
        """The approvals that wait for people, the oldest first."""
        return [approval for approval in self.approvals.values() if approval.end is None]

    def after(self, event: Event) -> "RunState":
        """Returns the state once `event` has happened; this is the only way a state changes."""
        transition = TRANSITIONS.get(type(event))
        return transition(self, event) if transition else self
