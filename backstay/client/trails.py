"""Collects the audit of a run: from the links of its chain that Temporal still has, and from the archive."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from backstay.adapters.archive.manifest import Manifest
from backstay.adapters.archive.store import Store
from backstay.adapters.engine.errors import in_our_words
from backstay.adapters.engine.evidence import Evidence
from backstay.adapters.engine.executions import described
from backstay.client.deeds_of_control import KEPT, STARTED, link_trail
from backstay.client.link_start import start_of
from backstay.contracts import names
from backstay.contracts.history import RunRef
from backstay.errors import ArchiveError, RunNotFoundError
from backstay.kernel.audit import AuditHead, Broken, verify
from backstay.kernel.audit_file import Trail

_PAGE = 200
_GONE = (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT)


async def trails_of(client: Client, workflow_id: str, archive: Store | None = None) -> list[Trail]:
    """Collects the trail of a run and those of the runs that it started, or of each link of what governs all runs.

    Raises:
        RunNotFoundError: neither Temporal nor the archive knows it.
        NoWorkerError: no worker answers for the run.
        ArchiveError: the archive does not answer, or what it has is no whole chain.
    """
    try:
        with in_our_words(client, workflow_id):
            execution = await described(client, workflow_id)
    except RunNotFoundError:
        if archive is None or (found := await archived_trail(archive, workflow_id)) is None:
            raise
        return [found]
    with in_our_words(client, workflow_id):
        links = [ref async for ref in links_of(client, RunRef(workflow_id, execution.run_id))][::-1]
        if execution.workflow_type in KEPT:
            return await _links_trails(client, execution.workflow_type, links, open=execution.open)
        if execution.workflow_type != names.AGENT_RUN:
            raise RunNotFoundError(workflow_id, client.namespace)
        return await _run_trails(client, links, archive, closed=not execution.open)


async def archived_trail(archive: Store, run_id: str) -> Trail | None:
    """Reads the trail of a run from the archive alone; None where it has nothing of that run.

    Raises:
        ArchiveError: what it has is no whole chain.
        CodecError: it is encrypted with a key that is not here.
    """
    manifests, _ = await archive.manifests(run_id)
    if not manifests:
        return None
    last = max(manifests, key=lambda one: (one.last, one.at, one.head.records))
    start, records, used = await _before(archive, manifests, last.head)
    if start != AuditHead():
        raise ArchiveError(f"the archive lacks the beginning of the run `{run_id}`, before record {start.records + 1}")
    # What governs all runs is told by its history, which begins with its start.
    kind = "" if records and records[0]["event"] == STARTED else names.AGENT_RUN
    return Trail(run_id, kind, last.head, records, executions=used, closed=last.last)


def latest_kept(manifests: Sequence[Manifest], start: AuditHead, records: Sequence[Mapping[str, Any]]) -> AuditHead:
    """Returns the first head that a part of the archive leads to, from where known records begin; else that beginning.

    Args:
        manifests: those of the run.
        start: the head before the known records.
        records: the known records, in their order.
    """
    kept = {one.head for one in manifests if one.start != one.head}
    heads = (start, *(AuditHead(one["seq"], one["hash"]) for one in records))
    return next((head for head in heads if head in kept), start)


def parts_before(manifests: Sequence[Manifest], head: AuditHead) -> list[Manifest]:
    """Returns the parts that lead to a head, in their order, as far back as they follow each other."""
    ending = {one.head: one for one in manifests if one.start != one.head}
    found: list[Manifest] = []
    while (part := ending.get(head)) is not None:
        found.append(part)
        head = part.start
    return found[::-1]


async def _before(
    archive: Store, manifests: Sequence[Manifest], head: AuditHead
) -> tuple[AuditHead, list[dict[str, Any]], tuple[str, ...]]:
    """Reads the records that lead to a head as far back as parts follow each other; returns where they begin too."""
    records: list[dict[str, Any]] = []
    parts = parts_before(manifests, head)
    for part in parts:
        found = [dict(one) for one in await archive.lines(part, "records")]
        if verify(found, part.start) != part.head:
            raise ArchiveError(f"the records of `{part.name}` do not lead to its head")
        records += found
    return parts[0].start if parts else head, records, tuple(dict.fromkeys(part.execution for part in parts))


async def _run_trails(client: Client, links: Sequence[RunRef], archive: Store | None, *, closed: bool) -> list[Trail]:
    run_id, evidence = links[0].workflow_id, Evidence(client)
    by_seq: dict[int, dict[str, Any]] = {}
    for link in links:
        by_seq |= {record["seq"]: record for record in await evidence.own_records(link)}
    records = [by_seq[seq] for seq in sorted(by_seq)]
    # The latest link may have recorded nothing so far: then its start says what came before.
    known = AuditHead(records[0]["seq"] - 1, records[0]["prev"]) if records else None
    start = known or (await start_of(client, links[0])).head
    executions = tuple(link.run_id for link in links)
    if start != AuditHead() and archive is not None:
        manifests, _ = await archive.manifests(run_id)
        first, earlier, used = await _before(archive, manifests, latest_kept(manifests, start, records))
        # A part may reach into the links that are still there.
        before = [one for one in earlier if one["seq"] <= start.records]
        if len(before) == start.records - first.records:
            start, records = first, before + records
            executions = (*(one for one in used if one not in executions), *executions)
    head = verify(records, start)
    if isinstance(head, Broken):
        raise ArchiveError(f"the records of the run `{run_id}` are no chain: record {head.seq}, {head.problem}")
    children = [child for link in links for child in await _children(client, link)]
    own = Trail(run_id, names.AGENT_RUN, head, records, start, executions, tuple(children), closed=closed)
    found = [own]
    for child in children:
        first, *rest = await trails_of(client, child, archive)
        found += [_after(first, run_id), *rest]
    return found


def _after(trail: Trail, before: str) -> Trail:
    return Trail(
        trail.run_id,
        trail.kind,
        trail.head,
        trail.records,
        trail.start,
        trail.executions,
        trail.then,
        before,
        trail.closed,
    )


async def _links_trails(client: Client, kind: str, links: Sequence[RunRef], *, open: bool) -> list[Trail]:
    """Returns a trail for each link: what a link recorded stays the same when older links are forgotten."""
    found: list[Trail] = []
    for number, link in enumerate(links):
        last = number == len(links) - 1
        events = [event async for event in _events(client, link)]
        trail = await link_trail(client, kind, link, events, last=last, closed=not (last and open))
        found.append(_after(trail, link.workflow_id) if number else trail)
    return found


async def links_of(client: Client, latest: RunRef) -> AsyncGenerator[RunRef]:
    """Yields the links of a chain that Temporal still has, the latest first."""
    link: RunRef | None = latest
    while link is not None:
        try:
            first = await anext(_events(client, link, page=1))
        except RPCError as error:
            if error.status in _GONE and link != latest:
                return
            raise
        yield link
        before = first.workflow_execution_started_event_attributes.continued_execution_run_id
        link = RunRef(latest.workflow_id, before) if before else None


async def _children(client: Client, link: RunRef) -> list[str]:
    found: list[str] = []
    async for event in _events(client, link):
        if event.event_type == EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED:
            started = event.child_workflow_execution_started_event_attributes
            if started.workflow_type.name == names.AGENT_RUN:
                found.append(started.workflow_execution.workflow_id)
    return found


async def _events(client: Client, link: RunRef, page: int = _PAGE) -> AsyncGenerator[HistoryEvent]:
    execution = WorkflowExecution(workflow_id=link.workflow_id, run_id=link.run_id)
    asked = GetWorkflowExecutionHistoryRequest(namespace=client.namespace, execution=execution, maximum_page_size=page)
    while True:
        answer = await client.workflow_service.get_workflow_execution_history(asked, retry=True)
        for event in answer.history.events:
            yield event
        asked.next_page_token = answer.next_page_token
        if not answer.next_page_token:
            return
