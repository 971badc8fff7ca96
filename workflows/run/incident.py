"""Reads what an incident wants of a run: to end, to stand still, or to go on."""

from temporalio import workflow

from backstay.contracts.incident import IncidentOrder
from backstay.contracts.run import RunRequest
from backstay.kernel.event import Event
from backstay.kernel.incident_events import Frozen, IncidentStopped, Thawed
from backstay.kernel.scope import Scope, Subject

from .clock import Clock


def change_of(order: IncidentOrder, request: RunRequest, frozen: tuple[str, ...], clock: Clock) -> Event | None:
    """Returns what an order changes in a run; None where the run lies outside of its scope, or stands so already.

    Args:
        order: the order.
        request: the run's request.
        frozen: the incidents that hold the run.
        clock: the run's clock.
    """
    subject = Subject(workflow.info().workflow_id, request.agent, request.tenant)
    if not Scope.read(order.scope).covers(subject):
        return None
    known = order.incident_id in frozen
    if order.do == "stop":
        return IncidentStopped(order.incident_id, order.by, order.reason)
    if order.do == "freeze":
        return None if known else Frozen(order.incident_id, order.by, order.reason)
    last = frozen == (order.incident_id,)
    return Thawed(order.incident_id, order.by, clock.frozen_ms() if last else 0) if known else None
