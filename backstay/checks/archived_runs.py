"""Reads the calls of past runs from an archive, where Temporal no longer has them or is not asked."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from backstay.adapters.archive.manifest import Manifest, folder_of
from backstay.adapters.archive.store import Store
from backstay.adapters.engine.errors import in_our_words
from backstay.adapters.engine.executions import described
from backstay.contracts.history import RunRef
from backstay.errors import ArchiveError, CodecError
from backstay.kernel.audit import AuditHead, verify
from backstay.kernel.keys import is_child_id, run_key

from .past_runs import PastRun, Unread
from .recorded import Recording, questions_of

NO_MANIFEST = "it is no manifest of this version of Backstay, or was changed"
NO_BEGINNING = "the archive lacks the beginning of the run"
HANDED_DOWN = "its run was begun by another one, and the archive does not have what that handed down"
_NO_RECORD = "its records are spelled in another way than this version of Backstay does"
_GONE = (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT)

Wants = Callable[[RunRef], Awaitable[bool]]
"""Tells whether a link of a run is read."""


def manifests_beside(broken: Iterable[str], known: Iterable[RunRef]) -> list[Unread]:
    """Names manifests that cannot be read, but for those of links that are known without them."""
    folders = {f"{folder_of(ref.workflow_id)}/{ref.run_id}" for ref in known}
    return [Unread(name, NO_MANIFEST) for name in broken if name.rpartition("/")[0] not in folders]


def forgotten_by(client: Client, known: Container[RunRef]) -> Wants:
    """Returns what wants the links that Temporal no longer has.

    Args:
        client: the connection to Temporal.
        known: the links that it is known to have.
    """

    async def wants(ref: RunRef) -> bool:
        if ref in known:
            return False
        with in_our_words(client, ref.workflow_id):
            try:
                await described(client, ref.workflow_id, ref.run_id)
            except RPCError as error:
                if error.status not in _GONE:
                    raise
                return True
        return False

    return wants


async def everything(ref: RunRef) -> bool:
    """Wants every link."""
    return True


@dataclass(frozen=True, slots=True)
class Sought:
    """Names the runs that are read from an archive.

    Attributes:
        namespace: that of the runs, which the digests of their calls cover.
        since: leaves out what was written before.
        agent: the agent that they are of; None for all.
        wants: tells which links are read.
    """

    namespace: str
    since: datetime
    agent: str | None = None
    wants: Wants = everything


async def archived_runs(
    archive: Store, manifests: Iterable[Manifest], sought: Sought
) -> AsyncGenerator[PastRun | Unread]:
    """Yields what policy was asked in the links of runs that an archive has, and what cannot be read of it.

    Args:
        archive: the archive.
        manifests: its manifests, sorted by run.
        sought: the runs.

    Raises:
        UnreachableError: Temporal is asked which links it has, and does not answer.
    """
    for run_id, found in groupby(manifests, lambda one: one.run_id):
        parts = [*found]
        key = run_key(sought.namespace, run_id, _first_link(parts))
        for chain in _chains(parts):
            last = chain[-1]
            if not last.agent or sought.agent not in (None, last.agent):
                continue
            if datetime.fromisoformat(last.at) >= sought.since and await sought.wants(RunRef(run_id, last.execution)):
                yield await _run(archive, chain, key)


def _first_link(parts: Sequence[Manifest]) -> str:
    """Returns the first link of a run's chain, which its keys name."""
    return min(parts, key=lambda one: (one.start.records, one.at)).execution


def _chains(parts: Iterable[Manifest]) -> list[list[Manifest]]:
    """Returns the parts that follow each other, up to each end: a run that was reset has several."""
    filled = sorted((one for one in parts if one.start != one.head), key=lambda one: -one.start.records)
    ending = {one.head: one for one in filled}  # of parts with the same end the longest
    followed = {one.start for one in filled}
    return [_up_to(one, ending) for one in ending.values() if one.head not in followed]


def _up_to(last: Manifest, ending: Mapping[AuditHead, Manifest]) -> list[Manifest]:
    chain = [last]
    while (before := ending.get(chain[0].start)) is not None and before.start.records < chain[0].start.records:
        chain.insert(0, before)
    return chain


async def _run(archive: Store, chain: Sequence[Manifest], key: str) -> PastRun | Unread:
    records, items = list[dict[str, Any]](), list[dict[str, Any]]()
    last = chain[-1]
    ref = RunRef(last.run_id, last.execution)
    try:
        for part in chain:
            found = [dict(one) for one in await archive.lines(part, "records")]
            if verify(found, part.start) != part.head:
                return Unread(part.name, "its records do not lead to its head")
            records += found
            items += [dict(one) for one in await archive.lines(part, "transcript")]
        below = HANDED_DOWN if is_child_id(last.run_id) else ""
        trouble = below if chain[0].start == AuditHead() else NO_BEGINNING
        recording = Recording(ref, key, last.agent, last.tenant, records, items, trouble)
        return PastRun(ref, questions_of(recording), archived=True)
    except (ArchiveError, CodecError) as error:
        return Unread(last.name, str(error))
    except (LookupError, TypeError, ValueError):  # a chain that somebody has made of something else
        return Unread(last.name, _NO_RECORD)
