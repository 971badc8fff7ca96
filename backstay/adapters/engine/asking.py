"""Asks a run by a query."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio.client import WorkflowHandle, WorkflowQueryFailedError

from backstay.contracts import names

_TRIES = 4


async def queried(handle: WorkflowHandle[Any, Any], name: str, args: Sequence[Any], patience: timedelta) -> Any:
    """Returns the answer to a query; a worker that has not got the run's next task yet is asked again.

    Args:
        handle: the run.
        name: of the query.
        args: the arguments.
        patience: with each try.

    Raises:
        WorkflowQueryFailedError: the run refuses the query.
        RPCError: nobody answers.
    """
    for _ in range(_TRIES - 1):
        try:
            return await handle.query(name, args=args, rpc_timeout=patience)
        except WorkflowQueryFailedError as error:
            if error.message != names.ASK_AGAIN:
                raise
    return await handle.query(name, args=args, rpc_timeout=patience)
