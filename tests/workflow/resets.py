"""Takes runs back, as an operator does with Temporal's own reset."""

import uuid
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHandle


async def reset(
    client: Client, handle: WorkflowHandle[Any, Any], activity: str, time: int = 1
) -> WorkflowHandle[Any, Any]:
    """Takes a run back to the workflow task that scheduled an activity for the n-th time; returns what goes on."""
    finished = 0
    async for event in handle.fetch_history_events():
        if event.HasField("workflow_task_completed_event_attributes"):
            finished = event.event_id
        time -= event.activity_task_scheduled_event_attributes.activity_id == activity
        if not time:
            break
    execution = WorkflowExecution(workflow_id=handle.id, run_id=handle.run_id or handle.result_run_id or "")
    request = ResetWorkflowExecutionRequest(
        namespace=client.namespace,
        workflow_execution=execution,
        reason="a test",
        workflow_task_finish_event_id=finished,
        request_id=str(uuid.uuid4()),
    )
    answer = await client.workflow_service.reset_workflow_execution(request)
    return client.get_workflow_handle(handle.id, run_id=answer.run_id)
