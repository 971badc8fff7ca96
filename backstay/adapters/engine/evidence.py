"""Reads what runs have recorded, by the queries that any worker of their task queue answers from the history."""

import contextlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio.client import Client

from backstay.contracts import names
from backstay.contracts.history import RunRef
from backstay.contracts.run import plain
from backstay.contracts.status import Page, PageRequest

from .errors import in_our_words
from .links import pages

_PATIENCE = timedelta(seconds=10)


class Evidence:
    """A reader of records and transcripts, page by page."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def records(self, run: RunRef, after: int, until: int) -> Sequence[dict[str, Any]]:
        """Reads audit records, after one and up to another."""
        return await self._read(run, names.AUDIT, after, until)

    async def items(self, run: RunRef, after: int, until: int) -> Sequence[dict[str, Any]]:
        """Reads items of the transcript, after one and up to another."""
        return await self._read(run, names.TRANSCRIPT, after, until)

    async def own_records(self, link: RunRef) -> Sequence[dict[str, Any]]:
        """Reads the audit records of one link of a chain, and of none before it."""
        page = await self._page(link, names.AUDIT, 0)
        found = list(page.items)
        while page.next is not None:
            page = await self._page(link, names.AUDIT, page.next)
            found += page.items
        return found

    async def _read(self, run: RunRef, name: str, after: int, until: int) -> list[dict[str, Any]]:
        async def ask(link: RunRef, at: int) -> Page:
            return await self._page(link, name, at)

        found: list[dict[str, Any]] = []
        if after >= until:
            return found
        async with contextlib.aclosing(pages(self._client, run, ask, after)) as read:
            async for page in read:
                found += page.items
                if page.first + len(page.items) > until:
                    break
        return found[: until - after]

    async def _page(self, link: RunRef, name: str, after: int) -> Page:
        handle: Any = self._client.get_workflow_handle(link.workflow_id, run_id=link.run_id)
        with in_our_words(self._client, link.workflow_id):
            answer = await handle.query(name, plain(PageRequest(after=after)), rpc_timeout=_PATIENCE)
        return Page.model_validate(answer)
