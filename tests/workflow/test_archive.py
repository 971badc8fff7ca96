"""The evidence of a run is kept outside of the engine: at its end, as it grows, and never at the cost of the run."""

from __future__ import annotations

import asyncio
import base64
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError

from backstay.adapters.archive.judge import judge_archive
from backstay.adapters.archive.keys import PublicKey, audit_keys
from backstay.adapters.archive.place import Folder
from backstay.adapters.archive.store import Sealing, Store
from backstay.app import folders
from backstay.client.trails import archived_trail, trails_of
from backstay.kernel.audit import AuditHead
from backstay.testing import Call, Reply

if TYPE_CHECKING:
    from pathlib import Path

    from tests.workflow.conftest import Handle, Opener, Workshop

KEY = "2026a:" + base64.b64encode(os.urandom(32)).decode()
TRUSTED = [PublicKey(audit_keys(KEY)[0].public, "2026a")]
ECHO = [Reply(calls=[Call("echo", {"text": "hello"})]), Reply("done")]
GATE = [Reply(calls=[Call("gate")]), Reply("done")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def archive_in(folder: Path) -> Store:
    return Store(Folder(folder), Sealing(None, "default"))


async def asked_for(shop: Workshop, handle: Handle) -> list[str]:
    """The activities that write evidence, as the history has them."""
    events = await shop.events(handle)
    named = [event.activity_task_scheduled_event_attributes for event in events]
    return [one.activity_id for one in named if one.activity_type.name == "archive"]


async def test_a_run_that_ends_leaves_its_evidence_in_the_archive(workshop: Opener, folder: Path) -> None:
    async with workshop(ECHO, archive=str(folder), audit_key=KEY) as shop:
        handle = await shop.start()
        result = await shop.result(handle)
        assert await asked_for(shop, handle) == ["archive-1"]
        [own] = await trails_of(shop.runtime.client, handle.id)
        said = await shop.transcript(handle)
    archive = archive_in(folder)
    kept = await archived_trail(archive, handle.id)
    assert kept is not None
    assert (kept.head, kept.records, kept.closed) == (own.head, own.records, True)
    assert AuditHead(result.audit.records, result.audit.head) == kept.head
    [manifest], _ = await archive.manifests(handle.id)
    assert (manifest.agent, manifest.tenant, manifest.last) == ("workshop", "default", True)
    assert await archive.lines(manifest, "transcript") == said
    judged = await judge_archive(archive, TRUSTED)
    assert (judged.parts, judged.faults) == (1, [])


async def test_a_run_without_an_archive_asks_for_none(workshop: Opener) -> None:
    async with workshop(ECHO) as shop:
        handle = await shop.start()
        assert (await shop.result(handle)).status == "completed"
        assert await asked_for(shop, handle) == []


async def test_evidence_is_kept_while_a_run_works(workshop: Opener, folder: Path) -> None:
    script = [*[Reply(calls=[Call("echo", {"text": str(n)})]) for n in range(5)], *GATE]
    async with workshop(script, archive=str(folder), archive_every=5, toml="[budget]\nsteps = 30\n") as shop:
        handle = await shop.at_the_gate()
        archive = archive_in(folder)

        async def some() -> bool:
            return len((await archive.manifests(handle.id))[0]) > 1

        await shop.until(some)
        found, _ = await archive.manifests(handle.id)
        assert not any(one.last for one in found)
        shop.open()
        result = await shop.result(handle)
    found, broken = await archive.manifests(handle.id)
    assert broken == []
    assert [one.start for one in found] == [AuditHead(), *[one.head for one in found][:-1]]
    assert (found[-1].head.records, found[-1].last) == (result.audit.records, True)
    whole = await archived_trail(archive, handle.id)
    assert whole is not None
    assert whole.head == AuditHead(result.audit.records, result.audit.head)
    numbers = [item["n"] for one in found for item in await archive.lines(one, "transcript")]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_a_killed_run_leaves_its_evidence_too(workshop: Opener, folder: Path) -> None:
    async with workshop(GATE, archive=str(folder)) as shop:
        handle = await shop.at_the_gate()
        await handle.execute_update("kill", {"by": "olga", "reason": "enough"})
        result = await shop.result(handle)
    kept = await archived_trail(archive_in(folder), handle.id)
    assert kept is not None
    assert kept.head == AuditHead(result.audit.records, result.audit.head)
    assert {"killed", "closed"} <= {record["event"] for record in kept.records}


async def test_a_run_that_the_engine_cancels_leaves_its_evidence_too(workshop: Opener, folder: Path) -> None:
    async with workshop(GATE, archive=str(folder)) as shop:
        handle = await shop.at_the_gate()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as ended:
            await handle.result()
        assert isinstance(ended.value.cause, CancelledError)
    kept = await archived_trail(archive_in(folder), handle.id)
    assert kept is not None
    assert kept.records[-1]["event"] == "closed"


async def test_a_run_closes_with_its_result_where_the_archive_is_away(
    workshop: Opener, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    options = folders.agent_run.options
    hurried: Any = {**options.ARCHIVE_LAST, "schedule_to_close_timeout": timedelta(seconds=3)}
    monkeypatch.setattr(options, "ARCHIVE_LAST", hurried)
    folder.write_text("a file lies where the folder should be")
    async with workshop(ECHO, archive=str(folder)) as shop:
        handle = await shop.start()

        async def told() -> bool:
            return (await handle.query("status"))["trouble"] == "the archive does not take the run's evidence"

        await shop.until(told)
        result = await shop.result(handle)
        assert (result.status, result.answer) == ("completed", "done")
        assert any("the archive does not take the run's evidence" in line for line in caplog.messages)


async def test_an_archive_that_comes_back_in_time_gets_everything(workshop: Opener, folder: Path) -> None:
    folder.write_text("a file lies where the folder should be")
    async with workshop(ECHO, archive=str(folder)) as shop:
        handle = await shop.start()

        async def told() -> bool:
            return (await handle.query("status"))["trouble"] is not None

        await shop.until(told)
        await handle.signal("kill", {"by": "olga", "reason": "too late: it has ended"})
        folder.unlink()
        result = await shop.result(handle)
        assert result.stop_reason == "completed"
    kept = await archived_trail(archive_in(folder), handle.id)
    assert kept is not None
    assert kept.head == AuditHead(result.audit.records, result.audit.head)


async def test_a_cancel_while_the_archive_is_waited_for_comes_too_late(workshop: Opener, folder: Path) -> None:
    folder.write_text("a file lies where the folder should be")
    async with workshop(ECHO, archive=str(folder)) as shop:
        handle = await shop.start()

        async def told() -> bool:
            return (await handle.query("status"))["trouble"] is not None

        await shop.until(told)
        await handle.cancel()
        await asyncio.sleep(0.3)
        folder.unlink()
        assert (await shop.result(handle)).answer == "done"


async def test_encrypted_runs_are_archived_encrypted(workshop: Opener, folder: Path) -> None:
    keys = "c:" + base64.b64encode(os.urandom(32)).decode()
    async with workshop(ECHO, archive=str(folder), audit_key=KEY, codec_keys=keys) as shop:
        handle = await shop.start(requested_by="rita@example.com")
        await shop.result(handle)
        client = shop.runtime.client
    lying = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    assert not any(word in lying for word in (b"hello", b"echo", b"rita"))
    assert (await judge_archive(archive_in(folder), TRUSTED)).unread == 1
    opened = await archived_trail(Store(Folder(folder), Sealing(client.data_converter.payload_codec, "x")), handle.id)
    assert opened is not None
    assert opened.records[0]["facts"]["requested_by"] == "rita@example.com"
