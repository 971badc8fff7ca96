"""Tells the breakers what a run has seen end: its calls, what its decisions cost, and itself."""

from collections.abc import Callable, Collection, Mapping

from backstay.contracts.carry import Carried, CarriedReports
from backstay.contracts.run import RunRequest
from backstay.contracts.status import TranscriptItem
from backstay.kernel.breaker import Failure, Report, ReportKind, likeness
from backstay.kernel.event import Event
from backstay.kernel.events import Admitted, CallEnded, CallJudged, CallOutcome, Closed, DecisionSettled, ModelChanged
from backstay.kernel.stop import StopReason
from backstay.kernel.verdict import Outcome

CANCELLED = "cancelled"
_REASONS: Mapping[str, StopReason] = {
    CallOutcome.FAILED.value: StopReason.TOOL_FAILURES,
    CallOutcome.UNKNOWN.value: StopReason.OUTCOME_UNKNOWN,
}
_OF_CALLS = frozenset({StopReason.TOOL_FAILURES, StopReason.OUTCOME_UNKNOWN, StopReason.NO_PROGRESS})
"""The ends of runs that are told apart by the last call that failed."""


class RunReports:
    """Tells breakers of one run; it follows the run's record."""

    def __init__(self, run_id: str, request: RunRequest, tell: Callable[[Report], None]) -> None:
        self._run_id = run_id
        self._request = request
        self._tell = tell
        self._model: str | None = None
        self._codes: dict[str, str] = {}
        """The codes of refused calls, by call id."""
        self._costs: dict[str, int] = {}
        self._last_failure = ""
        """The tool of the last call that failed, and its words."""
        self._happened: Mapping[type[Event], Callable[..., None]] = {
            Admitted: self._admitted,
            ModelChanged: self._admitted,
            CallJudged: self._judged,
            CallEnded: self._ended,
            DecisionSettled: self._settled,
            Closed: self._closed,
        }

    def carry_on(self, carried: Carried) -> None:
        """Goes on where the link before has left off."""
        changed = carried.state.models
        self._model = changed[-1] if changed else carried.admission.model.name
        self._codes, self._last_failure = dict(carried.reports.codes), carried.reports.last_failure
        self._costs = dict(carried.reports.costs)

    def carried(self, going_on: Collection[str] = ()) -> CarriedReports:
        """Returns what the next link tells breakers; of refused calls one of each code, and all of those going on.

        Args:
            going_on: the calls of the decision in progress.
        """
        latest = {code: call_id for call_id, code in self._codes.items()}
        codes = {one: code for one, code in self._codes.items() if latest[code] == one or one in going_on}
        return CarriedReports(codes=codes, costs=self._costs, last_failure=self._last_failure)

    def happened(self, event: Event) -> None:
        """Takes down an event of the run."""
        if took := self._happened.get(type(event)):
            took(event)

    def said(self, item: TranscriptItem) -> None:
        """Tells how a call ended, when its result goes into the transcript."""
        if item.kind != "result" or item.call_id is None or item.status is None:
            return
        usd = self._costs.pop(item.call_id, 0)
        if item.status == CallOutcome.COMPLETED:
            self._tell(self._report(ReportKind.CALL, tool=item.tool, good=1, usd=usd))
            return
        reason = _REASONS.get(item.status) or self._codes.get(item.call_id)
        if reason is None:  # people, or the run's own end, kept it from being made, or from coming to its end
            if usd:
                self._tell(self._report(ReportKind.CALL, tool=item.tool, usd=usd))
            return
        words = f"{item.tool}: {item.text or ''}"
        if item.status in _REASONS:
            self._last_failure = words
        failed = (Failure(self._run_id, (reason,), likeness(f"{reason}: {words}")),)
        self._tell(self._report(ReportKind.CALL, tool=item.tool, usd=usd, failed=failed))

    def _admitted(self, event: Admitted | ModelChanged) -> None:
        self._model = event.model

    def _judged(self, event: CallJudged) -> None:
        if event.verdict.outcome is Outcome.DENY:
            self._codes[event.call_id] = event.verdict.code.value

    def _ended(self, event: CallEnded) -> None:
        self._costs[event.call_id] = event.usd

    def _settled(self, event: DecisionSettled) -> None:
        if event.amount.usd:
            self._tell(self._report(ReportKind.DECISION, usd=event.amount.usd))

    def _closed(self, event: Closed) -> None:
        if event.reason is StopReason.COMPLETED and not self._codes:
            self._tell(self._report(ReportKind.RUN, good=1))
            return
        reason = event.reason.value if event.reason else CANCELLED
        words = self._last_failure if event.reason in _OF_CALLS else event.detail or ""
        reasons = (reason, *sorted(set(self._codes.values())))
        failure = Failure(self._run_id, reasons, likeness(f"{reason}: {words}"))
        self._tell(self._report(ReportKind.RUN, failed=(failure,)))

    def _report(
        self,
        kind: ReportKind,
        *,
        tool: str | None = None,
        good: int = 0,
        usd: int = 0,
        failed: tuple[Failure, ...] = (),
    ) -> Report:
        return Report(kind, self._request.agent, self._request.tenant, tool, self._model, good, usd, failed)
