"""Finds what policy was asked about the calls of a run in its records, as an archive keeps them.

The records of a run are its events, from which its state follows, and from that what rules could read. What no record
tells is left unknown: the words of a person who changed a call, and what a call was told that was refused at the last
moment.
"""

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from backstay.contracts.decision import ProposedCall
from backstay.contracts.history import RunRef
from backstay.contracts.policy import AuthorizeInput, Consent, RunFacts, SumsBefore
from backstay.errors import ArchiveError
from backstay.kernel import (
    child_events,
    compact_events,
    conversation_events,
    events,
    grant_events,
    incident_events,
    mcp_events,
)
from backstay.kernel.approval import ApprovalEnd
from backstay.kernel.counted import sums_before
from backstay.kernel.event import Event
from backstay.kernel.events import (
    Admitted,
    ApprovalEnded,
    CallJudged,
    Counted,
    Decided,
    DecisionKind,
    Uncounted,
)
from backstay.kernel.grant_events import GrantReturned, GrantUsed
from backstay.kernel.keys import call_id
from backstay.kernel.origins import Origins
from backstay.kernel.run_state import RunState
from backstay.kernel.verdict import Outcome, Verdict

from .past_runs import Question

OTHER_VERSION = "the archive has records of another version of Backstay"
NO_WORDS = "the archive does not have the words of the call"
EDITED = "a person changed its arguments, and the archive does not have them"
AT_THE_BOUNDARY = "it was refused just before its effect, and the archive does not have what rules could read then"
BY_GRANT = "a standing grant stood for a yes, and the archive does not have its terms"


@dataclass(frozen=True, slots=True)
class Recording:
    """The evidence of one link of a run.

    Attributes:
        run_key: the run's own part of its keys, which digests of verdicts cover.
        items: its transcript.
        trouble: why its state does not follow from its records; empty where it does.
    """

    ref: RunRef
    run_key: str
    agent: str
    tenant: str
    records: Sequence[Mapping[str, Any]]
    items: Sequence[Mapping[str, Any]]
    trouble: str = ""


def questions_of(recording: Recording) -> list[Question]:
    """Lists what policy was asked about the calls of a run and answered, in order.

    Raises:
        ArchiveError: a verdict cannot be read.
    """
    reader = _Reader(recording)
    for record in recording.records:
        reader.read(record)
    return reader.questions()


@functools.cache
def kinds() -> Mapping[str, TypeAdapter[Event]]:
    """Returns what reads the facts of each event, by the event's name."""
    modules = (events, child_events, compact_events, conversation_events, grant_events, incident_events, mcp_events)
    found = (value for module in modules for value in vars(module).values())
    classes = {one for one in found if isinstance(one, type) and issubclass(one, Event) and one is not Event}
    return {kind.name(): TypeAdapter(kind) for kind in classes}


def event_of(record: Mapping[str, Any]) -> Event | None:
    """Reads a record as the event that it tells of; None where this version of Backstay knows no such event."""
    kind = kinds().get(record["event"])
    if kind is None:
        return None
    try:
        return kind.validate_python(record["facts"])
    except ValidationError:
        return None


@dataclass(frozen=True, slots=True)
class _Moment:
    """The run when policy was asked, and what was known then of a call that was judged before."""

    state: RunState
    at_ms: int
    origins: Mapping[str, Origins] = field(default_factory=dict[str, Origins])
    consents: Mapping[str, Consent] = field(default_factory=dict[str, Consent])


@dataclass(slots=True)
class _Batch:
    """The calls of a decision that are judged together; `moment` is that of the first verdict."""

    awaited: list[str]
    moment: _Moment | None = None
    judged: list[CallJudged] = field(default_factory=list[CallJudged])


@dataclass(frozen=True, slots=True)
class _Known:
    """Tells what is known of a call: its last verdict, who said yes to it, and why nobody knows what is asked next."""

    verdict: Verdict
    approved_by: tuple[str, ...] = ()
    unknown: str = AT_THE_BOUNDARY


class _Reader:
    """Follows the events of a run, and notes each question once its answer has come."""

    def __init__(self, recording: Recording) -> None:
        self._of = recording
        self._trouble = recording.trouble
        self._state = RunState()
        self._at_ms = 0
        self._admitted: Admitted | None = None
        self._found: list[Question] = []
        self._batch: _Batch | None = None
        self._known: dict[str, _Known] = {}
        self._sums: dict[str, Counted] = {}
        self._goal = next((str(one.get("text")) for one in recording.items if one.get("kind") == "goal"), None)
        self._calls = {call.call_id: call for call in _proposed(recording.items)}

    def read(self, record: Mapping[str, Any]) -> None:
        """Takes in the next record.

        Raises:
            ArchiveError: it is a verdict, and cannot be read.
        """
        event = event_of(record)
        if event is None:
            if record["event"] == CallJudged.name():
                raise ArchiveError(OTHER_VERSION)
            self._trouble = self._trouble or OTHER_VERSION
            return
        self._heed(event)
        self._state = self._state.after(event)
        self._at_ms = int(datetime.fromisoformat(record["at"]).timestamp() * 1_000)

    def questions(self) -> list[Question]:
        """Returns the questions; of a decision that was under way, those calls that have a verdict."""
        self._close()
        return self._found

    def _heed(self, event: Event) -> None:
        match event:
            case Admitted():
                self._admitted = event
            case Decided(decision=DecisionKind.CALLS):
                self._close()
                self._batch = _Batch([call_id(event.step, at) for at in range(event.calls)])
            case Counted():
                self._sums[event.call_id] = event
            case Uncounted() if self._batch is None:
                self._sums = {one: sums for one, sums in self._sums.items() if sums.hold not in event.holds}
            case ApprovalEnded():
                self._answered(event)
            case GrantUsed() | GrantReturned() if event.call_id in self._known:
                self._known[event.call_id] = replace(self._known[event.call_id], unknown=BY_GRANT)
            case CallJudged() if self._batch and event.call_id in self._batch.awaited:
                self._judged_first(event, self._batch)
            case CallJudged():
                self._judged_again(event)
            case _:
                pass

    def _answered(self, event: ApprovalEnded) -> None:
        """Notes what the answer of people means for the next verdict over a call."""
        approval = self._state.approvals.get(event.approval_id)
        known = self._known.get(approval.call_id) if approval else None
        if approval is None or known is None:
            return
        if event.end is ApprovalEnd.EDITED:
            self._known[approval.call_id] = replace(known, unknown=EDITED)
        elif event.end is ApprovalEnd.APPROVED and approval.kind.releases and known.unknown != EDITED:
            people = tuple(dict.fromkeys([*known.approved_by, *approval.answered_by]))
            self._known[approval.call_id] = replace(known, approved_by=people, unknown="")

    def _judged_first(self, event: CallJudged, batch: _Batch) -> None:
        batch.moment = batch.moment or _Moment(self._state, self._at_ms)
        batch.awaited.remove(event.call_id)
        batch.judged.append(event)
        self._known[event.call_id] = _Known(event.verdict)
        if not batch.awaited:
            self._close()

    def _judged_again(self, event: CallJudged) -> None:
        known = self._known.get(event.call_id) or _Known(event.verdict)
        origins = {event.call_id: known.verdict.origins} if known.verdict.origins else {}
        consents = {event.call_id: Consent(approved_by=list(known.approved_by))}
        self._note(_Moment(self._state, self._at_ms, origins, consents), [event], known.unknown)
        after = EDITED if known.unknown == EDITED else AT_THE_BOUNDARY
        self._known[event.call_id] = _Known(event.verdict, known.approved_by, after)

    def _close(self) -> None:
        """Notes the question about a decision's calls; those without a verdict were not asked about."""
        batch, self._batch = self._batch, None
        if batch is not None and batch.moment is not None:
            self._note(batch.moment, batch.judged, "")

    def _note(self, moment: _Moment, judged: Sequence[CallJudged], unknown: str) -> None:
        lacking = self._trouble or unknown
        if self._goal is None or any(one.call_id not in self._calls for one in judged):
            lacking = lacking or NO_WORDS
        self._found.append(Question(self._given(moment, judged), [one.verdict for one in judged], lacking))

    def _given(self, moment: _Moment, judged: Sequence[CallJudged]) -> AuthorizeInput:
        """Returns the question that was answered by some verdicts."""
        calls = [self._calls.get(one.call_id) or _wordless(one) for one in judged]
        counted = {one.call_id: _before(self._sums[one.call_id], one) for one in judged if one.call_id in self._sums}
        if len(judged) > 1 and any(one.verdict.outcome is Outcome.DENY and one.verdict.exposure for one in judged):
            counted = {}  # ledgers may have been asked again without the denied call, or not: nothing tells
        return AuthorizeInput(
            run_id=self._of.ref.workflow_id,
            run_key=self._of.run_key,
            agent=self._of.agent,
            tenant=self._of.tenant,
            requested_by=self._admitted.requested_by if self._admitted else None,
            goal=self._goal or "",
            facts=RunFacts.of(moment.state, calls, moment.at_ms),
            now=moment.at_ms // 1_000,
            calls=calls,
            consents=dict(moment.consents),
            tools={},
            version=self._admitted.agent_version if self._admitted else "",
            bounds={name: list(bounds) for name, bounds in moment.state.budget.limits.exposure.items() if bounds},
            counted=counted,
            uncounted=[call.call_id for call in calls if counted and call.call_id not in counted],
            origins=dict(moment.origins),
        )


def _before(counted: Counted, judged: CallJudged) -> SumsBefore:
    """Returns what ledgers told of a call, without the call."""
    return {name: dict(sums) for name, sums in sums_before(counted.sums, judged.verdict.exposure).items()}


def _wordless(judged: CallJudged) -> ProposedCall:
    return ProposedCall(call_id=judged.call_id, tool=judged.tool, arguments="")


def _proposed(items: Sequence[Mapping[str, Any]]) -> Iterator[ProposedCall]:
    """Yields the calls of decisions in a transcript; what is no call is left out."""
    for item in items:
        for call in item.get("calls") or ():
            with contextlib.suppress(ValidationError):
                yield ProposedCall.model_validate(call)
