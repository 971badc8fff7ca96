"""Asks Temporal whether a run still wants an activity that it has handed out."""

from datetime import timedelta

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import Client
from temporalio.service import RPCError

from backstay.contracts.history import RunRef
from backstay.errors import HistoryError

from .executions import described

_PATIENCE = timedelta(seconds=5)
_WITHDRAWN = PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED


class Attempts:
    """A reader of the activities that runs wait for."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def wanted(self, run: RunRef, activity_id: str) -> bool:
        """Tells whether a run is open and waits for an activity that it has not cancelled.

        Raises:
            HistoryError: the engine could not be asked.
        """
        try:
            found = await described(self._client, run.workflow_id, run.run_id, timeout=_PATIENCE)
        except RPCError as error:
            raise HistoryError(f"the engine could not be asked: {error.message}") from error
        states = [one.state for one in found.pending if one.activity_id == activity_id]
        return found.open and bool(states) and _WITHDRAWN not in states
