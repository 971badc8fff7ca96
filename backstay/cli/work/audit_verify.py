"""`backstay audit verify` and `prune`: judges evidence, and lets old evidence go; needs no Temporal server."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backstay.adapters.archive.judge import Judged, Kept, judge, judge_archive
from backstay.adapters.archive.keys import PublicKey, fault_of
from backstay.adapters.archive.prune import Hold, expired
from backstay.adapters.archive.store import Store
from backstay.errors import ConfigurationError
from backstay.kernel.audit_file import Flaw, object_of, read
from backstay.kernel.characters import escaped
from backstay.kernel.receipt import SCHEMA, read_receipt
from backstay.settings import load_settings

from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.terminal import Output, say, write, write_json
from .audit import needed_archive

_UNTRUSTED = "no `--key` was given: whoever made the file may have made its key too"


def verify(file: Path | None, archive: str | None, keys: Sequence[str], output: Output) -> int:
    """Runs `backstay audit verify` and returns its exit code."""
    trusted = [PublicKey.read(one) for one in keys]
    if file is None and archive is None:
        raise ConfigurationError("nothing is named", mend="name a FILE, or the archive with `--archive`")
    place = None if archive is None else _archive(archive)
    if file is None:
        return run_loop(_archive_alone(place or _archive(archive or ""), trusted, output))
    data = _contents(file)
    first = object_of(data.partition(b"\n")[0])
    if first is not None and first.get("schema") == SCHEMA:
        return _receipts(data, trusted, output)
    return run_loop(_export(data, place, trusted, output))


def prune(yes: bool, output: Output) -> int:
    """Runs `backstay audit prune` and returns its exit code."""
    settings = load_settings()
    if settings.archive_days is None:
        mend = "set it to the days that evidence is kept"
        raise ConfigurationError("evidence is kept for ever", where="`BACKSTAY_ARCHIVE_DAYS`", mend=mend)
    holds = [Hold.read(one) for one in settings.legal_hold]
    return run_loop(_prune(needed_archive(settings, None), settings.archive_days, holds, yes, output))


async def _export(data: bytes, archive: Store | None, trusted: Sequence[PublicKey], output: Output) -> int:
    sections = read(data)
    if isinstance(sections, Flaw):
        return _broken(sections, output)
    found: list[Judged] = []
    line = 1
    for section in sections:
        judged = await judge(section, line, archive, trusted)
        if isinstance(judged, Flaw):
            return _broken(judged, output)
        found.append(judged)
        line += len(section.trail.records) + 2
    if output is Output.JSON:
        write_json({"intact": True, "broken": None, "runs": [_plain(one) for one in found]})
    else:
        write(*(_line(one) for one in found))
    if not trusted and any(one.signed_by or one.keys for one in found):
        say(_UNTRUSTED, "dim")
    return ExitCode.COMPLETED


async def _archive_alone(archive: Store, trusted: Sequence[PublicKey], output: Output) -> int:
    kept = await judge_archive(archive, trusted)
    if output is Output.JSON:
        counts = {"parts": kept.parts, "runs": kept.runs, "unread": kept.unread}
        write_json({"intact": not kept.faults, **counts, "faults": list(kept.faults)})
    else:
        write(*(escaped(fault) for fault in kept.faults), _sum(kept))
    return ExitCode.FAILED if kept.faults else ExitCode.COMPLETED


def _receipts(data: bytes, trusted: Sequence[PublicKey], output: Output) -> int:
    *lines, rest = data.split(b"\n")
    found: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        receipt = read_receipt(line)
        fault = fault_of(receipt[1], trusted) if receipt else "it is no receipt, or was changed"
        if receipt is None or fault is not None:
            return _broken(Flaw(number, fault or ""), output)
        found.append(receipt[0])
    if rest:
        return _broken(Flaw(len(lines) + 1, "the last line has no end"), output)
    if output is Output.JSON:
        write_json({"intact": True, "broken": None, "receipts": found})
    else:
        write(*(_receipt(one) for one in found))
    if not trusted:
        say(_UNTRUSTED, "dim")
    return ExitCode.COMPLETED


async def _prune(archive: Store, days: int, holds: Sequence[Hold], yes: bool, output: Output) -> int:
    manifests, broken = await archive.manifests()
    gone = expired(manifests, days, holds, datetime.now(UTC), broken)
    if yes:
        for manifest in gone:
            await archive.delete(manifest)
    runs = sorted({one.run_id for one in gone})
    if output is Output.JSON:
        write_json({"deleted": yes, "runs": runs, "parts": [one.name for one in gone]})
    else:
        write(*(escaped(one) for one in runs))
        if broken:
            say(f"{len(broken)} manifests are no such thing, and nothing beside them goes: `audit verify` names them")
        say(f"{'deleted' if yes else 'to delete with --yes'}: {len(gone)} parts of {len(runs)} runs")
    return ExitCode.COMPLETED


def _archive(written: str) -> Store:
    return needed_archive(load_settings().model_copy(update={"archive": written}), None)


def _contents(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", where=str(file)) from None


def _broken(flaw: Flaw, output: Output) -> int:
    if output is Output.JSON:
        broken = {"line": flaw.line, "record": flaw.seq, "problem": flaw.problem}
        write_json({"intact": False, "broken": broken, "runs": []})
    else:
        record = "" if flaw.seq is None else f", record {flaw.seq}"
        write(f"not intact: line {flaw.line}{record}: {escaped(flaw.problem)}")
    return ExitCode.FAILED


def _plain(one: Judged) -> dict[str, Any]:
    return {
        "run_id": one.run_id,
        "records": one.head.records,
        "head": one.head.head,
        "signed_by": one.signed_by,
        "anchored": one.anchored,
        "ends": one.ends,
        "keys": list(one.keys),
    }


def _line(one: Judged) -> str:
    signed = f"signed by {escaped(one.signed_by)}" if one.signed_by else "not signed"
    text = f"intact: {escaped(one.run_id)}, {one.head.records} records, {signed}"
    if one.anchored is None:
        return f"{text}, compared with no archive"
    by = f", signed there by {', '.join(map(escaped, one.keys))}" if one.keys else ", not signed there"
    upto = "all of it" if one.anchored == one.head.records else f"only up to record {one.anchored}"
    end = "" if one.ends else "; the archive did not see the end"
    return f"{text}; the archive has {upto}{by}{end}"


def _receipt(one: dict[str, Any]) -> str:
    people = ", ".join(one["approved_by"]) or "nobody had to approve"
    asked = one["requested_by"] or "somebody unnamed"
    text = f"{one['at']} {one['tool']} {one['outcome']} for {one['tenant']}, asked by {asked}, approved: {people}"
    return escaped(f"intact: {text}, signed by {one['key']}")


def _sum(kept: Kept) -> str:
    unread = f", {kept.unread} of them encrypted for others" if kept.unread else ""
    return f"{kept.parts} parts of {kept.runs} runs are intact{unread}; {len(kept.faults)} are not"
