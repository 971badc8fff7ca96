"""Writes a workflow's page when somebody opens it, because most runs go on unseen.

The Temporal UI asks the SDK's own query for the page; its answer gets what the workflow writes at that moment.
"""

from typing import Any, Protocol, runtime_checkable

from temporalio import workflow
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.worker import (
    HandleQueryInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)


@runtime_checkable
class Paged(Protocol):
    """A workflow that writes its page on request."""

    def page(self) -> str:
        """Returns the page in Markdown."""
        ...


class PageOnRequest(Interceptor):
    """A worker's interceptor that asks a workflow for its page."""

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        """Returns the interceptor of a workflow."""
        return _Inbound


class _Inbound(WorkflowInboundInterceptor):
    async def handle_query(self, input: HandleQueryInput) -> Any:
        answer = await super().handle_query(input)
        asked = workflow.instance()
        if isinstance(answer, WorkflowMetadata) and isinstance(asked, Paged):
            answer.current_details = asked.page()
        return answer
