"""Evidence of a run, and archives in a folder."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from backstay.adapters.archive.keys import audit_keys
from backstay.adapters.archive.place import Folder
from backstay.adapters.archive.store import Sealing, Store
from backstay.adapters.payload.codec import EncryptingCodec
from backstay.contracts.archive import ArchiveInput, Segment
from backstay.contracts.history import RunRef
from backstay.kernel.audit import AuditHead

SEED = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
[KEY] = audit_keys(f"2026a:{SEED}")
PLAIN = Sealing(None, "default")
SECRET = "the customer's own words"


def sealing(key: bytes = bytes(32)) -> Sealing:
    return Sealing(EncryptingCodec({"k": key}), "default")


def chain(records: int = 4) -> tuple[list[AuditHead], list[dict[str, Any]]]:
    heads, found = [AuditHead()], list[dict[str, Any]]()
    for number in range(records):
        head, record = heads[-1].chained("2026-01-01T00:00:00.000Z", "paused", {"by": "ann", "n": number})
        heads.append(head)
        found.append(record)
    return heads, found


HEADS, RECORDS = chain()


def segment(start: int = 0, until: int = 4, run_id: str = "refund-A17", **changes: Any) -> Segment:
    given = ArchiveInput(start=HEADS[start], head=HEADS[until], items_start=0, items=1, last=until == 4)
    items = [{"n": 1, "text": SECRET}]
    at = "2026-01-01T00:00:00.000Z"
    one = Segment(RunRef(run_id, "e-1"), "support", "acme", at, given, RECORDS[start:until], items)
    return replace(one, **changes)


def store(folder: Path, sealed: Sealing = PLAIN) -> Store:
    return Store(Folder(folder), sealed, KEY)


def bytes_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
