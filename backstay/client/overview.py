"""What the engine itself knows of a run, without asking a worker."""

from dataclasses import dataclass
from datetime import datetime

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.failure.v1 import Failure
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.converter import DataConverter
from temporalio.exceptions import FailureError

from backstay.errors import CodecError
from backstay.kernel.keys import acted_call


@dataclass(frozen=True, slots=True)
class Pending:
    """An activity that runs, or waits to run: a decision, or the call `call_id`.

    `attempt` counts from 1; `trouble` is why the attempt before failed.
    """

    activity: str
    call_id: str | None
    running: bool
    attempt: int
    trouble: str | None


@dataclass(frozen=True, slots=True)
class Overview:
    """What the engine itself knows of a run; it needs no worker to say so.

    `state` is one of `running`, `completed`, `failed`, `canceled`, `terminated`, `timed_out`, `continued_as_new`;
    a run that governance stopped is `completed`. `summary` is the start of the goal.
    """

    run_id: str
    state: str
    task_queue: str
    started_at: datetime
    closed_at: datetime | None
    summary: str | None
    pending: tuple[Pending, ...]

    @property
    def open(self) -> bool:
        """Whether the run has not closed yet."""
        return self.state == "running"


async def overview_of(described: WorkflowExecutionDescription) -> Overview:
    """The overview in a description of the engine."""
    converter = described.data_converter
    return Overview(
        run_id=described.id,
        state=(described.status or WorkflowExecutionStatus.RUNNING).name.lower(),
        task_queue=described.task_queue,
        started_at=described.start_time,
        closed_at=described.close_time,
        summary=await described.static_summary(),
        pending=tuple([await _pending(one, converter) for one in described.raw_description.pending_activities]),
    )


async def _pending(info: PendingActivityInfo, converter: DataConverter) -> Pending:
    name = info.activity_id
    return Pending(
        activity=name,
        call_id=acted_call(name),
        running=info.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED,
        attempt=info.attempt,
        trouble=await _trouble(info, converter),
    )


async def _trouble(info: PendingActivityInfo, converter: DataConverter) -> str | None:
    """Why the attempt before failed; where payloads are encrypted, so are the words of failures."""
    if not info.HasField("last_failure"):
        return None
    failure = Failure.FromString(info.last_failure.SerializeToString())
    try:
        error = await converter.decode_failure(failure)
    except CodecError:  # without the key it is still known that there was a failure
        return info.last_failure.message or None
    return (error.message if isinstance(error, FailureError) else str(error)) or None
