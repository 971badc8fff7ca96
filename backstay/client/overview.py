"""Reads what Temporal knows about a run, without asking a worker."""

from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.failure.v1 import Failure
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.converter import DataConverter
from temporalio.exceptions import FailureError

from backstay.adapters.engine.executions import RUNNING, Execution
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
        trouble_type: the type of that error.
        next_try_at: when the engine makes the next attempt; None while one runs.
        gives_up_at: when the engine makes no more attempts.
    """

    activity: str
    call_id: str | None
    running: bool
    attempt: int
    trouble: str | None
    trouble_type: str = ""
    next_try_at: datetime | None = None
    gives_up_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """The state of a run as Temporal knows it.

    Attributes:
        state: `running`, `completed` (also where governance stopped the run), `failed`, `canceled`, `terminated`,
            `timed_out` or `continued_as_new`; `paused_by_engine` while Temporal's server holds its tasks back, and
            `status_9` for a status that this version has no word for.
        open: whether the run has not closed, whatever its state is called.
        begun: whether a worker has completed a first task.
        summary: the beginning of the goal.
        pending: the activities that run or wait to run.
    """

    run_id: str
    state: str
    open: bool
    task_queue: str
    started_at: datetime
    closed_at: datetime | None
    summary: str | None
    pending: tuple[Pending, ...]
    begun: bool = True

    @property
    def held_back(self) -> bool:
        """Tells whether the engine holds the run's tasks back, as until somebody unpauses it."""
        return self.open and self.state != RUNNING


async def overview_of(described: Execution) -> Overview:
    """Builds the overview from Temporal's description of a run."""
    return Overview(
        run_id=described.workflow_id,
        state=described.state,
        open=described.open,
        task_queue=described.task_queue,
        started_at=described.started_at,
        closed_at=described.closed_at,
        summary=await described.summary_text(),
        pending=tuple([await _pending(one, described.converter) for one in described.pending]),
        begun=described.begun,
    )


async def _pending(info: PendingActivityInfo, converter: DataConverter) -> Pending:
    name = info.activity_id
    return Pending(
        activity=name,
        call_id=acted_call(name),
        running=info.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED,
        attempt=info.attempt,
        trouble=await _trouble(info, converter),
        trouble_type=info.last_failure.application_failure_info.type,
        next_try_at=_time(info, "next_attempt_schedule_time"),
        gives_up_at=_time(info, "expiration_time"),
    )


def _time(info: PendingActivityInfo, field: str) -> datetime | None:
    return getattr(info, field).ToDatetime(UTC) if info.HasField(field) else None  # pyright: ignore[reportArgumentType]


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
