"""Judges evidence: whether a file is as it was written, and whether the archive says the same.

A file that agrees with itself proves little: whoever can rewrite a history can build its chain anew. What the archive
signed while the run was at work can only be compared, or withheld.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from backstay.errors import ArchiveError, CodecError
from backstay.kernel.audit import AuditHead, verify
from backstay.kernel.audit_file import Flaw, Section, Trail

from .keys import PublicKey, fault_of
from .manifest import Manifest
from .store import Store


@dataclass(frozen=True, slots=True)
class Judged:
    """A trail that stands: the key that signed the file, and the last record that the archive has too.

    `anchored` is None where no archive was asked, `ends` tells whether the archive saw the run end, `keys` are those
    that signed there.
    """

    run_id: str
    head: AuditHead
    signed_by: str | None = None
    anchored: int | None = None
    ends: bool = False
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """Lists the parts of an archive that stand when it is judged alone, and the faults of the others."""

    parts: int = 0
    runs: int = 0
    unread: int = 0
    faults: Sequence[str] = field(default_factory=list[str])


async def judge(section: Section, line: int, archive: Store | None, trusted: Sequence[PublicKey]) -> Judged | Flaw:
    """Judges the trail of one run.

    Args:
        section: the trail as its file has it, which agrees with itself.
        line: the line in which it begins.
        archive: the archive to compare with.
        trusted: the keys that count: for the archive where one is given, else for the file.
    """
    trail, claim = section.trail, section.claim
    fault = fault_of(claim, () if archive else trusted)
    if fault is not None:
        return Flaw(line + len(trail.records) + 1, fault)
    judged = Judged(trail.run_id, trail.head, claim.key if claim else None)
    if archive is None:
        return judged
    manifests, broken = await archive.manifests(trail.run_id)
    if broken:
        return Flaw(line, f"the archive holds a manifest that was changed: `{broken[0]}`")
    ours = [one for one in manifests if not trail.executions or one.execution in trail.executions]
    if not ours:
        return Flaw(line, "the archive has nothing of this run")
    for manifest in ours:
        fault = fault_of(manifest.claim, trusted) or await archive.whole(manifest)
        if fault is not None:
            return Flaw(line, f"the archive's `{manifest.name}`: {fault}")
        if flaw := _differs(trail, manifest.start, line) or _differs(trail, manifest.head, line):
            return flaw
    anchored = max(one.head.records for one in ours)
    if anchored < trail.start.records:
        return Flaw(line, f"the archive has nothing of this part: it ends with record {anchored}")
    ends = any(one.last for one in ours)
    if ends and trail.head.records > anchored:
        return Flaw(_line(trail, anchored + 1, line), "it was added after the run had ended", anchored + 1)
    keys = tuple(sorted({one.claim.key for one in ours if one.claim}))
    return Judged(trail.run_id, trail.head, judged.signed_by, anchored, ends, keys)


async def judge_archive(archive: Store, trusted: Sequence[PublicKey]) -> Kept:
    """Judges all that an archive holds: signatures, digests, and the chains of what can be read here."""
    manifests, broken = await archive.manifests()
    faults = [f"`{name}` is no manifest, or was changed" for name in broken]
    if not manifests and not broken:
        faults.append("it holds no evidence: none was kept here yet, all of it is gone, or this is not the archive")
    parts = unread = 0
    for manifest in manifests:
        fault = fault_of(manifest.claim, trusted) or await archive.whole(manifest)
        if fault is None:
            readable = await _chained(archive, manifest)
            unread += readable is None
            fault = "its records do not lead to its head" if readable is False else None
        if fault is None:
            parts += 1
        else:
            faults.append(f"`{manifest.name}`: {fault}")
    return Kept(parts, len({one.run_id for one in manifests}), unread, faults)


async def _chained(archive: Store, manifest: Manifest) -> bool | None:
    """Tells whether a part's records lead to its head; None where they are encrypted for others."""
    if manifest.sealed and not archive.opens:
        return None
    try:
        return verify(await archive.lines(manifest, "records"), manifest.start) == manifest.head
    except CodecError:
        return None
    except ArchiveError:
        return False


def _differs(trail: Trail, anchor: AuditHead, line: int) -> Flaw | None:
    """Compares a trail with a head that the archive holds."""
    if anchor.records <= trail.start.records:
        same = anchor.records < trail.start.records or anchor == trail.start
        return None if same else Flaw(line + 1, "the archive has another record before this one", anchor.records)
    if anchor.records > trail.head.records:
        end = len(trail.records) + line + 1
        return Flaw(end, f"the file is cut: the archive has {anchor.records} records", trail.head.records + 1)
    if trail.records[anchor.records - trail.start.records - 1]["hash"] == anchor.head:
        return None
    where = _line(trail, anchor.records, line)
    return Flaw(where, "the archive has another record here, or before it: the history was rewritten", anchor.records)


def _line(trail: Trail, seq: int, line: int) -> int:
    return line + seq - trail.start.records
