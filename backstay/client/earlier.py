"""Tells whether a run that has an id already is the one that somebody wants to start."""

from typing import Any

from temporalio.client import Client

from backstay.adapters.engine.errors import in_our_words
from backstay.contracts import names
from backstay.contracts.delegate import recorded_start
from backstay.contracts.run import RunRequest
from backstay.errors import RunConflictError, RunExistsError


async def joined(client: Client, run_id: str, request: RunRequest) -> None:
    """Joins the open run of an id, if it was started with the same input.

    Raises:
        RunConflictError: the id belongs to a run with another input, or to another workflow.
        RunExistsError: it is the same run, and it has closed.
    """
    with in_our_words(client, run_id):
        handle: Any = client.get_workflow_handle(run_id)
        described = await handle.describe()
        started = (await anext(handle.fetch_history_events(page_size=1))).workflow_execution_started_event_attributes
    # The history has the input as the engine keeps it; what a memo says of it anybody could have written.
    given = await client.data_converter.decode(started.input.payloads)
    earlier = recorded_start(given[0]) if len(given) == 1 else None
    # The same request is signed anew each time.
    same = isinstance(earlier, RunRequest) and earlier.unsigned() == request.unsigned()
    if described.workflow_type != names.AGENT_RUN or not same:
        raise RunConflictError(run_id)
    if described.close_time is not None:
        raise RunExistsError(run_id)
