"""The record of a run: its state, its audit trail and its transcript."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from backstay.contracts.approval import PendingApproval
from backstay.contracts.run import plain
from backstay.contracts.status import Page, PageRequest, TranscriptItem, page
from backstay.kernel.audit import AuditHead, canonical
from backstay.kernel.events import Event
from backstay.kernel.run_state import RunState
from backstay.kernel.stop import Stop
from backstay.kernel.stopping import next_stop


class Record:
    """The memory of a run, from its first task to its end; every change of state leaves an audit record."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.state = RunState()
        self.audit = AuditHead()
        self.asked: dict[str, dict[str, Any]] = {}
        """The arguments that each approval is about, by its id."""
        self.closed = False
        self._now = now
        self._last_stop: Stop | None = None
        self._records = _Pages()
        self._items = _Pages()
        self._heeding: list[Callable[[], None]] = []

    @property
    def stop(self) -> Stop | None:
        """The reason why the run ends, once there is one."""
        return self._last_stop or next_stop(self.state)

    @property
    def over(self) -> bool:
        """True where the run is about to end, so that nobody should be waited for."""
        return self.stop is not None or self.state.cancelled

    def heed(self, heeding: Callable[[], None]) -> None:
        """Calls a function after each event, in the order in which they asked for it."""
        self._heeding.append(heeding)

    def apply(self, event: Event) -> None:
        """Lets an event happen: the state moves on, the audit gains a record, and whoever heeds it is called."""
        self.state = self.state.after(event)
        stamp = self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.audit, record = self.audit.chained(stamp, event.name(), event.facts())
        self._records.add(record)
        for heeding in self._heeding:
            heeding()

    def say(self, item: TranscriptItem) -> None:
        """Adds an item to the transcript; its number and its step are set here."""
        self._items.add(plain(item.model_copy(update={"n": len(self._items) + 1, "step": self.state.step})))

    def close(self, stop: Stop | None) -> None:
        """Marks the run as closed; nothing that happens after it changes why."""
        self._last_stop, self.closed = stop, True

    def pending(self) -> list[PendingApproval]:
        """Returns the open approvals, with the arguments they are about."""
        return [
            PendingApproval.of(approval, self.asked.get(approval.approval_id, {}))
            for approval in self.state.open_approvals
        ]

    def records(self, request: PageRequest) -> Page:
        """Returns a part of the audit."""
        return self._records.page(request)

    def items(self, request: PageRequest) -> Page:
        """Returns a part of the transcript."""
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
