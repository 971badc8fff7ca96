"""Reads what Temporal knows about a run, without asking a worker."""

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
    """An activity that runs or waits to run.

    Attributes:
        activity: the activity's id.
        call_id: the call that it executes; None for any other activity.
        running: a worker executes it now.
        attempt: the attempt's number, from 1.
        trouble: the error of the previous attempt.
    """

    activity: str
    call_id: str | None
    running: bool
    attempt: int
    trouble: str | None


@dataclass(frozen=True, slots=True)
class Overview:
    """The state of a run as Temporal knows it.

    Attributes:
        state: `running`, `completed` (also where governance stopped the run), `failed`, `canceled`, `terminated`,
            `timed_out` or `continued_as_new`.
        summary: the beginning of the goal.
        pending: the activities that run or wait to run.
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
        """Tells whether the run is still open."""
        return self.state == "running"


async def overview_of(described: WorkflowExecutionDescription) -> Overview:
    """Builds the overview from Temporal's description of a run."""
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
    """Returns the error of the previous attempt, decrypted where the key is here; None where none failed."""
    if not info.HasField("last_failure"):
        return None
    failure = Failure.FromString(info.last_failure.SerializeToString())
    try:
        error = await converter.decode_failure(failure)
    except CodecError:  # without the key we still know that the attempt failed
        return info.last_failure.message or None
    return (error.message if isinstance(error, FailureError) else str(error)) or None
