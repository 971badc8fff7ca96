"""An activity that the engine gave up before any attempt began is told apart from one that may have done something."""

import pytest
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutError, TimeoutType

from workflows.outcome import waited_in_vain
from workflows.run.running import activity_error


def failed(cause: BaseException, beneath: BaseException | None = None) -> ActivityError:
    error = activity_error("it failed", "decide", "decide-1")
    cause.__cause__ = beneath
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("kind", [TimeoutType.SCHEDULE_TO_START, TimeoutType.SCHEDULE_TO_CLOSE])
def test_no_attempt_began_where_it_only_waited(kind: TimeoutType) -> None:
    assert waited_in_vain(failed(TimeoutError("late", type=kind, last_heartbeat_details=[])))


@pytest.mark.parametrize(
    "error",
    [
        failed(TimeoutError("late", type=TimeoutType.START_TO_CLOSE, last_heartbeat_details=[])),
        failed(TimeoutError("late", type=TimeoutType.HEARTBEAT, last_heartbeat_details=[])),
        failed(TimeoutError("late", type=TimeoutType.SCHEDULE_TO_CLOSE, last_heartbeat_details=[[1], []])),
        failed(
            TimeoutError("late", type=TimeoutType.SCHEDULE_TO_CLOSE, last_heartbeat_details=[]), ApplicationError("429")
        ),
        failed(ApplicationError("refused")),
    ],
    ids=["an attempt was too long", "a worker was lost", "an attempt told of itself", "an attempt failed", "it failed"],
)
def test_an_attempt_began_otherwise(error: ActivityError) -> None:
    assert not waited_in_vain(error)
