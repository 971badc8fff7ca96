"""Writes the evidence of a run to the archive, outside of what the engine keeps."""

from datetime import UTC, datetime

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.archive import Archived, ArchiveInput, Segment
from backstay.kernel.audit import verify
from backstay.ports import Archive as Place
from backstay.ports import Evidence

from .conversation import Conversations
from .prepare import this_run

NOT_THIS = "EvidenceDiffers"
"""The type of the error where a run answers with other records than those that its history names."""


class Archive:
    """The activity `archive`."""

    def __init__(self, conversations: Conversations, evidence: Evidence, place: Place | None) -> None:
        self._conversations = conversations
        self._evidence = evidence
        self._place = place

    @activity.defn(name=names.ARCHIVE)
    async def archive(self, given: ArchiveInput) -> Archived:
        """Writes a part of the evidence of the run that asks; the engine tries again where the archive does not answer.

        Raises:
            ApplicationError: of type `ForeignRun`: it is no run of ours. Of type `NoArchive`: this worker has none,
                another one may. Of type `EvidenceDiffers`: the records do not lead to the head that the run names.
        """
        run = this_run()
        opening = await self._conversations.opening(run)
        if self._place is None:
            raise ApplicationError("this worker has no archive: set `BACKSTAY_ARCHIVE`", type="NoArchive")
        records = await self._evidence.records(run, given.start.records, given.head.records)
        items = await self._evidence.items(run, given.items_start, given.items)
        if verify(records, given.start) != given.head or len(items) != given.items - given.items_start:
            text = "the run's records do not lead to the head that it names"
            raise ApplicationError(text, type=NOT_THIS)
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return await self._place.keep(Segment(run, opening.agent, opening.tenant, at, given, records, items))
