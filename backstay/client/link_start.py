"""Reads with what a link of a run's chain began, from its history alone: no worker is asked."""

from dataclasses import dataclass, field

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest
from temporalio.client import Client

from backstay.adapters.engine.links import continues
from backstay.contracts.carry import Start, recorded_link
from backstay.contracts.history import RunRef
from backstay.kernel.audit import AuditHead


@dataclass(frozen=True, slots=True)
class LinkStart:
    """The beginning of a link: its number from 1, the audit's head, and how many items the transcript had."""

    number: int = 1
    head: AuditHead = field(default_factory=AuditHead)
    items: int = 0


async def start_of(client: Client, link: RunRef) -> LinkStart:
    """Reads the beginning of a link; that of the first link of a chain has nothing before it.

    Raises:
        RPCError: Temporal does not answer, or has forgotten the link.
    """
    execution = WorkflowExecution(workflow_id=link.workflow_id, run_id=link.run_id)
    asked = GetWorkflowExecutionHistoryRequest(namespace=client.namespace, execution=execution, maximum_page_size=1)
    answer = await client.workflow_service.get_workflow_execution_history(asked, retry=True)
    started = answer.history.events[0].workflow_execution_started_event_attributes
    given = await client.data_converter.decode(started.input.payloads)
    # INVARIANT: the engine wrote who started this execution, so that no start from outside can name a head.
    continued = continues(started) is not None
    start = recorded_link(given[0], continued=True) if continued and len(given) == 1 else None
    if not isinstance(start, Start) or start.carried is None:
        return LinkStart()
    return LinkStart(start.carried.link, start.carried.audit, start.carried.items)
