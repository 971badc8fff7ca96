"""A workflow that keeps something for ever, by itself: served on a control queue of its own, and started by hand."""

import asyncio
import contextlib
import sys
import uuid
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from backstay.contracts import names

PATIENCE = 30.0


@contextlib.asynccontextmanager
async def served(
    client: Client, workflow: type, *activities: Callable[..., Any], **changed: Any
) -> AsyncGenerator[None]:
    """Serves a workflow on a control queue of its own, with these constants of its module changed."""
    queue = f"control-{uuid.uuid4()}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(names, "CONTROL_QUEUE", queue)
        for name, value in changed.items():
            patch.setattr(sys.modules[workflow.__module__], name, value)
        async with Worker(
            client,
            task_queue=queue,
            workflows=[workflow],
            activities=activities,
            workflow_runner=UnsandboxedWorkflowRunner(),
        ):
            yield


async def refused_start(client: Client, workflow: str, given: Any, workflow_id: str = "") -> ApplicationError:
    """Starts a workflow on the control queue with what does not fit; returns the error that it closes with."""
    handle = await client.start_workflow(
        workflow, given, id=workflow_id or f"{workflow}-{uuid.uuid4()}", task_queue=names.CONTROL_QUEUE
    )
    with pytest.raises(WorkflowFailureError) as caught:
        await asyncio.wait_for(handle.result(), PATIENCE)
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == names.INVALID_INPUT
    return caught.value.cause
