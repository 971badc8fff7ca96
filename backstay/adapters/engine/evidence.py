"""Reads what runs have recorded, by the queries that any worker of their task queue answers from the history."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio.client import Client

from backstay.contracts import names
from backstay.contracts.history import RunRef
from backstay.contracts.run import plain
from backstay.contracts.status import Page, PageRequest

from .errors import in_our_words

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

    async def _read(self, run: RunRef, name: str, after: int, until: int) -> list[dict[str, Any]]:
        handle: Any = self._client.get_workflow_handle(run.workflow_id, run_id=run.run_id)
        found: list[dict[str, Any]] = []
        at: int | None = after
        while at is not None and at < until:
            with in_our_words(self._client, run.workflow_id):
                answer = await handle.query(name, plain(PageRequest(after=at)), rpc_timeout=_PATIENCE)
            page = Page.model_validate(answer)
            found += page.items
            at = page.next
        return found[: until - after]
