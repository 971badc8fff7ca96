"""Sends an update to a workflow that lives for ever, and starts it where there is none."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from backstay.contracts import names
from backstay.contracts.problems import Contract
from backstay.contracts.run import plain
from backstay.kernel.markdown import inert

ANSWER = timedelta(seconds=5)
NO_ANSWER = (
    RPCError,
    TimeoutError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
    WorkflowAlreadyStartedError,
)
"""The errors of an update that nobody answers, or that is refused."""

R = TypeVar("R", bound=Contract)


@dataclass(frozen=True, slots=True)
class Entity:
    """A workflow on the control queue: its type, its id, its input and its name for people."""

    workflow: str
    id: str
    given: Contract
    words: str


async def updated(client: Client, entity: Entity, update: str, request: Contract, result: type[R]) -> R:
    """Returns the answer to an update; the first one starts the entity.

    Raises:
        NO_ANSWER: it does not answer in time, or refuses.
    """
    start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
        entity.workflow,
        plain(entity.given),
        id=entity.id,
        task_queue=names.CONTROL_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        static_summary=inert(entity.words),
    )
    try:
        async with asyncio.timeout(ANSWER.total_seconds() + 1):
            return await client.execute_update_with_start_workflow(  # pyright: ignore[reportUnknownMemberType]
                update,
                plain(request),
                start_workflow_operation=start,
                result_type=result,
                rpc_timeout=ANSWER,
            )
    except NO_ANSWER:
        # The start operation holds the same error in a future; asyncio would log it as never retrieved.
        asyncio.ensure_future(start.workflow_handle()).add_done_callback(retrieve_error)
        raise


def retrieve_error(handle: "asyncio.Future[Any]") -> None:
    """Takes the error of a start that nobody awaits, so that asyncio does not log it."""
    if not handle.cancelled():
        handle.exception()
