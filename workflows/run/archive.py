"""Has the evidence of a run written outside of the engine: beside the run as it grows, and once more at its end."""

import asyncio
import contextlib
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError
from temporalio.workflow import ActivityConfig

from backstay.contracts import names
from backstay.contracts.archive import Archived, ArchiveInput
from backstay.contracts.carry import CarriedArchive
from backstay.kernel.audit import AuditHead
from backstay.kernel.keys import archive_id

from .. import options
from .live import LiveRun

_PATIENCE = timedelta(seconds=15)
NOT_KEPT = "the archive does not take the run's evidence"


class Archiving:
    """The evidence of an admitted run, and how much of it the archive has.

    A run without an archive schedules nothing. No fault of the archive changes what a run does or how it ends.
    """

    def __init__(self, run: LiveRun) -> None:
        self._run = run
        self._kept = AuditHead()
        self._items = 0
        self._asked = 0
        self._tried = 0
        self._task: asyncio.Task[bool] | None = None
        if run.admission.archive is not None and run.admission.archive.every:
            run.record.heed(self._heed)

    def carry_on(self, carried: CarriedArchive) -> None:
        """Goes on where the link before has left off."""
        self._kept, self._items, self._tried = carried.kept, carried.items, carried.kept.records

    def carried(self) -> CarriedArchive:
        """Returns how much of the evidence is kept."""
        return CarriedArchive(kept=self._kept, items=self._items)

    def catch_up(self) -> None:
        """Has written at once what the link before did not wait for: some day Temporal forgets that link."""
        links = self._run.admission.links
        if self._run.admission.archive is None or links is None or not links.midway:
            return
        if self._kept != self._run.record.audit:
            self._tried = self._run.record.audit.records
            self._task = asyncio.create_task(self._keep(options.ARCHIVE, last=False))

    async def part(self) -> None:
        """Has the evidence of this link written; what the archive does not take now is read by a later link."""
        if self._run.admission.archive is None:
            return
        if self._task is not None:
            await self._task
        if self._kept != self._run.record.audit:
            self._tried = self._run.record.audit.records
            self._task = asyncio.create_task(self._keep(options.ARCHIVE_LAST, last=False))
            await self._task

    async def close(self) -> None:
        """Has all evidence written, at most for the time that `options.ARCHIVE_LAST` allows: then the run closes."""
        if self._run.admission.archive is None:
            return
        last = asyncio.create_task(self._last())
        try:
            await workflow.wait_condition(last.done)
        except asyncio.CancelledError:
            # The engine's cancel comes too late: the run has come to its end. A second one is not for the run.
            await workflow.wait_condition(last.done)
        await last

    async def _last(self) -> None:
        record = self._run.record
        record.waits_for(NOT_KEPT)
        if self._task is not None and not self._task.done():
            await self._part_ends(self._task)
        # A message that comes meanwhile leaves a record too; a run takes down so many of them and no more.
        while self._kept != record.audit and await self._keep(options.ARCHIVE_LAST, last=True):
            pass
        record.waits_no_more(NOT_KEPT)

    async def _part_ends(self, part: asyncio.Task[bool]) -> None:
        """Waits for a part under way; one that takes too long is given up, and the last one has its records too."""
        try:
            await workflow.wait_condition(part.done, timeout=_PATIENCE, timeout_summary="a part of the evidence")
        except TimeoutError:
            part.cancel()
            with contextlib.suppress(asyncio.CancelledError, FailureError):
                await part

    def _heed(self) -> None:
        spec, records = self._run.admission.archive, self._run.record.audit.records
        busy = self._task is not None and not self._task.done()
        if spec is None or busy or self._run.record.closed or records - self._tried < spec.every:
            return
        self._tried = records
        self._task = asyncio.create_task(self._keep(options.ARCHIVE, last=False))

    async def _keep(self, how: ActivityConfig, *, last: bool) -> bool:
        record = self._run.record
        given = ArchiveInput(start=self._kept, head=record.audit, items_start=self._items, items=record.said, last=last)
        self._asked += 1
        how = {
            **how,
            "activity_id": archive_id(self._asked),
            "summary": f"keep · records {given.start.records + 1} to {given.head.records}",
            "priority": options.shared_fairly(self._run.request.tenant),
        }
        record.quiet.left()
        try:
            await workflow.execute_activity(names.ARCHIVE, given, result_type=Archived, **how)
        except ActivityError:
            workflow.logger.warning("%s: after record %d", NOT_KEPT, self._kept.records)
            return False
        finally:
            record.quiet.changed()
        self._kept, self._items = given.head, given.items
        return True
