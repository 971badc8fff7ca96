"""Lets a run tell its worker what ended, without a command: nothing of it stands in the history.

A task that is tried again may tell it twice, and a worker that dies never: breakers look at shares, not at single runs.
"""

from collections.abc import Callable
from typing import cast

from temporalio import workflow
from temporalio.worker import Interceptor, WorkflowInboundInterceptor, WorkflowInterceptorClassInput

from backstay.kernel.breaker import Report

_TELL = "__backstay_tell_breakers"

Tell = Callable[[Report], None]


class Reporting(Interceptor):
    """A worker's interceptor that hands reports on."""

    def __init__(self, tell: Tell) -> None:
        """Takes what is called with each report, from the threads in which workflows run."""
        self._tell = tell

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        """Makes the function known to workflows; nothing is intercepted."""
        functions = cast("dict[str, Tell]", input.unsafe_extern_functions)  # pyright: ignore[reportUnknownMemberType]
        functions[_TELL] = self._tell
        return None


def report(told: Report) -> None:
    """Tells what ended, where there is somebody to tell; a replay tells nothing again."""
    if workflow.unsafe.is_replaying():
        return
    functions = cast("dict[str, Tell]", workflow.extern_functions())  # pyright: ignore[reportUnknownMemberType]
    if tell := functions.get(_TELL):
        tell(told)
