"""Reads executions from Temporal by their raw status, because the SDK raises on a status that it does not know.

Temporal's server can pause an execution, a status that the Python SDK has no word for. One such run would otherwise
hide all others from every list.
"""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflow.v1 import PendingActivityInfo, WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest, ListWorkflowExecutionsRequest
from temporalio.client import Client
from temporalio.common import TypedSearchAttributes
from temporalio.converter import DataConverter, WorkflowSerializationContext, decode_typed_search_attributes

RUNNING = "running"
PAUSED = "paused_by_engine"
CONTINUED = "continued_as_new"
_PREFIX = "WORKFLOW_EXECUTION_STATUS_"


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution as Temporal describes it.

    Attributes:
        state: Temporal's status in lower case, such as `running`; `paused_by_engine` where the server was told to pause
            the execution, and `status_9` for a status that this version has no word for.
        open: whether the execution has not ended, whatever its status.
        pending: the activities that run or wait to run; only a description has them.
        first_run_id: the run id of the first link of the chain, which a reset keeps; only a description has it.
        begun: whether a worker has completed a first task; only a description tells, and it is the server's own word.
        parent: the workflow id of the one that started it as its child; empty where none did.
    """

    workflow_id: str
    run_id: str
    workflow_type: str
    state: str
    open: bool
    task_queue: str
    started_at: datetime
    closed_at: datetime | None
    attributes: TypedSearchAttributes
    converter: DataConverter
    memo: Mapping[str, Payload]
    summary: Payload | None = None
    pending: tuple[PendingActivityInfo, ...] = ()
    begun: bool = False
    first_run_id: str = ""
    parent: str = ""

    @property
    def held_back(self) -> bool:
        """Tells whether the execution is open and does not run, as while the server has paused it."""
        return self.open and self.state != RUNNING

    async def memo_value(self, key: str) -> Any:
        """Decodes one value of the memo; None where there is none.

        Raises:
            CodecError: the value is encrypted with a key that is not here.
        """
        return await self._decoded(self.memo.get(key))

    async def summary_text(self) -> str | None:
        """Decodes the summary that the starter gave; None where there is none."""
        text = await self._decoded(self.summary)
        return text if isinstance(text, str) else None

    async def _decoded(self, payload: Payload | None) -> Any:
        return None if payload is None else (await self.converter.decode([payload]))[0]


async def described(client: Client, workflow_id: str, run_id: str | None = None, **rpc: Any) -> Execution:
    """Describes one execution, the latest of its workflow unless a run id is given; `rpc` are options of the call.

    Raises:
        RPCError: Temporal does not know it, or does not answer.
    """
    execution = WorkflowExecution(workflow_id=workflow_id, run_id=run_id or "")
    asked = DescribeWorkflowExecutionRequest(namespace=client.namespace, execution=execution)
    answer = await client.workflow_service.describe_workflow_execution(asked, retry=True, **rpc)
    metadata = answer.execution_config.user_metadata
    return _execution(
        client,
        answer.workflow_execution_info,
        summary=metadata.summary if metadata.HasField("summary") else None,
        pending=tuple(answer.pending_activities),
    )


async def listed_page(client: Client, query: str, after: bytes, rows: int) -> tuple[list[Execution], bytes]:
    """Returns some of the executions that a query finds, and where they end: empty at the end of all.

    Args:
        client: the connection to Temporal.
        query: in the language of Temporal's index.
        after: where the executions before them ended; empty for the first.
        rows: the most executions.

    Raises:
        RPCError: Temporal refuses the query, or does not answer.
    """
    asked = ListWorkflowExecutionsRequest(
        namespace=client.namespace, query=query, page_size=rows, next_page_token=after
    )
    page = await client.workflow_service.list_workflow_executions(asked, retry=True)
    return [_execution(client, info) for info in page.executions], page.next_page_token


async def listed(
    client: Client, query: str, *, limit: int | None = None, page_size: int = 1_000
) -> AsyncGenerator[Execution]:
    """Yields the executions that a query of Temporal's index finds, at most `limit`.

    Raises:
        RPCError: Temporal refuses the query, or does not answer.
    """
    asked = ListWorkflowExecutionsRequest(namespace=client.namespace, query=query, page_size=page_size)
    left = limit
    while left is None or left > 0:
        asked.page_size = page_size if left is None else min(page_size, left)
        page = await client.workflow_service.list_workflow_executions(asked, retry=True)
        for info in page.executions[:left]:
            yield _execution(client, info)
        left = None if left is None else left - len(page.executions)
        asked.next_page_token = page.next_page_token
        if not page.next_page_token:
            return


def _execution(
    client: Client,
    info: WorkflowExecutionInfo,
    summary: Payload | None = None,
    pending: tuple[PendingActivityInfo, ...] = (),
) -> Execution:
    context = WorkflowSerializationContext(namespace=client.namespace, workflow_id=info.execution.workflow_id)
    return Execution(
        workflow_id=info.execution.workflow_id,
        run_id=info.execution.run_id,
        workflow_type=info.type.name,
        state=_word(info.status),
        open=not info.HasField("close_time"),
        task_queue=info.task_queue,
        started_at=_time(info.start_time),
        closed_at=_time(info.close_time) if info.HasField("close_time") else None,
        attributes=decode_typed_search_attributes(info.search_attributes),
        converter=client.data_converter.with_context(context),
        memo=info.memo.fields,
        summary=summary,
        pending=pending,
        first_run_id=info.first_run_id,
        parent=info.parent_execution.workflow_id,
        begun=info.HasField("most_recent_worker_version_stamp") or bool(info.auto_reset_points.points),
    )


def _word(status: int) -> str:
    """Returns the word for a status."""
    if status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_PAUSED:
        return PAUSED
    if status not in WorkflowExecutionStatus.values():
        return f"status_{status}"
    return WorkflowExecutionStatus.Name(WorkflowExecutionStatus.ValueType(status)).removeprefix(_PREFIX).lower()


def _time(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(UTC)
