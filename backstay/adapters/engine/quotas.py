"""Tells the workflow that keeps an account's rate of refusals and settings; whoever tells it starts it."""

import asyncio
import logging
import time
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from backstay.contracts import names
from backstay.contracts.problems import Contract
from backstay.contracts.quota import QuotaInput, Throttled
from backstay.contracts.run import plain
from backstay.kernel.keys import quota_id
from backstay.kernel.markdown import inert

EVERY_SECONDS = 1.0
"""A worker tells of refusals this often at most: what a burst refuses counts once."""
LONGEST_WAIT_MS = 3_600_000
_PATIENCE = timedelta(seconds=5)
_logger = logging.getLogger(__name__)


async def tell(client: Client, account: str, signal: str, told: Contract) -> None:
    """Signals the workflow of an account, and starts it where it does not run.

    Raises:
        RPCError: the server does not answer, or refuses.
    """
    start: dict[str, Any] = {"start_signal": signal, "start_signal_args": [plain(told)]}
    await client.start_workflow(
        names.PROVIDER_QUOTA,
        plain(QuotaInput(account=account)),
        id=quota_id(account),
        task_queue=names.CONTROL_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        static_summary=inert(f"the rate of account {account}"),
        rpc_timeout=_PATIENCE,
        **start,
    )


class Quotas:
    """The workflows that keep rates, as a worker tells them of refusals; one that is not told is only logged."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._told: dict[str, float] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    def throttled(self, account: str, wait_seconds: float | None) -> None:
        """Begins to tell of a refusal, and returns at once; refusals of the same second are told as one."""
        now = time.monotonic()
        if now < self._told.get(account, now):
            return
        self._told[account] = now + EVERY_SECONDS
        wait_ms = min(round((wait_seconds or 0) * 1_000), LONGEST_WAIT_MS)
        task = asyncio.create_task(self._tell(account, Throttled(wait_ms=wait_ms)))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _tell(self, account: str, told: Throttled) -> None:
        try:
            await tell(self._client, account, names.THROTTLED, told)
        except (RPCError, WorkflowAlreadyStartedError):
            _logger.warning("the rate of account %s was not lowered: the engine does not answer", account)
