"""A manifest: one line that names the files beside it by their digests."""

import json
from typing import Any

import pytest

from backstay.adapters.archive.keys import audit_keys, fault_of
from backstay.adapters.archive.manifest import digest_of, file_name, folder_of, read_manifest, spelled
from backstay.contracts.archive import ArchiveInput, Segment
from backstay.contracts.history import RunRef
from backstay.kernel.audit import AuditHead
from backstay.kernel.audit_file import line_of

[KEY] = audit_keys("2026a:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
GIVEN = ArchiveInput(start=AuditHead(), head=AuditHead(3, "sha256:h"), items_start=0, items=2, last=True)
SEGMENT = Segment(RunRef("refund/A17", "e-1"), "support", "acme", "2026-01-01T00:00:00.000Z", GIVEN, [], [])
FILES = {"records": ("r.records", b"records"), "transcript": ("t.transcript", b"said")}
PLACE = "refund%2FA17/e-1/m.manifest.json"


def test_a_manifest_is_read_as_it_was_written() -> None:
    found = read_manifest(PLACE, spelled(SEGMENT, FILES, False, KEY))
    assert found is not None
    assert (found.run_id, found.execution, found.agent, found.tenant) == ("refund/A17", "e-1", "support", "acme")
    assert (found.start, found.head, found.items, found.last) == (GIVEN.start, GIVEN.head, (0, 2), True)
    assert found.files["records"] == ("r.records", digest_of(b"records"))
    assert (found.folder, found.sealed) == ("refund%2FA17/e-1", False)
    assert fault_of(found.claim) is None


def test_an_unsigned_manifest_claims_nothing() -> None:
    found = read_manifest(PLACE, spelled(SEGMENT, FILES, True, None))
    assert found is not None
    assert (found.claim, found.sealed) == (None, True)


def test_every_changed_byte_of_a_signed_manifest_is_found() -> None:
    data = spelled(SEGMENT, FILES, False, KEY)
    for at, byte in enumerate(data):
        found = read_manifest(PLACE, data[:at] + bytes([byte ^ 1]) + data[at + 1 :])
        assert found is None or fault_of(found.claim) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "backstay.archive/2"},
        {"run_id": ...},
        {"items": [1]},
        {"at": "yesterday"},
        {"at": "2026-01-01T00:00:00"},
        {"items": ["x", 2]},
        {"files": {}},
        {"files": {"records": {"name": "../../etc/passwd", "digest": ""}, "transcript": {"name": "t", "digest": ""}}},
        {"start": {}},
        {"key": "2026a"},
        {"signature": "eA=="},
    ],
)
def test_what_is_no_manifest_is_none(change: dict[str, Any]) -> None:
    value = {**json.loads(spelled(SEGMENT, FILES, False, None)), **change}
    assert read_manifest(PLACE, line_of({key: kept for key, kept in value.items() if kept is not ...})) is None


def test_a_manifest_without_its_end_is_none() -> None:
    assert read_manifest(PLACE, spelled(SEGMENT, FILES, False, KEY)[:-1]) is None


@pytest.mark.parametrize("run_id", ["../../etc", "a/b", "..", ".", "x" * 1000, "Ä\ud800", "a~b", "A"])
def test_every_run_has_one_folder_of_its_own(run_id: str) -> None:
    folder = folder_of(run_id)
    assert "/" not in folder
    assert not folder.startswith(".")
    assert len(folder) < 200


def test_long_names_that_begin_alike_have_folders_of_their_own() -> None:
    assert folder_of("x" * 1000) != folder_of("x" * 1001)


def test_a_file_is_named_by_its_records_and_its_digest() -> None:
    name = file_name(SEGMENT, "records", b"records")
    assert name == f"00000000-00000003.{digest_of(b'records')[7:23]}.records"
