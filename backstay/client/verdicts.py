"""Reads the verdicts on a run's calls from its history, open or closed; it needs no worker."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from backstay.contracts import names
from backstay.contracts.decision import DecideResult, Decision, ProposedCall
from backstay.contracts.policy import AuthorizeResult
from backstay.kernel.keys import decided_step
from backstay.kernel.verdict import Outcome, Verdict

_LOCAL_ACTIVITY = "core_local_activity"
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
    scheduled: dict[int, int] = {}
    async for event in client.get_workflow_handle(run_id, run_id=link).fetch_history_events():
        if event.HasField("activity_task_scheduled_event_attributes"):
            activity_id = event.activity_task_scheduled_event_attributes.activity_id
            if (decided := decided_step(activity_id)) is not None:
                scheduled[event.event_id] = decided
        elif event.HasField("activity_task_completed_event_attributes"):
            done = event.activity_task_completed_event_attributes
            if done.scheduled_event_id in scheduled:
                step = scheduled[done.scheduled_event_id]
                decision = (await _decoded(client, done.result.payloads, DecideResult)).decision
        elif event.HasField("marker_recorded_event_attributes"):
            for call, verdict in await _verdicts(client, event, decision):
                found.setdefault(verdict.digest, JudgedCall(run_id, step, call, verdict))
    return list(found.values())


async def _verdicts(
    client: Client, event: HistoryEvent, decision: Decision | None
) -> Sequence[tuple[ProposedCall, Verdict]]:
    """Reads the verdicts in an event with their calls; none in other events, such as an edited call's verdict."""
    marker = event.marker_recorded_event_attributes
    if marker.marker_name != _LOCAL_ACTIVITY or decision is None or "result" not in marker.details:
        return ()
    about: dict[str, Any] = await _decoded(client, marker.details["data"].payloads, dict[str, Any])
    if about.get("activity_type") != names.AUTHORIZE:
        return ()
    verdicts = (await _decoded(client, marker.details["result"].payloads, AuthorizeResult)).verdicts
    return tuple(zip(decision.calls, verdicts, strict=True)) if len(verdicts) == len(decision.calls) else ()


async def _decoded(client: Client, payloads: Sequence[Payload], kind: type[T]) -> T:
    values: list[Any] = await client.data_converter.decode(payloads, [kind])
    return values[0]
