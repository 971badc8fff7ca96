"""What a run knows of itself: its state, its audit trail and its transcript."""

from datetime import datetime
from typing import Any

from backstay.contracts.run import plain
from backstay.contracts.status import Page, PageRequest, TranscriptItem, page
from backstay.kernel.audit import AuditHead, canonical
from backstay.kernel.events import Event
from backstay.kernel.run_state import RunState


class Ledger:
    """The run's memory in the workflow; every change of state leaves a record in the audit chain."""

    def __init__(self) -> None:
        self.state = RunState()
        self.audit = AuditHead()
        self._records = _Pages()
        self._items = _Pages()

    def apply(self, event: Event, at: datetime) -> None:
        """Lets an event happen: the state moves on, and the audit gains its record."""
        self.state = self.state.after(event)
        stamp = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.audit, record = self.audit.chained(stamp, event.name(), event.facts())
        self._records.add(record)

    def say(self, item: TranscriptItem) -> None:
        """Adds an item to the transcript; its number is set here."""
        text = plain(item.model_copy(update={"n": len(self._items) + 1}))
        self._items.add(text)

    def records(self, request: PageRequest) -> Page:
        """A part of the audit."""
        return self._records.page(request)

    def items(self, request: PageRequest) -> Page:
        """A part of the transcript."""
        return self._items.page(request)


class _Pages:
    def __init__(self) -> None:
        self._entries: list[dict[str, Any]] = []
        self._sizes: list[int] = []

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: dict[str, Any]) -> None:
        self._entries.append(entry)

    def page(self, request: PageRequest) -> Page:
        # Measured when a page is asked for: of most runs none ever is.
        self._sizes += [len(canonical(entry).encode("utf-8", "replace")) for entry in self._entries[len(self._sizes) :]]
        return page(self._entries, self._sizes, request)
