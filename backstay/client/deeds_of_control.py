"""Tells from its history what was asked of something that governs all runs, by whom, and what came of it.

The control plane, incidents, breakers, ledgers, standing grants and rates have no records of their own: whatever they
do was asked for by a message or an activity, and the engine keeps those. A link of their chain never changes once it is
written, so the same records follow from it each time.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.converter import DataConverter, WorkflowSerializationContext

from backstay.contracts import names
from backstay.contracts.history import RunRef
from backstay.errors import CodecError
from backstay.kernel.audit import AuditHead, canonical
from backstay.kernel.audit_file import Trail

KEPT = frozenset(
    {
        names.CONTROL_PLANE,
        names.INCIDENT_RUN,
        names.BREAKERS,
        names.TENANT_LEDGER,
        names.TENANT_GRANTS,
        names.PROVIDER_QUOTA,
    }
)
"""The workflows that govern all runs."""
STARTED = "started"
"""The first record of a link."""

_UNREADABLE = {"unreadable": "it is encrypted with another key, or is no JSON"}
_ENDS = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: "completed",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: "failed",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: "cancelled",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: "terminated",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: "timed_out",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW: "continued_as_new",
}
Told = tuple[str, dict[str, Any]]


async def link_trail(
    client: Client, kind: str, link: RunRef, events: Sequence[HistoryEvent], *, last: bool, closed: bool
) -> Trail:
    """Returns the trail of one link.

    Args:
        client: decodes what the events hold.
        kind: the workflow's type.
        link: the link.
        events: its whole history so far.
        last: whether no other link follows it.
        closed: whether nothing more can happen in it.
    """
    context = WorkflowSerializationContext(namespace=client.namespace, workflow_id=link.workflow_id)
    told = _Events(client.data_converter.with_context(context))
    head, records = AuditHead(), list[Mapping[str, Any]]()
    for event in events:
        found = await told.of(event)
        if found is None:
            continue
        at = event.event_time.ToDatetime(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        head, record = head.chained(at, *found)
        records.append(record)
    then = () if last else (link.workflow_id,)
    return Trail(link.workflow_id, kind, head, records, executions=(link.run_id,), then=then, closed=closed)


class _Events:
    """Reads events one after the other; the end of an activity names only the event that began it."""

    def __init__(self, converter: DataConverter) -> None:
        self._converter = converter
        self._activities: dict[int, str] = {}
        self._names: dict[str, str] = {}

    async def of(self, event: HistoryEvent) -> Told | None:
        """Returns what an event tells; None where it is of the engine's own work."""
        if event.event_type in _ENDS:
            return "closed", {"how": _ENDS[event.event_type]}
        return await self._message(event) or await self._activity(event)

    async def _message(self, event: HistoryEvent) -> Told | None:
        if event.HasField("workflow_execution_started_event_attributes"):
            started = event.workflow_execution_started_event_attributes
            return STARTED, {
                "given": await self._value(started.input.payloads),
                "continued": bool(started.continued_execution_run_id),
            }
        if event.HasField("workflow_execution_signaled_event_attributes"):
            signal = event.workflow_execution_signaled_event_attributes
            return signal.signal_name, {"given": await self._value(signal.input.payloads)}
        if event.HasField("workflow_execution_update_accepted_event_attributes"):
            asked = event.workflow_execution_update_accepted_event_attributes.accepted_request
            self._names[asked.meta.update_id] = asked.input.name
            given = await self._value(asked.input.args.payloads)
            return asked.input.name, {"given": given, "update_id": asked.meta.update_id}
        if event.HasField("workflow_execution_update_completed_event_attributes"):
            done = event.workflow_execution_update_completed_event_attributes
            name = f"{self._names.get(done.meta.update_id, 'update')}_answered"
            if done.outcome.HasField("failure"):
                return name, {"update_id": done.meta.update_id, "refused": done.outcome.failure.message}
            answer = await self._value(done.outcome.success.payloads)
            return name, {"update_id": done.meta.update_id, "answer": answer}
        return None

    async def _activity(self, event: HistoryEvent) -> Told | None:
        if event.HasField("activity_task_scheduled_event_attributes"):
            asked = event.activity_task_scheduled_event_attributes
            self._activities[event.event_id] = asked.activity_id
            given = await self._value(asked.input.payloads)
            return asked.activity_type.name, {"given": given, "activity_id": asked.activity_id}
        if event.HasField("activity_task_completed_event_attributes"):
            done = event.activity_task_completed_event_attributes
            answer = await self._value(done.result.payloads)
            return "activity_ended", {"activity_id": self._activities[done.scheduled_event_id], "answer": answer}
        if event.HasField("child_workflow_execution_started_event_attributes"):
            child = event.child_workflow_execution_started_event_attributes
            return "child_started", {
                "workflow": child.workflow_type.name,
                "run_id": child.workflow_execution.workflow_id,
            }
        return None

    async def _value(self, payloads: Sequence[Payload]) -> Any:
        try:
            values: list[Any] = await self._converter.decode(payloads)
            value = values[0] if values else None
            canonical({"value": value})
        except (CodecError, RuntimeError, TypeError, ValueError):
            return _UNREADABLE
        return value
