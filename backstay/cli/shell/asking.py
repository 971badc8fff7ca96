"""Asks open runs for their status while they are listed."""

from backstay.contracts.status import RunStatusView
from backstay.errors import NoWorkerError, RefusedError

from .connected import Connected


class Asking:
    """Asks open runs for their status until a first one gets no answer: a list waits for no worker twice."""

    def __init__(self, link: Connected) -> None:
        self._client = link.client
        self._silent = False

    async def __call__(self, run_id: str) -> RunStatusView | None:
        if self._silent:
            return None
        try:
            return await self._client.status(run_id)
        except RefusedError:
            return None
        except NoWorkerError:
            self._silent = True
            return None
