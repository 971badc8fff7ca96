"""What the links of a run have said, once Temporal has forgotten them: the archive has it."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from backstay.adapters.archive.place import Folder
from backstay.adapters.archive.store import Sealing, Store
from backstay.client import said, trails
from backstay.client.link_start import start_of
from backstay.client.said import said_in
from backstay.client.trails import trails_of
from backstay.contracts.history import RunRef
from backstay.errors import RunNotFoundError
from backstay.kernel.audit import AuditHead, verify
from backstay.testing import Call, Reply

from .test_chain import LONG, forget, links_of, script, told
from .test_chain_waiting import PEOPLE, crowded, pending

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from temporalio.client import Client

    from backstay.adapters.engine.executions import Execution
    from tests.workflow.conftest import Opener, Workshop


async def forgotten(shop: Workshop, run_id: str, links: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets Temporal forget links: really in the long runs of tests, because that takes it long, else for readers."""
    if os.environ.get("BACKSTAY_SOAK"):
        await asyncio.gather(*(forget(shop, run_id, link) for link in links))
        return
    known, describe = trails.links_of, said.described

    async def kept(client: Client, latest: RunRef) -> AsyncGenerator[RunRef]:
        async for link in known(client, latest):
            if link.run_id not in links:
                yield link

    async def described(client: Client, workflow_id: str) -> Execution:
        found = await describe(client, workflow_id)
        if found.run_id in links:
            raise RunNotFoundError(workflow_id, client.namespace)
        return found

    monkeypatch.setattr(trails, "links_of", kept)
    monkeypatch.setattr(said, "links_of", kept)
    monkeypatch.setattr(said, "described", described)


@pytest.mark.soak
async def test_what_temporal_has_forgotten_is_read_in_the_archive(
    workshop: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "archive"
    ask = [*script(12)[:-1], Reply("asks", calls=[Call("mark", {"text": "b"})]), Reply("done")]
    async with workshop(ask, LONG + PEOPLE, link_events=60, archive=str(place)) as shop:
        handle = await shop.start()
        await pending(shop, handle)
        await crowded(shop, handle)
        client = shop.runtime.client
        items, records = await told(shop, handle)
        links = await links_of(shop, handle)
        await forgotten(shop, handle.id, links[:-1], monkeypatch)
        start = await start_of(client, RunRef(handle.id, links[-1]))
        assert start.number == len(links) > 3
        # The link that goes on has said nothing so far, and nobody has answered in it.
        lost = await said_in(client, handle.id)
        assert ([item.n for item in lost.items], lost.missing) == ([], len(items))
        [bare] = await trails_of(client, handle.id)
        assert bare.start.records > 0
        archive = Store(Folder(place), Sealing(None, "default"))
        found = await said_in(client, handle.id, archive)
        assert ([item.model_dump() for item in found.items], found.missing) == (items, 0)
        [whole] = await trails_of(client, handle.id, archive)
        assert [*whole.records][: len(records)] == records
        assert verify(whole.records, AuditHead()) == whole.head
        status = await client.get_workflow_handle(handle.id).query("status")
        assert status["link"] == len(links)
        [asked] = status["pending_approvals"]
        latest = client.get_workflow_handle(handle.id)
        await latest.execute_update("approve", {"approval_id": asked["approval_id"], "by": "olga"})
        assert (await shop.result(latest)).answer == "done"
        found = await said_in(client, handle.id, archive)
        assert ([item.n for item in found.items], found.missing) == (list(range(1, len(found.items) + 1)), 0)
        assert found.items[-1].text == "done"


@pytest.mark.soak
async def test_a_run_that_temporal_has_forgotten_is_read_in_the_archive_alone(
    workshop: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "archive"
    async with workshop(script(8), LONG, link_events=40, archive=str(place)) as shop:
        handle = await shop.start()
        await shop.result(handle)
        items, _ = await told(shop, handle)
        await forgotten(shop, handle.id, await links_of(shop, handle), monkeypatch)
        archive = Store(Folder(place), Sealing(None, "default"))
        found = await said_in(shop.runtime.client, handle.id, archive)
        assert ([item.model_dump() for item in found.items], found.missing) == (items, 0)
        for manifest in (await archive.manifests(handle.id))[0][:1]:
            await archive.delete(manifest)
        cut = await said_in(shop.runtime.client, handle.id, archive)
        assert cut.missing > 0
        assert cut.items[0].n == cut.missing + 1
