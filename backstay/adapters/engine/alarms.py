"""Tells runs, beside the activity that finds out, that their model does not answer."""

import asyncio
import logging
from datetime import timedelta

from temporalio.client import Client
from temporalio.service import RPCError

from backstay.contracts import names
from backstay.contracts.history import RunRef
from backstay.contracts.run import plain
from backstay.contracts.trouble import ModelTrouble

_PATIENCE = timedelta(seconds=5)
_logger = logging.getLogger(__name__)


class Alarms:
    """Sends signals to runs through a Temporal client; one that is not taken is only logged."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._under_way: set[asyncio.Task[None]] = set()

    def model_fails(self, run: RunRef, trouble: ModelTrouble) -> None:
        """Begins to tell a run of a failed attempt, and returns at once."""
        task = asyncio.create_task(self._send(run, trouble))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _send(self, run: RunRef, trouble: ModelTrouble) -> None:
        handle = self._client.get_workflow_handle(run.workflow_id, run_id=run.run_id)
        try:
            await handle.signal(names.MODEL_TROUBLE, plain(trouble), rpc_timeout=_PATIENCE)
        except RPCError:
            _logger.info("a run was not told that its model does not answer")
