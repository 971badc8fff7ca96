"""Finds out from Temporal whether a proof has started a run of the same id before."""

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio.api.history.v1 import WorkflowExecutionStartedEventAttributes
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from backstay.contracts import names
from backstay.contracts.delegate import ChildEnd, ChildRef, ending_of, recorded_start
from backstay.contracts.history import RunRef
from backstay.contracts.run import RunRequest, RunResult
from backstay.errors import CodecError, ForeignRunError, HistoryError
from backstay.kernel.proof import proof_id

from .executions import Execution, described, listed

LAG_SECONDS = 5.0
PROVES = timedelta(minutes=15)
"""Longer than the proof of a start is good for: what began earlier was not started with one that holds now."""


class Starts:
    """A reader of the starts under one workflow id."""

    def __init__(self, client: Client, task_queue: str = "") -> None:
        self._client = client
        self._task_queue = task_queue

    async def used_before(self, run: RunRef, proof: str) -> bool:
        """Tells whether another run of the same id was started with a proof; a reset of this one is no other run.

        Raises:
            HistoryError: the engine could not be asked, or cannot say for sure.
        """
        try:
            own = await self._started(run.workflow_id, run.run_id)
            for other in await self._lately(run):
                started = await self._started(other.workflow_id, other.run_id)
                if started.first_execution_run_id == own.first_execution_run_id:
                    continue
                if proof_id(await self._proof(started)) == proof_id(proof):
                    return True
        except RPCError as error:
            raise HistoryError(f"the engine could not be asked: {error.message}") from error
        return False

    async def check_parent(self, run: RunRef) -> None:
        """Checks that a run was started by another one of the task queue.

        Raises:
            ForeignRunError: it was not: only runs hand anything down.
            HistoryError: the engine could not be asked.
        """
        try:
            own = await self._started(run.workflow_id, run.run_id)
            above = own.parent_workflow_execution
            started = await self._started(above.workflow_id, above.run_id) if above.workflow_id else None
        except RPCError as error:
            raise HistoryError(f"the engine could not be asked: {error.message}") from error
        # INVARIANT: the engine wrote both events, so that nobody who starts a run can name a parent.
        ours = started is not None and started.workflow_type.name == names.AGENT_RUN
        if started is None or not ours or started.task_queue.name != self._task_queue:
            raise ForeignRunError("only a run of this task queue may hand anything down to another one")

    async def end_of(self, parent: RunRef, child: ChildRef) -> ChildEnd | None:
        """Returns the end of a child run; None while it runs.

        Raises:
            ForeignRunError: it is no run that the parent has started.
            HistoryError: the engine could not be asked.
        """
        try:
            found = await described(self._client, child.run_id)
            started = await self._started(found.workflow_id, found.run_id)
            above = started.parent_workflow_execution.workflow_id
            if found.workflow_type != names.AGENT_RUN or above != parent.workflow_id:
                raise ForeignRunError("it is no run that this one has started")
            return None if found.open else await self._end(found)
        except RPCError as error:
            raise HistoryError(f"the engine could not be asked: {error.message}") from error

    async def _end(self, found: Execution) -> ChildEnd:
        handle: Any = self._client.get_workflow_handle(found.workflow_id, run_id=found.run_id, result_type=RunResult)
        try:
            result: object = await handle.result(follow_runs=False)
        except WorkflowFailureError as error:
            cause = error.cause
            if not isinstance(cause, ApplicationError):
                return ChildEnd()
            return ending_of(cause.type, cause.message, cause.details)
        except CodecError:
            return ChildEnd()
        return ChildEnd(result=result) if isinstance(result, RunResult) else ChildEnd()

    async def _lately(self, run: RunRef) -> Sequence[Execution]:
        """Returns the other runs of the id that a proof which holds now may have started.

        Raises:
            HistoryError: the engine's list does not show this run in time, and so may lack others.
        """
        query = f"WorkflowId = {json.dumps(run.workflow_id)}"
        loop = asyncio.get_running_loop()
        until = loop.time() + LAG_SECONDS
        while True:
            found = {one.run_id: one async for one in listed(self._client, query)}
            # The list lags behind the engine. One that shows this run shows what began under its id before.
            if own := found.pop(run.run_id, None):
                return [one for one in found.values() if one.started_at > own.started_at - PROVES]
            if loop.time() > until:
                raise HistoryError("the engine's list of runs lags behind: it does not show this one")
            await asyncio.sleep(0.1)

    async def _started(self, workflow_id: str, run_id: str) -> WorkflowExecutionStartedEventAttributes:
        """Reads the first event of a run.

        Raises:
            RPCError: the engine does not know the run, or does not answer.
            HistoryError: its history is empty.
        """
        handle = self._client.get_workflow_handle(workflow_id, run_id=run_id)
        async for event in handle.fetch_history_events(page_size=1):
            return event.workflow_execution_started_event_attributes
        raise HistoryError("the history of a run is empty")

    async def _proof(self, started: WorkflowExecutionStartedEventAttributes) -> str:
        """Returns the proof of a start; empty where it brought none, or was no start of a run."""
        given = await self._client.data_converter.decode(started.input.payloads)
        request = recorded_start(given[0]) if len(given) == 1 else None
        return (request.proof or "") if isinstance(request, RunRequest) else ""
