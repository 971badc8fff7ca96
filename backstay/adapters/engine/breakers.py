"""Tells the breakers what ends on this worker, together every two seconds; whoever tells them first starts them."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from backstay.contracts import names
from backstay.contracts.breakers import BreakersInput, Reports
from backstay.contracts.run import plain
from backstay.kernel.breaker import Breaker, Report, ReportKind

from .control import unencrypted

EVERY_SECONDS = 2.0
MOST_FAILURES = 2_000
"""Beyond this many failures between two signals only money is told: more ends say nothing new."""
MOST_KINDS = 2_000
_PATIENCE = timedelta(seconds=5)
_LOG = logging.getLogger("backstay.breakers")


class BreakerReports:
    """Gathers what ended on this worker until `kept` tells it."""

    def __init__(self, client: Client, rules: Sequence[Breaker], queue: str) -> None:
        """Takes the rules of this worker's org.toml, and its task queue."""
        self._client = unencrypted(client)
        self._rules = list(rules)
        self._queue = queue
        self._lock = threading.Lock()
        self._taken: dict[tuple[str | None, ...], Report] = {}
        self._failures = 0

    def tell(self, report: Report) -> None:
        """Takes down what ended, to be told soon; neither waits nor raises, and may be called from any thread."""
        if not self._rules or (report.kind is ReportKind.ALARM and not self._heeded(report)):
            return
        with self._lock:
            before = self._taken.get(report.about)
            self._failures += len(report.failed)
            if self._failures > MOST_FAILURES:
                report = replace(report, good=0, failed=())
            if before is None and len(self._taken) >= MOST_KINDS:
                return
            self._taken[report.about] = before.with_more(report) if before else report

    def _heeded(self, alarm: Report) -> bool:
        # Breakers of an older release do not read alarms: they are told where somebody wants to know.
        return any(rule.judged_in(alarm) for rule in self._rules)

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncGenerator[None]:
        """Tells every two seconds what ended, while the block runs, and the rest at its end."""
        telling = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
            await self._flush()

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            await self._flush()

    async def _flush(self) -> None:
        with self._lock:
            reports, self._taken, self._failures = list(self._taken.values()), {}, 0
        if not reports:
            return
        try:
            await self._signal(Reports(rules=self._rules, queue=self._queue, reports=reports))
        except (RPCError, WorkflowAlreadyStartedError, TimeoutError):
            # Old news say nothing of how a scope is now: they are not kept.
            _LOG.warning("breakers were not told what ended in the last seconds: the engine does not answer")

    async def _signal(self, told: Reports) -> None:
        start: dict[str, Any] = {"start_signal": names.REPORTS, "start_signal_args": [plain(told)]}
        await self._client.start_workflow(
            names.BREAKERS,
            plain(BreakersInput()),
            id=names.BREAKERS_ID,
            task_queue=names.CONTROL_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            static_summary="what ends in all fleets, judged by breakers",
            rpc_timeout=_PATIENCE,
            **start,
        )
