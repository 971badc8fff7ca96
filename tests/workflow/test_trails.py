"""The audit of a run over all links of its chain, of the runs that it started, and of what governs all runs."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from backstay.adapters.archive.judge import judge
from backstay.adapters.archive.place import Folder
from backstay.adapters.archive.store import Sealing, Store
from backstay.client import trails
from backstay.client.keeping import keep, of_control
from backstay.client.trails import archived_trail, trails_of
from backstay.contracts.archive import ArchiveInput, Segment
from backstay.contracts.history import RunRef
from backstay.contracts.run import plain
from backstay.contracts.status import PageRequest, page
from backstay.errors import ArchiveError, RunNotFoundError
from backstay.kernel.audit import AuditHead
from backstay.kernel.audit_file import Flaw, Trail, read, written
from backstay.testing import Reply
from backstay.testing.runtime import local_runtime

from .conftest import Handle

QUEUE = "stand-ins"
LINKS = 3


@workflow.defn(name="AgentRun", sandboxed=False)
class StandIn:
    """Records as a run does, over several links, and starts another run in each; a real one has one link so far."""

    @workflow.init
    def __init__(self, given: dict[str, Any]) -> None:
        self.head = AuditHead(given.get("records", 0), given.get("head", AuditHead().head))
        self.kept: list[dict[str, Any]] = []

    @workflow.run
    async def run(self, given: dict[str, Any]) -> None:
        """Leaves two records in each link."""
        links = given["links"]
        for number in range(2):
            self.head, record = self.head.chained("2026-01-01T00:00:00.000Z", "paused", {"by": f"ann {number}"})
            self.kept.append(record)
        if given.get("child"):
            one = f"{workflow.info().workflow_id}-child-{links}"
            await workflow.execute_child_workflow("AgentRun", {"links": 1}, id=one)
        if links > 1:
            handed = {"records": self.head.records, "head": self.head.head}
            workflow.continue_as_new({**given, "links": links - 1, **handed})

    @workflow.query
    def audit(self, given: dict[str, Any]) -> dict[str, Any]:
        """Returns the records of this link."""
        return plain(page(self.kept, [100] * len(self.kept), PageRequest.model_validate(given)))

    @workflow.query
    def transcript(self, given: dict[str, Any]) -> dict[str, Any]:
        """Says nothing."""
        return plain(page([], [], PageRequest.model_validate(given)))


@pytest.fixture
async def queue(client: Client) -> AsyncGenerator[str]:
    name = f"{QUEUE}-{uuid.uuid4()}"
    async with Worker(client, task_queue=name, workflows=[StandIn], workflow_runner=UnsandboxedWorkflowRunner()):
        yield name


async def ended(client: Client, queue: str, **given: Any) -> str:
    run_id = f"run-{uuid.uuid4()}"
    handle: WorkflowHandle[Any, Any] = await client.start_workflow("AgentRun", given, id=run_id, task_queue=queue)
    await asyncio.wait_for(handle.result(), 60)
    return run_id


def read_whole(written_down: list[Trail]) -> list[Trail]:
    found = read(b"".join(written(one, None) for one in written_down))
    assert not isinstance(found, Flaw), found
    return [one.trail for one in found]


async def test_the_links_of_a_chain_are_one_trail(client: Client, queue: str) -> None:
    run_id = await ended(client, queue, links=LINKS)
    [trail] = read_whole(await trails_of(client, run_id))
    assert (trail.start, trail.head.records, len(trail.executions)) == (AuditHead(), 2 * LINKS, LINKS)
    assert trail.closed


async def test_the_runs_that_a_run_started_in_any_link_follow_it(client: Client, queue: str) -> None:
    run_id = await ended(client, queue, links=2, child=True)
    found = read_whole(await trails_of(client, run_id))
    assert [one.run_id for one in found] == [run_id, f"{run_id}-child-2", f"{run_id}-child-1"]
    assert [one.after for one in found] == [None, run_id, run_id]


async def archived(archive: Store, whole: Trail, run_id: str) -> None:
    """Keeps each link of a trail under a run's id."""
    for number, execution in enumerate(whole.executions):
        records = whole.records[2 * number : 2 * number + 2]
        start = AuditHead(2 * number, records[0]["prev"])
        head = AuditHead(2 * number + 2, records[1]["hash"])
        given = ArchiveInput(start=start, head=head, items_start=0, items=0, last=number == LINKS - 1)
        at = f"2026-01-01T00:00:0{number}.000Z"
        await archive.keep(Segment(RunRef(run_id, execution), "", "", at, given, records, []))


async def test_links_that_the_engine_forgot_are_read_in_the_archive(
    client: Client, queue: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = await ended(client, queue, links=LINKS)
    [whole] = await trails_of(client, run_id)
    archive = Store(Folder(tmp_path), Sealing(None, "default"))
    await archived(archive, whole, run_id)
    known = trails.links_of

    async def forgetful(client: Client, latest: RunRef) -> AsyncGenerator[RunRef]:
        async for link in known(client, latest):
            if link.run_id != whole.executions[0]:
                yield link

    monkeypatch.setattr(trails, "links_of", forgetful)
    [late] = read_whole(await trails_of(client, run_id))
    assert (late.start.records, late.head) == (2, whole.head)
    [mended] = read_whole(await trails_of(client, run_id, archive))
    assert (mended.records, mended.executions) == (list(whole.records), whole.executions)


async def test_a_run_that_the_engine_forgot_is_read_in_the_archive(client: Client, queue: str, tmp_path: Path) -> None:
    [whole] = await trails_of(client, await ended(client, queue, links=LINKS))
    forgotten, archive = f"forgotten-{uuid.uuid4()}", Store(Folder(tmp_path), Sealing(None, "default"))
    with pytest.raises(RunNotFoundError):
        await trails_of(client, forgotten, archive)
    await archived(archive, whole, forgotten)
    [kept] = read_whole(await trails_of(client, forgotten, archive))
    assert (kept.records, kept.head, kept.closed) == (list(whole.records), whole.head, True)
    for manifest in (await archive.manifests(forgotten))[0][:1]:
        await archive.delete(manifest)
    with pytest.raises(ArchiveError, match="lacks the beginning"):
        await trails_of(client, forgotten, archive)


async def test_what_governs_all_runs_has_a_trail_of_its_own(client: Client, plane: Handle, tmp_path: Path) -> None:
    async with local_runtime(None, client=client):
        order = {"scope": "tenant:acme", "by": "olga", "reason": "a leak", "incident_id": "leak"}
        async with asyncio.timeout(30):
            while True:
                try:
                    await plane.query("in_force")
                    break
                except Exception:
                    await asyncio.sleep(0.1)
        await plane.execute_update("stop", order)
        first = read_whole(await trails_of(client, plane.id))
        records = [record for one in first for record in one.records]
        [stop] = [one for one in records if one["event"] == "stop"]
        assert (stop["facts"]["given"]["by"], stop["facts"]["given"]["reason"]) == ("olga", "a leak")
        [answer] = [one for one in records if one["event"] == "stop_answered"]
        assert answer["facts"]["update_id"] == stop["facts"]["update_id"]
        again = await trails_of(client, plane.id)
        assert [one.records[: len(before.records)] for one, before in zip(again, first, strict=False)] == [
            before.records for before in first
        ]
        await plane.signal("admitted", {"by": "mallory"})  # whoever sends a signal names it
        archive = Store(Folder(tmp_path), Sealing(None, "default"))
        assert await keep(client, archive, plane.id)
        again = await trails_of(client, plane.id)
        assert "admitted" in [record["event"] for one in again for record in one.records]
        for section in read_sections(again):
            judged = await judge(section, 1, archive, [])
            assert not isinstance(judged, Flaw), judged


def read_sections(written_down: list[Trail]) -> Any:
    found = read(b"".join(written(one, None) for one in written_down))
    assert not isinstance(found, Flaw)
    return found


async def test_what_governs_all_runs_is_no_run_where_the_engine_forgot_it(tmp_path: Path) -> None:
    archive = Store(Folder(tmp_path), Sealing(None, "default"))
    head, record = AuditHead().chained("2026-01-01T00:00:00.000Z", "started", {"given": None, "continued": False})
    given = ArchiveInput(start=AuditHead(), head=head, items_start=0, items=0, last=True)
    await archive.keep(Segment(RunRef("backstay-control", "e-1"), "", "", record["at"], given, [record], []))
    trail = await archived_trail(archive, "backstay-control")
    assert trail is not None
    assert trail.kind != "AgentRun"


async def test_what_governs_all_runs_is_listed(client: Client, plane: Handle) -> None:
    async with local_runtime(None, client=client), asyncio.timeout(30):
        while plane.id not in await of_control(client):
            await asyncio.sleep(0.2)


async def test_a_run_that_the_archive_missed_is_kept_later(client: Client, tmp_path: Path) -> None:
    archive = Store(Folder(tmp_path), Sealing(None, "default"))
    async with local_runtime([Reply("hello")], client=client) as runtime:
        handle = await runtime.start({"goal": "hello"})
        result = await handle.result()
        [kept] = await keep(client, archive, handle.id)
    trail = await archived_trail(archive, handle.id)
    assert trail is not None
    assert trail.head.head == result["audit"]["head"]
    [manifest], _ = await archive.manifests(handle.id)
    assert (manifest.name, manifest.agent, manifest.last) == (kept.name, "default", True)
    assert [item["kind"] for item in await archive.lines(manifest, "transcript")] == ["goal", "decision"]


async def test_a_workflow_that_is_none_of_ours_has_no_trail(client: Client) -> None:
    other = f"foreign-{uuid.uuid4()}"
    handle = await client.start_workflow("Foreign", id=other, task_queue="nobody")
    with pytest.raises(RunNotFoundError):
        await trails_of(client, other)
    await handle.terminate()
