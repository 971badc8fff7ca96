"""Lets any worker take an activity, also where the worker that schedules it has a slot free.

The SDK hands an activity straight to the worker that completes the workflow task. Where that worker does not serve the
run, it would get each attempt, and the workers that do serve it none. And what is handed on in this way slips past the
rate of its queue, which an activity with a queue of its own is there to keep.
"""

from contextvars import ContextVar
from typing import Any

from temporalio.worker import (
    Interceptor,
    StartActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)
from temporalio.workflow import ActivityHandle

ELSEWHERE: ContextVar[bool] = ContextVar("elsewhere", default=False)
"""True while a workflow's task starts activities that any worker may take."""


class Elsewhere(Interceptor):
    """A worker's interceptor that obeys `ELSEWHERE`."""

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        """Returns the interceptor of a workflow."""
        return _Inbound


class _Inbound(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_Outbound(outbound))


class _Outbound(WorkflowOutboundInterceptor):
    def start_activity(self, input: StartActivityInput) -> ActivityHandle[Any]:
        queued = ELSEWHERE.get() or input.task_queue is not None
        input.disable_eager_execution = input.disable_eager_execution or queued
        return super().start_activity(input)
