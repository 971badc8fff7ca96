"""`archive`: a part of a run's evidence, exactly as its history names it."""

from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.archive import Archive
from backstay.contracts.archive import Archived, ArchiveInput, Segment
from backstay.contracts.history import RunRef
from backstay.errors import ForeignRunError
from backstay.kernel.audit import AuditHead

from .fakes import RUN
from .world import World


class FakeEvidence:
    """A run that has recorded a few things."""

    def __init__(self, records: int = 3, items: int = 2) -> None:
        self.heads = [AuditHead()]
        self.all: list[dict[str, Any]] = []
        for number in range(records):
            head, record = self.heads[-1].chained("2026-01-01T00:00:00.000Z", "paused", {"by": f"ann {number}"})
            self.heads.append(head)
            self.all.append(record)
        self.said = [{"n": number + 1} for number in range(items)]

    async def records(self, run: RunRef, after: int, until: int) -> list[dict[str, Any]]:
        assert run == RUN
        return self.all[after:until]

    async def items(self, run: RunRef, after: int, until: int) -> list[dict[str, Any]]:
        return self.said[after:until]


class FakePlace:
    """An archive in memory."""

    def __init__(self) -> None:
        self.kept: list[Segment] = []

    async def keep(self, segment: Segment) -> Archived:
        self.kept.append(segment)
        return Archived(key="2026a", name="here")


def asked(evidence: FakeEvidence, after: int = 0, **changes: Any) -> ArchiveInput:
    given = ArchiveInput(start=evidence.heads[after], head=evidence.heads[-1], items_start=0, items=2, last=True)
    return given.model_copy(update=changes)


@pytest.mark.parametrize("start", [0, 2, 3])
async def test_the_records_that_lead_to_the_head_are_kept_with_whose_they_are(world: World, start: int) -> None:
    evidence, place = FakeEvidence(), FakePlace()
    archive = Archive(world.conversations, evidence, place)
    assert await world.env.run(archive.archive, asked(evidence, start)) == Archived(key="2026a", name="here")
    [segment] = place.kept
    assert (segment.run, segment.agent, segment.tenant) == (RUN, "clerk", "acme")
    assert (segment.records, segment.items) == (evidence.all[start:], evidence.said)
    assert segment.at.endswith("Z")


@pytest.mark.parametrize(
    "change",
    [
        {"head": AuditHead(3, "sha256:another")},
        {"head": AuditHead(4, "sha256:more")},
        {"start": AuditHead(1, "sha256:another")},
        {"items": 3},
    ],
)
async def test_what_differs_from_what_the_history_names_is_not_kept(world: World, change: dict[str, Any]) -> None:
    evidence, place = FakeEvidence(), FakePlace()
    with pytest.raises(ApplicationError, match="do not lead to the head") as refused:
        await world.env.run(Archive(world.conversations, evidence, place).archive, asked(evidence, **change))
    assert (refused.value.type, refused.value.non_retryable) == ("EvidenceDiffers", False)
    assert place.kept == []


async def test_a_worker_without_an_archive_leaves_it_to_another(world: World) -> None:
    evidence = FakeEvidence()
    with pytest.raises(ApplicationError, match="set `BACKSTAY_ARCHIVE`") as refused:
        await world.env.run(Archive(world.conversations, evidence, None).archive, asked(evidence))
    assert (refused.value.type, refused.value.non_retryable) == ("NoArchive", False)


async def test_a_workflow_that_is_no_run_of_ours_has_nothing_signed(world: World) -> None:
    world.history.fault = ForeignRunError("no run of ours")
    evidence, place = FakeEvidence(), FakePlace()
    with pytest.raises(ApplicationError, match="no run of ours") as refused:
        await world.env.run(Archive(world.conversations, evidence, place).archive, asked(evidence))
    assert (refused.value.type, refused.value.non_retryable) == ("ForeignRun", True)
    assert place.kept == []
