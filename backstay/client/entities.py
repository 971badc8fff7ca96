"""Finds the workflows that live for ever, such as ledgers, and reads what they answer or last wrote down."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar

from pydantic import ValidationError
from temporalio.client import Client, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.service import RPCError, RPCStatusCode

from backstay.adapters.engine.executions import Execution, described, listed
from backstay.contracts.problems import Contract
from backstay.errors import CodecError

_PATIENCE = timedelta(seconds=2)

V = TypeVar("V", bound=Contract)


async def entities(client: Client, workflow_type: str, ids: Sequence[str] | None = None) -> list[Execution]:
    """Returns the open workflows of a type: those of some ids, which the engine's index may not list yet, or all."""
    if ids is None:
        query = f"WorkflowType = {json.dumps(workflow_type)} AND CloseTime IS NULL"
        return [one async for one in listed(client, query)]
    found: list[Execution] = []
    for workflow_id in ids:
        try:
            found.append(await described(client, workflow_id))
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
    # What one wrote down outlives it: a closed one is not in force.
    return [one for one in found if one.open and one.workflow_type == workflow_type]


async def read(client: Client, execution: Execution, query: str, model: type[V]) -> V | None:
    """Returns what a workflow answers, or has in its memo where no worker serves it; None where neither can be read.

    Args:
        client: the Temporal client.
        execution: the workflow.
        query: the name of the query, and of the key of the memo.
        model: what it answers.
    """
    handle: Any = client.get_workflow_handle(execution.workflow_id)
    try:
        return model.model_validate(await handle.query(query, rpc_timeout=_PATIENCE))
    except (RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError, ValidationError):
        pass
    try:
        latest = await described(client, execution.workflow_id)
        return model.model_validate(await latest.memo_value(query))
    except (ValidationError, CodecError):
        return None
