"""Finds the past calls that stand in the archive alone: it has their verdicts, and not what rules could read."""

from collections.abc import Container
from datetime import datetime

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from backstay.adapters.archive.manifest import Manifest
from backstay.adapters.archive.store import Store
from backstay.adapters.engine.errors import in_our_words
from backstay.adapters.engine.executions import described
from backstay.contracts.history import RunRef
from backstay.kernel.events import CallJudged
from backstay.kernel.verdict import Code, Outcome, Verdict

from .against_past import Tried

WHY = "Temporal has forgotten its history, and the archive does not have what rules could read"
_GONE = (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT)


async def forgotten(
    client: Client, archive: Store, known: Container[RunRef], since: datetime, agent: str | None
) -> list[Tried]:
    """Lists the calls of runs since a moment whose histories Temporal no longer has; none of them can be judged.

    Args:
        client: the connection to Temporal.
        archive: the archive.
        known: the links of runs that Temporal has.
        since: the moment.
        agent: leaves out the runs of other agents.

    Raises:
        ArchiveError: the archive does not answer, or what it has was changed.
        CodecError: it is encrypted with a key that is not here.
        UnreachableError: Temporal does not answer.
    """
    manifests, _ = await archive.manifests()
    found: dict[tuple[str, str], Tried] = {}
    gone: dict[RunRef, bool] = {}
    for one in manifests:
        ref = RunRef(one.run_id, one.execution)
        if agent not in (None, one.agent) or ref in known or datetime.fromisoformat(one.at) < since:
            continue
        if ref not in gone:
            gone[ref] = await _is_gone(client, ref)
        for tried in await _calls(archive, one) if gone[ref] else ():
            found.setdefault((tried.run_id, tried.call_id), tried)
    return list(found.values())


async def _is_gone(client: Client, ref: RunRef) -> bool:
    with in_our_words(client, ref.workflow_id):
        try:
            await described(client, ref.workflow_id, ref.run_id)
        except RPCError as error:
            if error.status not in _GONE:
                raise
            return True
    return False


async def _calls(archive: Store, manifest: Manifest) -> list[Tried]:
    """Reads the verdicts of a part of a run's records."""
    found: list[Tried] = []
    for record in await archive.lines(manifest, "records"):
        if record["event"] == CallJudged.name():
            facts, given = record["facts"], record["facts"]["verdict"]
            was = Verdict(Outcome(given["outcome"]), Code(given["code"]), given["digest"], given["policy_version"])
            step = int(facts["call_id"].partition("-")[0])
            found.append(Tried(manifest.run_id, step, facts["call_id"], facts["tool"], was, None, WHY))
    return found
