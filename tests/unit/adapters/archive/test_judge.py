"""Judging evidence: what agrees with itself must agree with the archive too."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backstay.adapters.archive.judge import Judged, Kept, judge, judge_archive
from backstay.adapters.archive.keys import PublicKey, audit_keys
from backstay.adapters.archive.place import Folder
from backstay.adapters.archive.store import Sealing, Store
from backstay.kernel.audit import AuditHead
from backstay.kernel.audit_file import Flaw, Section, Trail, read, written

from .evidence import HEADS, KEY, RECORDS, SEED, bytes_of, sealing, segment, store

[OTHER] = audit_keys("2026a:AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
TRUSTED = [PublicKey(KEY.public, "2026a")]
TRAIL = Trail("refund-A17", "AgentRun", HEADS[4], RECORDS, executions=("e-1",), closed=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def section(trail: Trail = TRAIL, signer: Any = KEY) -> Section:
    found = read(written(trail, signer))
    assert not isinstance(found, Flaw)
    return found[0]


def forged(change: int = 2) -> Trail:
    """The trail with another second record, and a chain that was built anew."""
    head, records = AuditHead(), list[dict[str, Any]]()
    for record in RECORDS:
        facts = {"by": "eve"} if record["seq"] == change else record["facts"]
        head, made = head.chained(record["at"], record["event"], facts)
        records.append(made)
    return replace(TRAIL, head=head, records=records)


async def judged(archive: Store | None, trail: Trail = TRAIL, signer: Any = KEY, trusted: Any = ()) -> Judged | Flaw:
    return await judge(section(trail, signer), 1, archive, trusted)


async def test_a_file_stands_alone_where_its_signature_is_that_of_the_trusted_key() -> None:
    assert await judged(None) == Judged("refund-A17", HEADS[4], "2026a")
    assert await judged(None, trusted=TRUSTED) == Judged("refund-A17", HEADS[4], "2026a")
    assert await judged(None, signer=None) == Judged("refund-A17", HEADS[4])
    for signer in (None, OTHER):
        assert isinstance(await judged(None, signer=signer, trusted=TRUSTED), Flaw)


async def test_a_rebuilt_chain_stands_alone_and_is_found_by_the_archive(folder: Path) -> None:
    archive = store(folder)
    for part in (segment(0, 3), segment(3, 4)):
        await archive.keep(part)
    assert isinstance(await judged(None, forged()), Judged)
    found = await judged(archive, forged(), trusted=TRUSTED)
    assert isinstance(found, Flaw)
    assert (found.line, found.seq) == (4, 3)
    assert "the history was rewritten" in found.problem


async def test_a_whole_trail_agrees_with_the_archive_to_its_end(folder: Path) -> None:
    archive = store(folder)
    for part in (segment(0, 2), segment(2, 4)):
        await archive.keep(part)
    found = await judged(archive, signer=None, trusted=TRUSTED)
    assert found == Judged("refund-A17", HEADS[4], None, 4, True, ("2026a",))


async def test_a_trail_that_goes_on_is_anchored_up_to_where_the_archive_has_it(folder: Path) -> None:
    archive = store(folder)
    await archive.keep(segment(0, 2))
    found = await judged(archive)
    assert isinstance(found, Judged)
    assert (found.anchored, found.ends) == (2, False)


async def test_a_cut_tail_is_found_by_the_archive(folder: Path) -> None:
    archive = store(folder)
    await archive.keep(segment())
    cut = replace(TRAIL, head=HEADS[3], records=RECORDS[:3])
    found = await judged(archive, cut)
    assert found == Flaw(5, "the file is cut: the archive has 4 records", 4)


async def test_a_record_after_the_end_of_the_run_is_found(folder: Path) -> None:
    archive = store(folder)
    await archive.keep(segment())
    head, more = HEADS[4].chained("2026-01-02T00:00:00.000Z", "paused", {"by": "eve"})
    found = await judged(archive, replace(TRAIL, head=head, records=[*RECORDS, more]))
    assert found == Flaw(6, "it was added after the run had ended", 5)


async def test_a_trail_that_begins_late_must_begin_where_the_archive_agrees(folder: Path) -> None:
    archive = store(folder)
    for part in (segment(0, 1), segment(1, 2), segment(2, 4)):
        await archive.keep(part)
    late = replace(TRAIL, start=HEADS[2], records=RECORDS[2:])
    assert isinstance(await judged(archive, late), Judged)
    fake = forged()
    tail = replace(fake, start=AuditHead(2, fake.records[1]["hash"]), records=fake.records[2:])
    found = await judged(archive, tail)
    assert isinstance(found, Flaw)
    assert found.problem == "the archive has another record before this one"


async def test_a_trail_that_begins_behind_all_that_the_archive_has_is_not_confirmed(folder: Path) -> None:
    archive = store(folder)
    await archive.keep(segment(0, 2))
    far = AuditHead(1_000, "sha256:" + "9" * 64)
    head, record = far.chained("2026-01-01T00:00:00.000Z", "paused", {"by": "mallory"})
    found = await judged(archive, replace(TRAIL, start=far, head=head, records=[record]))
    assert found == Flaw(1, "the archive has nothing of this part: it ends with record 2")


async def test_the_archive_must_know_the_run_and_its_execution(folder: Path) -> None:
    archive = store(folder)
    nothing = "the archive has nothing of this run"
    assert await judged(archive) == Flaw(1, nothing)
    await archive.keep(segment())
    assert await judged(archive, replace(TRAIL, executions=("e-2",))) == Flaw(1, nothing)
    assert isinstance(await judged(archive, replace(TRAIL, executions=())), Judged)


async def test_an_archive_that_somebody_else_signed_proves_nothing(folder: Path) -> None:
    for signer, problem in ((None, "it is not signed"), (OTHER, "it is signed by another key")):
        place = folder / problem
        await Store(Folder(place), Sealing(None, "default"), signer).keep(segment())
        found = await judged(store(place), trusted=TRUSTED)
        assert isinstance(found, Flaw)
        assert problem in found.problem
    assert SEED not in str(bytes_of(folder))


async def test_a_changed_file_of_the_archive_is_named(folder: Path) -> None:
    archive = store(folder)
    kept = await archive.keep(segment())
    [manifest], _ = await archive.manifests()
    records = folder / manifest.folder / manifest.files["records"][0]
    records.chmod(0o644)
    records.write_bytes(b"")
    found = await judged(archive)
    assert isinstance(found, Flaw)
    assert "was changed" in found.problem
    assert (await judge_archive(archive, [])).faults == [f"`{kept.name}`: `{records.name}` was changed"]
    (folder / kept.name).chmod(0o644)
    (folder / kept.name).write_bytes(b"{}\n")
    found = await judged(archive)
    assert isinstance(found, Flaw)
    assert "a manifest that was changed" in found.problem
    assert len((await judge_archive(archive, [])).faults) == 1


async def test_an_archive_is_judged_alone(folder: Path) -> None:
    archive = store(folder)
    for part in (segment(0, 2), segment(2, 4), segment(run_id="another")):
        await archive.keep(part)
    assert await judge_archive(archive, TRUSTED) == Kept(3, 2, 0, [])
    assert len((await judge_archive(archive, [PublicKey(OTHER.public)])).faults) == 3


async def test_an_archive_that_holds_nothing_is_not_intact(folder: Path) -> None:
    [fault] = (await judge_archive(store(folder / "misspelt"), [])).faults
    assert "it holds no evidence" in fault


async def test_records_that_do_not_lead_to_their_head_are_found_though_their_digest_fits(folder: Path) -> None:
    await store(folder).keep(segment(records=RECORDS[:3]))
    [fault] = (await judge_archive(store(folder), TRUSTED)).faults
    assert "do not lead to its head" in fault


async def test_what_is_encrypted_for_others_is_judged_by_its_digests(folder: Path) -> None:
    await store(folder, sealing()).keep(segment())
    assert await judge_archive(store(folder), TRUSTED) == Kept(1, 1, 1, [])
    assert await judge_archive(store(folder, sealing()), TRUSTED) == Kept(1, 1, 0, [])
    other = await judge_archive(store(folder, sealing(bytes(31) + b"1")), TRUSTED)
    assert other == Kept(1, 1, 1, [])
