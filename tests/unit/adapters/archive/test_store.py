"""The archive: what it keeps is signed, may be encrypted, and is read again as it was."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from backstay.adapters.archive.keys import fault_of
from backstay.adapters.archive.manifest import ENDING, digest_of
from backstay.adapters.archive.store import archive_of
from backstay.errors import ArchiveError, CodecError
from backstay.kernel.audit_file import line_of
from backstay.settings import Settings

from .evidence import RECORDS, SECRET, SEED, bytes_of, sealing, segment, store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


async def test_a_kept_part_is_read_again(folder: Path) -> None:
    archive = store(folder)
    kept = await archive.keep(segment())
    [manifest], broken = await archive.manifests("refund-A17")
    assert (kept.key, kept.name, broken) == ("2026a", manifest.name, [])
    assert await archive.lines(manifest, "records") == RECORDS
    assert await archive.lines(manifest, "transcript") == [{"n": 1, "text": SECRET}]
    assert await archive.whole(manifest) is None
    assert fault_of(manifest.claim) is None


async def test_the_same_part_once_more_changes_nothing(folder: Path) -> None:
    archive = store(folder)
    await archive.keep(segment())
    before = {file: file.stat().st_mtime_ns for file in folder.rglob("*")}
    await archive.keep(segment())
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*")} == before


async def test_parts_stand_in_the_order_of_their_records_and_only_those_of_the_run(folder: Path) -> None:
    archive = store(folder)
    for one in (segment(2, 4), segment(0, 2), segment(run_id="another")):
        await archive.keep(one)
    found, _ = await archive.manifests("refund-A17")
    assert [(one.start.records, one.head.records, one.last) for one in found] == [(0, 2, False), (2, 4, True)]
    assert len((await archive.manifests())[0]) == 3


async def test_encrypted_evidence_shows_nothing_of_what_was_said(folder: Path) -> None:
    await store(folder).keep(segment())
    assert SECRET.encode() in bytes_of(folder)
    sealed = folder.with_name("sealed")
    await store(sealed, sealing()).keep(segment())
    assert SECRET.encode() not in bytes_of(sealed)
    assert b'"paused"' not in bytes_of(sealed)


async def test_encrypted_evidence_is_read_with_its_key_and_verified_without(folder: Path) -> None:
    await store(folder, sealing()).keep(segment())
    [manifest], _ = await store(folder).manifests("refund-A17")
    assert await store(folder).whole(manifest) is None
    assert await store(folder, sealing()).lines(manifest, "records") == RECORDS
    with pytest.raises(ArchiveError, match="no keys here"):
        await store(folder).lines(manifest, "records")
    with pytest.raises(CodecError):
        await store(folder, sealing(bytes(31) + b"x")).lines(manifest, "records")


async def test_a_file_that_was_changed_or_taken_away_is_named(folder: Path) -> None:
    archive = store(folder)
    await archive.keep(segment())
    [manifest], _ = await archive.manifests()
    file = folder / manifest.folder / manifest.files["records"][0]
    file.chmod(0o644)
    file.write_bytes(b"{}\n")
    assert await archive.whole(manifest) == f"`{file.name}` was changed"
    with pytest.raises(ArchiveError, match="was changed"):
        await archive.lines(manifest, "records")
    file.unlink()
    assert await archive.whole(manifest) == f"`{file.name}` is missing"


async def test_a_file_of_something_else_is_no_evidence(folder: Path) -> None:
    archive = store(folder)
    await archive.keep(segment(records=RECORDS[:3]))
    [manifest], _ = await archive.manifests()
    name, _ = manifest.files["records"]
    foreign = replace(manifest, files={"records": (name, manifest.files["records"][1])})
    (folder / manifest.folder / name).chmod(0o644)
    (folder / manifest.folder / name).write_bytes(b"not a record\n")
    foreign = replace(foreign, files={"records": (name, digest_of(b"not a record\n"))})
    with pytest.raises(ArchiveError, match="holds no evidence"):
        await archive.lines(foreign, "records")


async def test_a_manifest_that_was_changed_or_moved_is_listed_as_broken(folder: Path) -> None:
    archive = store(folder)
    kept = await archive.keep(segment())
    other = folder / "another" / "e-1" / f"x{ENDING}"
    other.parent.mkdir(parents=True)
    other.write_bytes((folder / kept.name).read_bytes())
    assert await archive.manifests("another") == ([], [f"another/e-1/x{ENDING}"])
    other.write_bytes(b"{}")
    assert (await archive.manifests())[1] == [f"another/e-1/x{ENDING}"]


async def test_a_manifest_speaks_for_no_files_of_another_run(folder: Path) -> None:
    archive = store(folder)
    kept = await archive.keep(segment())
    beside = f"{kept.name.rpartition('/')[0]}/x{ENDING}"
    of_another = json.loads((folder / kept.name).read_bytes()) | {"run_id": "another"}
    (folder / beside).write_bytes(line_of({key: of_another[key] for key in of_another.keys() - {"key", "signature"}}))
    found, broken = await archive.manifests()
    assert ([one.run_id for one in found], broken) == (["refund-A17"], [beside])


async def test_what_is_no_encrypted_file_is_no_evidence(folder: Path) -> None:
    kept = await store(folder).keep(segment())
    said = json.loads((folder / kept.name).read_bytes()) | {"sealed": True}
    (folder / kept.name).chmod(0o644)
    (folder / kept.name).write_bytes(line_of({key: said[key] for key in said.keys() - {"key", "signature"}}))
    archive = store(folder, sealing())
    [manifest], _ = await archive.manifests()
    with pytest.raises(ArchiveError, match="no encrypted file"):
        await archive.lines(manifest, "records")


async def test_a_deleted_part_leaves_nothing(folder: Path) -> None:
    archive = store(folder)
    await archive.keep(segment())
    [manifest], _ = await archive.manifests()
    await archive.delete(manifest)
    assert bytes_of(folder) == b""


async def test_the_settings_name_the_archive_and_who_signs(folder: Path) -> None:
    assert archive_of(Settings()) is None
    archive = archive_of(Settings(archive=str(folder), audit_key=f"2026a:{SEED}"))
    assert archive is not None
    assert (await archive.keep(segment())).key == "2026a"
    unsigned = archive_of(Settings(archive=str(folder), codec_keys=f"k:{SEED}"))
    assert unsigned is not None
    assert ((await unsigned.keep(segment())).key, unsigned.opens, archive.opens) == (None, True, False)
