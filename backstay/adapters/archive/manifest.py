"""The manifest of a part of a run's evidence: one signed line that names the files beside it by their digests."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from backstay.contracts.archive import Segment
from backstay.kernel.audit import AuditHead
from backstay.kernel.audit_file import Claim, Signer, head_of, line_of, object_of

SCHEMA = "backstay.archive/1"
ENDING = ".manifest.json"
_LONGEST = 160
_FILES = frozenset({"records", "transcript"})


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as the archive has it.

    `name` is where it lies; `files` are the names of records and transcript with their digests, `items` the numbers of
    the transcript's items before it and with it. `last` says that the run ended with it, `sealed` that the files are
    encrypted.
    """

    name: str
    run_id: str
    execution: str
    agent: str
    tenant: str
    at: str
    start: AuditHead
    head: AuditHead
    items: tuple[int, int]
    last: bool
    sealed: bool
    files: Mapping[str, tuple[str, str]]
    claim: Claim | None

    @property
    def folder(self) -> str:
        """The folder in which the files lie."""
        return self.name.rpartition("/")[0]

    @property
    def astray(self) -> bool:
        """True where it lies in the folder of another execution, whose files it must not speak for."""
        return self.folder != f"{folder_of(self.run_id)}/{self.execution}"


def folder_of(run_id: str) -> str:
    """Returns the folder of a run: its id, spelled so that it is one folder everywhere."""
    spelled = quote(run_id, safe="", errors="surrogatepass").replace(".", "%2E")
    if len(spelled) <= _LONGEST:
        return spelled
    return f"{spelled[:_LONGEST]}~{hashlib.sha256(run_id.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def digest_of(data: bytes) -> str:
    """Returns the digest by which a manifest names a file."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def file_name(segment: Segment, kind: str, data: bytes) -> str:
    """Returns the name of a file: where its records begin and end, and its digest, so that no two share one."""
    given = segment.given
    stem = f"{given.start.records:08d}-{given.head.records:08d}"
    return f"{stem}.{digest_of(data)[7:23]}.{kind}"


def spelled(segment: Segment, files: Mapping[str, tuple[str, bytes]], sealed: bool, signer: Signer | None) -> bytes:
    """Returns the manifest of a segment with the names and contents of its files."""
    given = segment.given
    body: dict[str, Any] = {
        "schema": SCHEMA,
        "run_id": segment.run.workflow_id,
        "execution": segment.run.run_id,
        "agent": segment.agent,
        "tenant": segment.tenant,
        "at": segment.at,
        "start": {"records": given.start.records, "head": given.start.head},
        "records": given.head.records,
        "head": given.head.head,
        "items": [given.items_start, given.items],
        "last": given.last,
        "sealed": sealed,
        "files": {kind: {"name": name, "digest": digest_of(data)} for kind, (name, data) in files.items()},
        **({"key": signer.key, "public": signer.public} if signer else {}),
    }
    return line_of({**body, "signature": signer.sign(line_of(body)[:-1])} if signer else body)


def read_manifest(name: str, data: bytes) -> Manifest | None:
    """Reads a manifest; None where it is none, or not spelled as it was written. Its claim is still to be checked."""
    found = object_of(data[:-1]) if data.endswith(b"\n") else None
    if found is None or found.get("schema") != SCHEMA or ("key" in found) != ("signature" in found):
        return None
    body = {key: value for key, value in found.items() if key != "signature"}
    claim = None
    if "key" in found:
        claim = Claim(str(found["key"]), str(found.get("public")), line_of(body)[:-1], str(found["signature"]))
    try:
        before, until = found["items"]
        if datetime.fromisoformat(str(found["at"])).tzinfo is None:
            raise ValueError("a time has its zone")
        return Manifest(
            name=name,
            run_id=str(found["run_id"]),
            execution=str(found["execution"]),
            agent=str(found["agent"]),
            tenant=str(found["tenant"]),
            at=str(found["at"]),
            start=head_of(found["start"]),
            head=head_of(found),
            items=(int(before), int(until)),
            last=found["last"] is True,
            sealed=found["sealed"] is True,
            files={kind: _file(found["files"][kind]) for kind in _FILES},
            claim=claim,
        )
    except (KeyError, TypeError, ValueError):
        return None


def _file(given: Mapping[str, Any]) -> tuple[str, str]:
    name = str(given["name"])
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        raise ValueError("a file lies beside its manifest")
    return name, str(given["digest"])
