"""Writes evidence to the archive from outside of runs: of those that it missed, and of what governs all of them."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from temporalio.client import Client

from backstay.adapters.archive.store import Store
from backstay.adapters.engine.errors import in_our_words
from backstay.adapters.engine.evidence import Evidence
from backstay.adapters.engine.executions import listed
from backstay.client.deeds_of_control import KEPT
from backstay.client.trails import trails_of
from backstay.contracts import names
from backstay.contracts.archive import Archived, ArchiveInput, Segment
from backstay.contracts.history import RunRef
from backstay.kernel.audit_file import Trail

_ALL = 1_000_000_000
_NOBODY = {"agent": "", "tenant": ""}
"""Of what governs all runs, and of a run that was never admitted."""


async def keep(client: Client, archive: Store, workflow_id: str) -> list[Archived]:
    """Writes all evidence of a run, and of the runs that it started, as Temporal has it now.

    Raises:
        RunNotFoundError: Temporal does not know it.
        NoWorkerError: no worker answers for the run.
        ArchiveError: the archive did not take it.
    """
    return [await archive.keep(await _segment(client, trail)) for trail in await trails_of(client, workflow_id)]


async def of_control(client: Client) -> Sequence[str]:
    """Lists what governs all runs: the control plane, incidents, breakers, ledgers, grants and rates."""
    kinds = ", ".join(json.dumps(kind) for kind in sorted(KEPT))
    with in_our_words(client, names.CONTROL_ID):
        found = [one.workflow_id async for one in listed(client, f"WorkflowType IN ({kinds})")]
    return sorted(set(found))


async def _segment(client: Client, trail: Trail) -> Segment:
    run = RunRef(trail.run_id, trail.executions[-1])
    items: Sequence[dict[str, Any]] = []
    admitted: Mapping[str, Any] = _NOBODY
    if trail.kind == names.AGENT_RUN:  # an event of anything else may be a signal of whatever name
        items = await Evidence(client).items(run, 0, _ALL)
        admitted = next((one["facts"] for one in trail.records if one["event"] == "admitted"), _NOBODY)
    given = ArchiveInput(start=trail.start, head=trail.head, items_start=0, items=len(items), last=trail.closed)
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Segment(run, str(admitted["agent"]), str(admitted["tenant"]), at, given, trail.records, items)
