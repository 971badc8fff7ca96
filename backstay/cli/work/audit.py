"""`backstay audit`: shows, exports and keeps the evidence of runs."""

import sys
from collections.abc import Sequence

from temporalio.client import Client

from backstay.adapters.archive.keys import VARIABLE, AuditKey, audit_keys
from backstay.adapters.archive.store import Store, archive_of
from backstay.client.keeping import keep as kept
from backstay.client.keeping import of_control
from backstay.client.trails import trails_of
from backstay.contracts import names
from backstay.errors import ConfigurationError
from backstay.kernel.audit_file import Trail, written
from backstay.kernel.characters import escaped
from backstay.kernel.receipt import receipts_of, signed
from backstay.settings import Settings, load_settings

from ..shell.connected import connected
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.terminal import Output, say, write, write_json
from ..views.audit import audit_table
from ..views.transcript import lacking

_MAKE_KEY = "make one with `openssl rand -base64 32`, and set it as `id:base64`"


def show(run_id: str, output: Output) -> int:
    """Runs `backstay audit show` and returns its exit code."""
    return run_loop(_show(run_id, output))


def export(run_id: str) -> int:
    """Runs `backstay audit export` and returns its exit code."""
    return run_loop(_export(run_id))


def receipts(run_id: str) -> int:
    """Runs `backstay audit receipts` and returns its exit code."""
    return run_loop(_receipts(run_id))


def keep(run_ids: Sequence[str], control: bool, output: Output) -> int:
    """Runs `backstay audit keep` and returns its exit code."""
    if not run_ids and not control:
        raise ConfigurationError("nothing is named", mend="name runs, or say `--control`")
    return run_loop(_keep(run_ids, control, output))


def keys(output: Output) -> int:
    """Runs `backstay audit keys` and returns its exit code."""
    found = _keys(load_settings())
    if output is Output.JSON:
        write_json([{"key": one.key, "public": one.public} for one in found])
    else:
        write(*(f"{one.key}:{one.public}" for one in found))
    return ExitCode.COMPLETED


async def _show(run_id: str, output: Output) -> int:
    first, *others = await _trails(run_id)
    # Each link of what governs all runs is a trail of its own.
    trails = [first, *(one for one in others if one.run_id == first.run_id)]
    records, head = [record for one in trails for record in one.records], trails[-1].head.head
    if before := trails[0].start.records:
        say(lacking(f"records 1 to {before}", bool(load_settings().archive)), "yellow")
    if output is Output.JSON:
        write_json({"run_id": first.run_id, "head": head, "records": records})
    else:
        write(audit_table(records, of_run=_is_run(first)))
        say(f"{len(records)} records, head {head}; `-o json` has all of them", "dim")
    return ExitCode.COMPLETED


async def _export(run_id: str) -> int:
    signer = next(iter(audit_keys(load_settings().audit_key)), None)
    # Bytes as they are: whatever is escaped or reworded for a terminal would no longer be what was hashed.
    for trail in await _trails(run_id):
        sys.stdout.buffer.write(written(trail, signer))
    sys.stdout.buffer.flush()
    if signer is None:
        say(f"not signed: `{VARIABLE}` is not set", "dim")
    return ExitCode.COMPLETED


async def _receipts(run_id: str) -> int:
    signer = _keys(load_settings())[0]
    for trail in filter(_is_run, await _trails(run_id)):
        for receipt in receipts_of(trail.run_id, trail.records):
            sys.stdout.buffer.write(signed(receipt, signer))
    sys.stdout.buffer.flush()
    return ExitCode.COMPLETED


async def _keep(run_ids: Sequence[str], control: bool, output: Output) -> int:
    settings = load_settings()
    client = (await connected()).client.temporal
    archive = needed_archive(settings, client)
    found = [
        (run_id, one)
        for run_id in [*run_ids, *(await of_control(client) if control else ())]
        for one in await kept(client, archive, run_id)
    ]
    if output is Output.JSON:
        write_json([{"run_id": run_id, "name": one.name, "key": one.key} for run_id, one in found])
    else:
        say(f"kept in the archive: {len(found)} parts of {len({one for one, _ in found})}")
    return ExitCode.COMPLETED


def needed_archive(settings: Settings, client: Client | None) -> Store:
    """Returns the archive.

    Raises:
        ConfigurationError: none is set, or it cannot be used.
    """
    archive = archive_of(settings, client)
    if archive is None:
        raise ConfigurationError(
            "there is no archive", mend="set `BACKSTAY_ARCHIVE` to a folder or `s3://bucket/prefix`"
        )
    return archive


async def _trails(run_id: str) -> list[Trail]:
    client = (await connected()).client.temporal
    return await trails_of(client, run_id, archive_of(load_settings(), client))


def _is_run(trail: Trail) -> bool:
    return trail.kind == names.AGENT_RUN


def _keys(settings: Settings) -> list[AuditKey]:
    found = audit_keys(settings.audit_key)
    if not found:
        raise ConfigurationError("there is no key to sign with", where=f"`{escaped(VARIABLE)}`", mend=_MAKE_KEY)
    return found
