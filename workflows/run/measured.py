"""Measures one run: its verdicts and the waiting for people as they come, and its sums at its end.

The sums are told at the end, so that they are those of the result, whatever workers have served the run.
"""

from collections.abc import Callable, Mapping

from backstay.contracts import measures
from backstay.contracts.budget import DIMENSIONS
from backstay.contracts.carry import Carried
from backstay.contracts.measures import Measure
from backstay.contracts.status import TranscriptItem
from backstay.kernel.budget import Amount
from backstay.kernel.event import Event
from backstay.kernel.events import Admitted, ApprovalEnded, CallJudged, Closed, Killed
from backstay.kernel.incident_events import IncidentStopped

from .clock import Clock
from .record import Record

Tell = Callable[[Measure, float, Mapping[str, str]], None]

CANCELLED = "cancelled"
"""Stands where others have their stop reason: the engine's cancel has none."""


class Measured:
    """Measures one run; it follows the run's record."""

    def __init__(self, record: Record, clock: Clock, tell: Tell) -> None:
        self._record = record
        self._clock = clock
        self._tell = tell
        self._agent = ""
        """Empty until the admission: before it, the name is any text of whoever starts the run."""
        self._model = ""
        self._stopped: tuple[str, int] | None = None
        """The first cause of the stop, and its time."""
        self._happened: Mapping[type[Event], Callable[..., None]] = {
            Admitted: self._admitted,
            CallJudged: self._judged,
            ApprovalEnded: self._answered,
            Killed: self._killed,
            IncidentStopped: self._killed,
            Closed: self._closed,
        }

    def carry_on(self, carried: Carried) -> None:
        """Goes on where the link before has left off."""
        self._agent, self._model = carried.admission.agent, carried.admission.model.name

    def happened(self, event: Event) -> None:
        """Measures an event of the run."""
        if took := self._happened.get(type(event)):
            took(event)

    def said(self, item: TranscriptItem) -> None:
        """Measures nothing of what is said."""

    def _admitted(self, event: Admitted) -> None:
        self._agent, self._model = event.agent, event.model

    def _judged(self, event: CallJudged) -> None:
        verdict, outcome = event.verdict, event.verdict.outcome.value
        self._count(measures.VERDICTS, 1, outcome=outcome, code=verdict.code.value)
        for rule in verdict.rules:
            self._count(measures.VERDICT_RULES, 1, outcome=outcome, rule=rule)

    def _answered(self, event: ApprovalEnded) -> None:
        approval = self._record.state.approvals[event.approval_id]
        waited = max(0, self._clock.now_ms() - approval.requested_at_ms) / 1_000
        self._count(measures.APPROVAL_WAIT, waited, kind=approval.kind.value, end=event.end.value)

    def _killed(self, event: Killed | IncidentStopped) -> None:
        cause = "kill" if isinstance(event, Killed) else "incident"
        self._stopped = self._stopped or (cause, self._clock.now_ms())

    def _closed(self, event: Closed) -> None:
        state = self._record.state
        self._count(measures.RUNS_CLOSED, 1, stop_reason=event.reason.value if event.reason else CANCELLED)
        if self._stopped is not None:
            cause, at_ms = self._stopped
            self._count(measures.KILL_LATENCY, max(0, self._clock.now_ms() - at_ms) / 1_000, cause=cause)
        if not state.admitted:
            return
        self._count(measures.STEPS, state.step)
        self._count(measures.SPENT, state.budget.spent.usd - state.delegated.usd)
        for model, spent in self._by_model().items():
            self._count(measures.TOKENS, spent.input_tokens, model=model, type="input")
            self._count(measures.TOKENS, spent.output_tokens, model=model, type="output")
        for meter, units in state.budget.exposed().items():
            self._count(measures.EXPOSURE, units, meter=meter)
        for dimension, left in self._left().items():
            self._count(measures.BUDGET_LEFT, left, dimension=dimension)

    def _by_model(self) -> Mapping[str, Amount]:
        """Returns the run's spend by model: what no model has that the run changed to is the first one's."""
        state = self._record.state
        first = state.budget.spent - state.delegated
        for amount in state.spent_by.values():
            first = first - amount
        # A run may change back to its first model, which then has a part of its own too.
        return {**state.spent_by, self._model: first + state.spent_by.get(self._model, Amount())}

    def _left(self) -> Mapping[str, float]:
        """Returns the part that is left of each limit."""
        budget = self._record.state.budget
        limits = {name: getattr(budget.limits, name) for name in DIMENSIONS}
        taken = {name: self._taken(name) for name in DIMENSIONS}
        return {name: max(0.0, 1 - taken[name] / limit) for name, limit in limits.items() if limit}

    def _taken(self, dimension: str) -> int:
        return self._clock.seconds() if dimension == "seconds" else getattr(self._record.state.budget.spent, dimension)

    def _count(self, measure: Measure, value: float, **labels: str) -> None:
        self._tell(measure, value, {"agent": self._agent, **labels})
