"""Finds the fleets of a namespace, and sets the limits of their task queues.

A worker tells the server of itself a minute after it has begun: before that its fleet is found by its open runs, and
its account by the rate that was set.
"""

import json
from collections import defaultdict
from collections.abc import Sequence

from temporalio.api.workflowservice.v1 import ListWorkersRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from backstay.contracts import names
from backstay.contracts.names import model_queue
from backstay.contracts.queue_hold import FoundFleets, QueueLimit, QueueUse
from backstay.errors import HistoryError
from backstay.kernel.engine import CallKind
from backstay.kernel.keys import account_of

from .executions import listed
from .pollers import unmarked
from .rates import limit_of, put_limit

_REFUSED = (RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.INVALID_ARGUMENT)
_MODELS = model_queue("")
_EFFECTS = names.effects_queue("")
_MOST_RUNS = 1_000
_PAGE = 1_000


class TaskQueues:
    """The task queues of a namespace, through a Temporal client."""

    def __init__(self, client: Client, task_queues: Sequence[str]) -> None:
        """Takes the task queues of the runs that this worker knows of: its own, and those that share its accounts."""
        self._client = client
        self._task_queues = task_queues

    async def fleets(self) -> FoundFleets:
        """Finds the fleets, and the queues of calls alone that are known by their names.

        Raises:
            HistoryError: the engine could not be asked.
        """
        try:
            polled = await self._polled()
            runs = await self._queues_of_runs()
            accounts = await self._accounts()
        except RPCError as error:
            raise HistoryError(f"the engine could not be asked: {error.message}") from error
        models = {queue for queue in polled if queue.startswith(_MODELS)} | accounts
        effects = {queue for queue in polled if queue.endswith(_EFFECTS)}
        of_runs = {*polled, *runs, *self._task_queues} - models - effects - {names.CONTROL_QUEUE}
        alone = [(queue, CallKind.MODELS) for queue in sorted(models)]
        alone += [(queue, CallKind.TOOLS) for queue in sorted(effects)]
        return FoundFleets(
            task_queues=sorted(of_runs),
            queues=[QueueUse(queue=queue, kind=kind, alone=True, uses=None) for queue, kind in alone],
        )

    async def limit_of(self, queue: str) -> QueueLimit | str:
        """Returns the limit of a queue's activities, or why the engine refuses to tell it.

        Raises:
            HistoryError: the engine could not be asked.
        """
        try:
            return await limit_of(self._client, queue)
        except RPCError as error:
            if error.status in _REFUSED:  # of a name, say, that is none of a queue
                return f"the engine refuses: {error.message}"
            raise HistoryError(f"the engine could not be asked: {error.message}") from error

    async def limit(self, queue: str, limit: QueueLimit) -> str | None:
        """Sets the limit of a queue's activities; returns why the engine refuses it, None where it does not.

        Raises:
            HistoryError: the engine could not be asked.
        """
        try:
            await put_limit(self._client, queue, limit)
        except RPCError as error:
            if error.status in _REFUSED:
                return f"the engine refuses: {error.message}"
            raise HistoryError(f"the engine could not be asked: {error.message}") from error
        return None

    async def _polled(self) -> set[str]:
        """Returns the queues that workers of ours poll: those of processes that serve the control queue too."""
        by_process: dict[str, set[str]] = defaultdict(set)
        asked = ListWorkersRequest(namespace=self._client.namespace, page_size=_PAGE)
        while True:
            try:
                page = await self._client.workflow_service.list_workers(asked)
            except RPCError as error:
                if error.status in _REFUSED:
                    return set()  # a server that keeps no list of workers
                raise
            for one in page.workers_info:
                beat = one.worker_heartbeat
                by_process[unmarked(beat.worker_identity)].add(beat.task_queue)
            asked.next_page_token = page.next_page_token
            if not page.next_page_token:
                break
        ours = [queues for queues in by_process.values() if names.CONTROL_QUEUE in queues]
        return {queue for queues in ours for queue in queues}

    async def _queues_of_runs(self) -> set[str]:
        query = f"WorkflowType = {json.dumps(names.AGENT_RUN)} AND CloseTime IS NULL"
        return {one.task_queue async for one in listed(self._client, query, limit=_MOST_RUNS)}

    async def _accounts(self) -> set[str]:
        """Returns the queues of the accounts that have or had a rate."""
        query = f"WorkflowType = {json.dumps(names.PROVIDER_QUOTA)} AND CloseTime IS NULL"
        return {model_queue(account_of(one.workflow_id)) async for one in listed(self._client, query)}
