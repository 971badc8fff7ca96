"""An activity that the engine gave up before any attempt began is told apart from one that may have done something."""

import pytest
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutError, TimeoutType

from backstay.contracts import names
from workflows.outcome import nothing_done, unfinished, waited_in_vain
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


@pytest.mark.parametrize("kind", [names.TOOL_LOST, names.UNREACHED])
def test_a_read_whose_server_was_lost_to_the_end_has_failed_and_says_how(kind: str) -> None:
    error = failed(ApplicationError("the server died in the call", type=kind))
    assert unfinished("read", error) == ("failed", "failed: the server died in the call")


@pytest.mark.parametrize("effect", ["write", "once"])
def test_an_effect_whose_server_was_lost_to_the_end_is_unknown(effect: str) -> None:
    error = failed(ApplicationError("the server died in the call", type=names.TOOL_LOST))
    status, text = unfinished(effect, error)  # pyright: ignore[reportArgumentType]
    assert (status, text) == ("unknown", "the outcome is unknown: the server died in the call")


def test_a_call_that_was_never_sent_has_done_nothing() -> None:
    never = ApplicationError("mcp_unreachable: nobody listens", type=names.UNREACHED, non_retryable=True)
    assert nothing_done(failed(never)) is never
