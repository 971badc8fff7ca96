"""Sends updates again at once that meet a workflow between two links of its chain.

The server refuses an update while a link ends as if it had too much to do, and the SDK then waits for a second or more.
A kill cannot wait for so long: the next link begins within milliseconds.
"""

import asyncio
import time
from collections.abc import Mapping
from datetime import timedelta

from temporalio.api.workflowservice.v1 import UpdateWorkflowExecutionRequest, UpdateWorkflowExecutionResponse
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode, WorkflowService

PAUSE_SECONDS = 0.02
LONGEST_SECONDS = 2.0
"""A link ends much sooner; afterwards the SDK asks in its own time."""
_ENDS = "workflow is closing"
_REPEATED = frozenset(
    {
        RPCStatusCode.ABORTED,
        RPCStatusCode.DATA_LOSS,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.OUT_OF_RANGE,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.UNKNOWN,
    }
)
"""The answers after which the SDK asks again."""


class PromptUpdates(WorkflowService):
    """A workflow service that is quick to send an update again where the link that it met ends."""

    async def update_workflow_execution(
        self,
        req: UpdateWorkflowExecutionRequest,
        retry: bool = False,
        metadata: Mapping[str, str | bytes] = {},
        timeout: timedelta | None = None,  # noqa: ASYNC109
    ) -> UpdateWorkflowExecutionResponse:
        """Sends an update; with `retry` until it was taken, or was refused for good."""
        end = time.monotonic() + LONGEST_SECONDS
        while retry and time.monotonic() < end:
            try:
                return await super().update_workflow_execution(req, metadata=metadata, timeout=timeout)
            except RPCError as error:
                if error.status not in _REPEATED:
                    raise
                if not _between_links(error):
                    break
            await asyncio.sleep(PAUSE_SECONDS)
        return await super().update_workflow_execution(req, retry, metadata, timeout)


def send_promptly(client: Client) -> Client:
    """Lets a client send updates that way; returns the client."""
    client.service_client.workflow_service = PromptUpdates(client.service_client)
    return client


def _between_links(error: RPCError) -> bool:
    return error.status is RPCStatusCode.RESOURCE_EXHAUSTED and _ENDS in error.message
