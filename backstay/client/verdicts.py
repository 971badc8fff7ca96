"""Reads the verdicts on a run's calls from its history, open or closed; it needs no worker."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from backstay.contracts import names
from backstay.contracts.decision import DecideResult, Decision, ProposedCall
from backstay.contracts.policy import AuthorizeResult
from backstay.kernel.keys import decided_step, is_authorize
from backstay.kernel.verdict import Outcome, Verdict

_LOCAL_ACTIVITY = "core_local_activity"
_BETWEEN = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
        EventType.EVENT_TYPE_MARKER_RECORDED,
        EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
        EventType.EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED,
    }
)
"""What may stand between a decision and the verdicts that a run has asked for itself, in place of the early ones."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class JudgedCall:
    """A call with its first verdict."""

    run_id: str
    step: int
    call: ProposedCall
    verdict: Verdict

    @property
    def observed(self) -> tuple[Outcome, str] | None:
        """The outcome that observed, not enforced, rules would have given, and those rules; None without such rules."""
        outcome, _, rules = self.verdict.observed.partition(": ")
        return (Outcome(outcome), rules) if outcome else None

    @property
    def would_change(self) -> bool:
        """Tells whether enforcing the observed rules would have changed the outcome."""
        return self.observed is not None and self.observed[0] is not self.verdict.outcome


async def judged_calls(client: Client, run_id: str, link: str | None = None) -> list[JudgedCall]:
    """Lists every call that policy judged, in order; a call judged again after its approval is listed once.

    Args:
        client: the connection to Temporal.
        run_id: the run.
        link: the engine's id of one link of its chain; default: the latest.
    """
    found: dict[str, JudgedCall] = {}
    step, decision = 0, None
    early: set[str] = set()
    """The digests of verdicts that came with the last decision, while the run may still have asked for others."""
    scheduled: dict[int, int] = {}
    asked: dict[int, set[str]] = {}
    """The early verdicts in place of which a run has asked for others, by the event with which it did."""
    async for event in client.get_workflow_handle(run_id, run_id=link).fetch_history_events():
        before = early
        if event.event_type not in _BETWEEN:
            early = set()
        if event.HasField("activity_task_scheduled_event_attributes"):
            activity_id = event.activity_task_scheduled_event_attributes.activity_id
            if (decided := decided_step(activity_id)) is not None:
                scheduled[event.event_id] = decided
            elif is_authorize(activity_id):
                asked[event.event_id] = before
        elif event.HasField("activity_task_completed_event_attributes"):
            done = event.activity_task_completed_event_attributes
            if done.scheduled_event_id in scheduled:
                step = scheduled[done.scheduled_event_id]
                result = await _decoded(client, done.result.payloads, DecideResult)
                decision = result.decision
                judged = _paired(decision, result.judged.verdicts if result.judged else ())
                early = {verdict.digest for _, verdict in judged}
                found |= {verdict.digest: JudgedCall(run_id, step, call, verdict) for call, verdict in judged}
            elif (instead := asked.get(done.scheduled_event_id)) is not None:
                answer = await _decoded(client, done.result.payloads, AuthorizeResult)
                for call, verdict in _paired(decision, answer.verdicts):
                    _take(found, JudgedCall(run_id, step, call, verdict), instead)
        elif event.HasField("marker_recorded_event_attributes"):
            for call, verdict in await _verdicts(client, event, decision):
                _take(found, JudgedCall(run_id, step, call, verdict), early)
    return list(found.values())


def _take(found: dict[str, JudgedCall], one: JudgedCall, instead: set[str]) -> None:
    """Takes a call with its first verdict, or with one that the run has asked for in place of an early one."""
    digest = one.verdict.digest
    if digest not in found or digest in instead:
        found[digest] = one


def _paired(decision: Decision | None, verdicts: Sequence[Verdict]) -> Sequence[tuple[ProposedCall, Verdict]]:
    """Pairs the calls of a decision with their verdicts; none where those are not about all of them."""
    calls = decision.calls if decision else ()
    return tuple(zip(calls, verdicts, strict=True)) if len(calls) == len(verdicts) else ()


async def _verdicts(
    client: Client, event: HistoryEvent, decision: Decision | None
) -> Sequence[tuple[ProposedCall, Verdict]]:
    """Reads the verdicts, with their calls, in an event of a run that asked inside of its tasks; none in others."""
    marker = event.marker_recorded_event_attributes
    if marker.marker_name != _LOCAL_ACTIVITY or decision is None or "result" not in marker.details:
        return ()
    about: dict[str, Any] = await _decoded(client, marker.details["data"].payloads, dict[str, Any])
    if about.get("activity_type") != names.AUTHORIZE:
        return ()
    return _paired(decision, (await _decoded(client, marker.details["result"].payloads, AuthorizeResult)).verdicts)


async def _decoded(client: Client, payloads: Sequence[Payload], kind: type[T]) -> T:
    values: list[Any] = await client.data_converter.decode(payloads, [kind])
    return values[0]
