"""The calls of past runs are read from an archive, and what cannot be read there is named."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from backstay.adapters.archive.store import Store, archive_of
from backstay.checks import archived_runs as module
from backstay.checks.archived_runs import (
    HANDED_DOWN,
    NO_BEGINNING,
    NO_MANIFEST,
    Sought,
    archived_runs,
    forgotten_by,
    manifests_beside,
)
from backstay.checks.past_runs import PastRun, Unread
from backstay.contracts.archive import ArchiveInput, Segment
from backstay.contracts.history import RunRef
from backstay.kernel.audit import AuditHead
from backstay.kernel.budget import Limits
from backstay.kernel.events import Admitted, CallJudged, Decided, DecisionKind, Event
from backstay.kernel.keys import child_id, run_key
from backstay.kernel.stop import Thresholds
from backstay.kernel.verdict import Code, Outcome, Verdict
from backstay.settings import Settings

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
KEY = "2026a:" + "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
OTHER_KEY = "2026a:" + "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
GOAL = {"n": 1, "kind": "goal", "text": "pay"}
ADMITTED = Admitted("clerk", "sha256:a", "acme", None, "m", Limits(), Thresholds(), None, 100)


def judged(step: int) -> tuple[Event, Event]:
    verdict = Verdict(Outcome.DENY, Code.FORBIDDEN, "d", "v", ("cap",))
    return Decided(step, DecisionKind.CALLS, 1), CallJudged(f"{step}-0", "pay", verdict)


def decided(step: int) -> dict[str, Any]:
    calls = [{"call_id": f"{step}-0", "tool": "pay", "arguments": "{}"}]
    return {"n": step + 1, "kind": "decision", "calls": calls}


@dataclass
class Kept:
    """A run whose evidence is kept part by part."""

    archive: Store
    run_id: str = "run-1"
    execution: str = "first"
    at: datetime = NOW
    head: AuditHead = field(default_factory=AuditHead)
    items: int = 0

    async def part(self, *events: Event, said: tuple[dict[str, Any], ...] = ()) -> "Kept":
        records, start = list[dict[str, Any]](), self.head
        for event in events:
            self.head, record = self.head.chained(NOW.isoformat(), event.name(), event.facts())
            records.append(json.loads(json.dumps(record)))
        given = ArchiveInput(start=start, head=self.head, items_start=self.items, items=self.items + len(said))
        self.items += len(said)
        ref = RunRef(self.run_id, self.execution)
        await self.archive.keep(Segment(ref, "clerk", "acme", self.at.isoformat(), given, records, said))
        return self


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(archive=str(tmp_path / "archive"))


@pytest.fixture
def archive(settings: Settings) -> Store:
    found = archive_of(settings)
    assert found is not None
    return found


async def read(archive: Store, **more: Any) -> list[PastRun | Unread]:
    """Reads what an archive has of the last week."""
    manifests, _ = await archive.manifests()
    sought = Sought(**{"namespace": "prod", "since": NOW - timedelta(days=7), **more})
    return [one async for one in archived_runs(archive, manifests, sought)]


async def runs(archive: Store, **more: Any) -> list[PastRun]:
    found = await read(archive, **more)
    assert all(isinstance(one, PastRun) for one in found), found
    return [one for one in found if isinstance(one, PastRun)]


def calls(run: PastRun) -> list[str]:
    return [call.call_id for question in run.questions for call in question.given.calls]


async def whole(kept: Kept) -> None:
    """Keeps a run of two decisions in two parts."""
    await kept.part(ADMITTED, *judged(1), said=(GOAL, decided(1)))
    await kept.part(*judged(2), said=(decided(2),))


async def test_parts_that_follow_each_other_are_one_run(archive: Store) -> None:
    await whole(Kept(archive))
    [run] = await runs(archive)
    assert (run.ref, run.archived, run.source, calls(run)) == (
        RunRef("run-1", "first"),
        True,
        "archive",
        ["1-0", "2-0"],
    )
    assert [(one.unknown, one.given.run_key) for one in run.questions] == [("", run_key("prod", "run-1", "first"))] * 2


async def test_each_run_is_read_once_though_it_was_kept_twice(archive: Store) -> None:
    await whole(Kept(archive))
    await whole(Kept(archive, "run-2"))
    await Kept(archive).part(ADMITTED, *judged(1), *judged(2), said=(GOAL, decided(1), decided(2)))
    assert [(run.ref.workflow_id, calls(run)) for run in await runs(archive)] == [
        ("run-1", ["1-0", "2-0"]),
        ("run-2", ["1-0", "2-0"]),
    ]


async def test_a_run_that_was_reset_has_two_ends_and_the_key_of_its_first_link(archive: Store) -> None:
    first = await Kept(archive).part(ADMITTED, *judged(1), said=(GOAL, decided(1)))
    reset = Kept(archive, execution="second", at=NOW + timedelta(hours=1), head=first.head, items=first.items)
    await first.part(*judged(2), said=(decided(2),))
    await reset.part(*judged(3), said=(decided(3),))
    found = await runs(archive)
    assert sorted((run.ref.run_id, *calls(run)) for run in found) == [("first", "1-0", "2-0"), ("second", "1-0", "3-0")]
    assert {one.given.run_key for run in found for one in run.questions} == {run_key("prod", "run-1", "first")}


async def never(ref: RunRef) -> bool:
    return False


@pytest.mark.parametrize("more", [{"agent": "another"}, {"since": NOW + timedelta(seconds=1)}, {"wants": never}])
async def test_what_is_not_sought_is_left_out(archive: Store, more: dict[str, Any]) -> None:
    await whole(Kept(archive))
    assert await read(archive, **more) == []
    assert len(await read(archive, agent="clerk")) == 1


async def test_a_run_without_its_beginning_is_told_and_its_calls_are_unknown(archive: Store) -> None:
    lost = Kept(archive, head=AuditHead(4, "sha256:4"), items=2)
    await lost.part(*judged(2), said=(decided(2),))
    [run] = await runs(archive)
    assert [(one.given.calls[0].call_id, one.unknown) for one in run.questions] == [("2-0", NO_BEGINNING)]


async def test_a_run_that_another_one_began_is_told_and_its_calls_are_unknown(archive: Store) -> None:
    await whole(Kept(archive, child_id("run-1", "1-0", "0123456789abcdef")))
    [run] = await runs(archive)
    assert [one.unknown for one in run.questions] == [HANDED_DOWN] * 2


async def test_a_part_that_was_changed_is_named(archive: Store, tmp_path: Path) -> None:
    await whole(Kept(archive))
    [file, _] = sorted((tmp_path / "archive").rglob("*.records"))
    file.chmod(0o644)
    file.write_bytes(file.read_bytes().replace(b'"forbidden"', b'"permitted"'))
    [unread] = await read(archive)
    assert isinstance(unread, Unread)
    assert "was changed after it was written" in unread.why


@pytest.mark.parametrize(
    ("at", "event", "facts", "why"),
    [
        (NOW.isoformat(), "call_judged", {"call": "1-0"}, "of another version of Backstay"),
        ("yesterday", "paused", {"by": "ann"}, "spelled in another way"),
    ],
)
async def test_records_that_cannot_be_read_are_named(
    archive: Store, at: str, event: str, facts: dict[str, Any], why: str
) -> None:
    head, record = AuditHead().chained(at, event, facts)
    given = ArchiveInput(start=AuditHead(), head=head, items_start=0, items=0)
    await archive.keep(Segment(RunRef("run-1", "first"), "clerk", "acme", NOW.isoformat(), given, [record], []))
    [unread] = await read(archive)
    assert isinstance(unread, Unread)
    assert why in unread.why


async def test_records_that_do_not_lead_to_the_head_are_named(archive: Store) -> None:
    _, record = AuditHead().chained(NOW.isoformat(), "paused", {"by": "ann"})
    given = ArchiveInput(start=AuditHead(), head=AuditHead(1, "sha256:1"), items_start=0, items=0)
    await archive.keep(Segment(RunRef("run-1", "first"), "clerk", "acme", NOW.isoformat(), given, [record], []))
    [unread] = await read(archive)
    assert isinstance(unread, Unread)
    assert unread.why == "its records do not lead to its head"


def test_manifests_that_cannot_be_read_are_named_unless_the_history_tells_the_same() -> None:
    names = ["run%2F1/first/1.manifest.json", "run%2F1/second/1.manifest.json"]
    assert manifests_beside(names, [RunRef("run/1", "first")]) == [Unread(names[1], NO_MANIFEST)]


async def test_what_is_encrypted_with_another_key_is_named(settings: Settings) -> None:
    archives = [archive_of(settings.model_copy(update={"codec_keys": key})) for key in (KEY, OTHER_KEY)]
    assert archives[0] is not None
    assert archives[1] is not None
    await whole(Kept(archives[0]))
    assert len(await runs(archives[0])) == 1
    [unread] = await read(archives[1])
    assert isinstance(unread, Unread)


async def test_only_links_that_temporal_has_forgotten_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"gone": RPCStatusCode.NOT_FOUND, "odd": RPCStatusCode.INVALID_ARGUMENT}

    async def described(client: Client, workflow_id: str, run_id: str) -> None:
        assert run_id != "known"
        if run_id in answers:
            raise RPCError("gone", answers[run_id], b"")

    monkeypatch.setattr(module, "described", described)
    wants = forgotten_by(cast("Client", object()), {RunRef("run-1", "known")})
    refs = [RunRef("run-1", one) for one in ("known", "gone", "odd", "there")]
    assert [await wants(ref) for ref in refs] == [False, True, True, False]
