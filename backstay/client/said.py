"""Collects the transcript of a run: from the links of its chain that Temporal still has, and from the archive."""

from collections.abc import Sequence
from dataclasses import dataclass

from temporalio.client import Client

from backstay.adapters.archive.manifest import Manifest
from backstay.adapters.archive.store import Store
from backstay.adapters.engine.errors import in_our_words
from backstay.adapters.engine.evidence import Evidence
from backstay.adapters.engine.executions import described
from backstay.client.link_start import start_of
from backstay.client.trails import latest_kept, links_of, parts_before
from backstay.contracts import names
from backstay.contracts.history import RunRef
from backstay.contracts.status import TranscriptItem
from backstay.errors import RunNotFoundError

_ALL = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Said:
    """The transcript of a run as far as it can be read; `missing` items came before the first."""

    items: Sequence[TranscriptItem]
    missing: int = 0


async def said_in(client: Client, run_id: str, archive: Store | None = None) -> Said:
    """Collects the transcript of a run, open or closed.

    Raises:
        RunNotFoundError: neither Temporal nor the archive knows it.
        NoWorkerError: no worker answers for the run.
        ArchiveError: the archive does not answer, or what it has was changed.
        CodecError: it is encrypted with a key that is not here.
    """
    try:
        with in_our_words(client, run_id):
            execution = await described(client, run_id)
    except RunNotFoundError:
        if archive is None or (found := await _archived(archive, run_id)) is None:
            raise
        return found
    if execution.workflow_type != names.AGENT_RUN:
        raise RunNotFoundError(run_id, client.namespace)
    latest = RunRef(run_id, execution.run_id)
    with in_our_words(client, run_id):
        *_, first = [link async for link in links_of(client, latest)]
        start = await start_of(client, first)
    items = await Evidence(client).items(latest, start.items, _ALL)
    kept = [TranscriptItem.model_validate(item) for item in items]
    if start.items == 0 or archive is None:
        return Said(kept, start.items)
    manifests, _ = await archive.manifests(run_id)
    records = await Evidence(client).records(latest, start.head.records, _ALL)
    kept_head = latest_kept(manifests, start.head, records)
    earlier = await _items(archive, parts_before(manifests, kept_head), start.items)
    return Said([*earlier, *kept], start.items - len(earlier))


async def _archived(archive: Store, run_id: str) -> Said | None:
    """Reads the transcript of a run from the archive alone; None where it has nothing of that run."""
    manifests, _ = await archive.manifests(run_id)
    if not manifests:
        return None
    last = max(manifests, key=lambda one: (one.last, one.at, one.head.records))
    items = await _items(archive, parts_before(manifests, last.head), last.items[1])
    return Said(items, last.items[1] - len(items))


async def _items(archive: Store, parts: Sequence[Manifest], until: int) -> list[TranscriptItem]:
    """Reads the items of parts that follow each other, up to a number, as far back as none is missing."""
    by_number: dict[int, TranscriptItem] = {}
    for part in parts:
        for line in await archive.lines(part, "transcript"):
            item = TranscriptItem.model_validate(line)
            by_number[item.n] = item
    found: list[TranscriptItem] = []
    while (item := by_number.get(until - len(found))) is not None:
        found.append(item)
    return found[::-1]
