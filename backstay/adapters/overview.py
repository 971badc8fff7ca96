"""What the engine itself knows of a run, without asking a worker."""

from dataclasses import dataclass
from datetime import datetime

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus

from backstay.contracts.names import act_id

_ACT = act_id("")


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
    return Overview(
        run_id=described.id,
        state=(described.status or WorkflowExecutionStatus.RUNNING).name.lower(),
        task_queue=described.task_queue,
        started_at=described.start_time,
        closed_at=described.close_time,
        summary=await described.static_summary(),
        pending=tuple(_pending(one) for one in described.raw_description.pending_activities),
    )


def _pending(info: PendingActivityInfo) -> Pending:
    name = info.activity_id
    return Pending(
        activity=name,
        call_id=name.removeprefix(_ACT) if name.startswith(_ACT) else None,
        running=info.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED,
        attempt=info.attempt,
        trouble=info.last_failure.message or None,
    )
