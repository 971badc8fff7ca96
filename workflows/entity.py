"""Serves the workflows that keep something for ever, in one link after the other."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.workflow import ActivityConfig

from backstay.contracts.problems import Contract

from .run.running import unreadable

R = TypeVar("R", bound=Contract)


@contextmanager
def failing(what: str) -> Generator[None]:
    """Lets the workflow fail where something unexpected is raised, so that whoever needs one starts it again.

    An unexpected error would fail the workflow task instead, which Temporal retries for ever.

    Args:
        what: the workflow as people name it.

    Raises:
        ApplicationError: of type `InternalError`.
    """
    try:
        yield
    except (FailureError, workflow.ContinueAsNewError):
        raise
    except Exception as bug:
        text = f"{type(bug).__name__} in {what} itself"
        raise ApplicationError(text, type="InternalError", non_retryable=True) from bug


async def done(name: str, given: Contract, result: type[R], how: ActivityConfig) -> R:
    """Runs an activity to its end.

    Raises:
        ActivityError: the activity failed, or its result cannot be read.
    """
    answer: object = await workflow.execute_activity(name, given, result_type=result, **how)
    if isinstance(answer, result):
        return answer
    raise unreadable(name, name)
