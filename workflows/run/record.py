"""The record of a run: its state, its audit trail and its transcript."""

from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from backstay.contracts.approval import LATEST, Approved, AskingRun, PendingApproval
from backstay.contracts.budget import LimitsInForce
from backstay.contracts.card import call_of
from backstay.contracts.carry import Carried
from backstay.contracts.deeds import LATEST as LATEST_DEEDS
from backstay.contracts.deeds import Deed, RefusedMessage, deed_of, refused_in
from backstay.contracts.delegate import parent_of
from backstay.contracts.run import RunRequest, plain
from backstay.contracts.status import Page, PageRequest, TranscriptItem, page
from backstay.contracts.trouble import ModelTrouble
from backstay.kernel.approval import Approval, ApprovalEnd
from backstay.kernel.arguments import Unreadable
from backstay.kernel.audit import AuditHead, canonical
from backstay.kernel.budget import Limits
from backstay.kernel.child_events import ChildRun
from backstay.kernel.events import Event
from backstay.kernel.excerpt import SHOWN
from backstay.kernel.money import format_usd
from backstay.kernel.run_state import RunState
from backstay.kernel.stop import Stop
from backstay.kernel.stopping import interrupts, next_stop

from .quiet import Quiet


class Follower(Protocol):
    """Somebody who is shown what happens in a run, and changes nothing."""

    def happened(self, event: Event) -> None:
        """Sees an event, once it has happened."""

    def said(self, item: TranscriptItem) -> None:
        """Sees an item of the transcript."""


class Record:
    """The memory of a run, from its first task to its end; every change of state leaves an audit record."""

    def __init__(self, now: Callable[[], datetime], run_id: str = "", request: RunRequest | None = None) -> None:
        self.state = RunState()
        self.audit = AuditHead()
        self.asked: dict[str, dict[str, Any]] = {}
        """The arguments that each approval is about, by its id."""
        self.closed = False
        self.troubles: list[str] = []
        """The reasons why something under way has to wait, the first of them shown as the run's trouble."""
        self.model_trouble: ModelTrouble | None = None
        """The last attempt at a decision that the model failed, as a worker told it."""
        self.people: deque[Deed] = deque(maxlen=LATEST_DEEDS)
        """The deeds of people, the latest last."""
        self.refused: deque[RefusedMessage] = deque(maxlen=LATEST_DEEDS)
        """The messages that were refused, the latest last."""
        self.quiet = Quiet()
        self._now = now
        self._run_id = run_id
        self._request = request
        self._limits: tuple[Limits, LimitsInForce] | None = None
        self._last_stop: Stop | None = None
        self._strongest: tuple[RunState, Stop | None] | None = None
        self._waiting: tuple[Mapping[str, Approval], list[Approval]] | None = None
        self._child_waits: tuple[Mapping[str, ChildRun], bool] | None = None
        self._records = _Pages()
        self._items = _Pages()
        self._heeding: list[Callable[[], None]] = []
        self._following: list[Follower] = []

    def carry_on(self, carried: Carried) -> None:
        """Goes on where the link before has left off; its pages stay with it."""
        self.state, self.audit = carried.state, carried.audit
        calls = carried.approvals.calls
        self.asked = {one: {} if isinstance(call.parsed, Unreadable) else call.parsed for one, call in calls.items()}
        self.people.extend(carried.people)
        self.refused.extend(carried.refused)
        self._records, self._items = _Pages(carried.audit.records), _Pages(carried.items)

    @property
    def parent(self) -> str | None:
        """The run that this one is a child of; None where it is none."""
        parent = parent_of(self._request) if self._request else None
        return parent.run_id if parent else None

    @property
    def stop(self) -> Stop | None:
        """The reason why the run ends, once there is one."""
        return self._last_stop or self.strongest

    @property
    def strongest(self) -> Stop | None:
        """The strongest reason to stop that holds now, whatever has ended the run."""
        # Found once for each state: it is asked for many times in each task of the workflow.
        if self._strongest is None or self._strongest[0] is not self.state:
            self._strongest = (self.state, next_stop(self.state))
        return self._strongest[1]

    @property
    def interrupted(self) -> bool:
        """True where running activities must be cancelled, and nothing new is begun."""
        return interrupts(self.state, self.strongest)

    @property
    def waiting(self) -> list[Approval]:
        """The approvals that wait for people, the oldest first."""
        # Found once for each change of approvals: a long run has many, and nearly all have ended.
        if self._waiting is None or self._waiting[0] is not self.state.approvals:
            self._waiting = (self.state.approvals, self.state.open_approvals)
        return self._waiting[1]

    @property
    def waits_for_people(self) -> bool:
        """True where the run, or a child run, waits for people."""
        if self.waiting:
            return True
        if self._child_waits is None or self._child_waits[0] is not self.state.children:
            self._child_waits = (self.state.children, self.state.child_waits)
        return self._child_waits[1]

    @property
    def over(self) -> bool:
        """True where the run is about to end, so that nobody should be waited for."""
        return self.stop is not None or self.state.cancelled

    def heed(self, heeding: Callable[[], None]) -> None:
        """Calls a function after each event, in the order in which they asked for it."""
        self._heeding.append(heeding)

    def follow(self, follower: Follower) -> None:
        """Shows somebody each event, and each item of the transcript."""
        self._following.append(follower)

    def apply(self, event: Event) -> None:
        """Lets an event happen: the state moves on, the audit gains a record, and whoever heeds it is called."""
        self.state = self.state.after(event)
        stamp = self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.audit, record = self.audit.chained(stamp, event.name(), event.facts())
        self._records.add(record)
        if deed := deed_of(stamp, event, self.state):
            self.people.append(deed)
        if refused := refused_in(stamp, event):
            self.refused.append(refused)
        for follower in self._following:
            follower.happened(event)
        self.quiet.changed()
        self._tell()

    @property
    def trouble(self) -> str | None:
        """The reason why the run cannot go on now; None where nothing keeps it."""
        if self.troubles:
            return self.troubles[0]
        told, asked = self.model_trouble, self.state.decision
        return told.words if told and asked and told.step == asked.step else None

    def fails(self, trouble: ModelTrouble) -> None:
        """Shows that the model does not answer, until the decision is made."""
        self.model_trouble = trouble
        self._tell()

    def waits_for(self, trouble: str) -> None:
        """Shows what something under way waits for, until `waits_no_more`."""
        self.troubles.append(trouble)
        self._tell()

    def waits_no_more(self, trouble: str) -> None:
        """Takes back one `waits_for` of the same words."""
        self.troubles.remove(trouble)
        self._tell()

    @property
    def said(self) -> int:
        """The number of items in the transcript."""
        return len(self._items)

    def say(self, item: TranscriptItem) -> None:
        """Adds an item to the transcript; its number and its step are set here."""
        self._items.add(plain(item.model_copy(update={"n": len(self._items) + 1, "step": self.state.step})))
        for follower in self._following:
            follower.said(item)

    def close(self, stop: Stop | None) -> None:
        """Marks the run as closed; nothing that happens after it changes why."""
        self._last_stop, self.closed = stop, True

    def limits(self) -> LimitsInForce:
        """Returns the limits in force as people see them; they change seldom, and are asked for often."""
        limits = self.state.budget.limits
        if self._limits is None or self._limits[0] is not limits:
            self._limits = (limits, LimitsInForce.of(limits))
        return self._limits[1]

    def pending(self) -> list[PendingApproval]:
        """Returns the open approvals as people see them."""
        if not self.waiting:
            return []
        run = self._asking()
        return [self._shown(approval, run) for approval in self.waiting]

    def shown(self, approval: Approval) -> PendingApproval:
        """Returns an approval as people see it: with the arguments it is about, and the run that asks."""
        return self._shown(approval, self._asking())

    def _shown(self, approval: Approval, run: AskingRun) -> PendingApproval:
        return PendingApproval.of(approval, self.asked.get(approval.approval_id, {}), run)

    def _asking(self) -> AskingRun:
        before = [one for one in self.state.approvals.values() if one.end is ApprovalEnd.APPROVED]
        request = self._request
        return AskingRun(
            run_id=self._run_id,
            agent=request.agent if request else "",
            tenant=request.tenant if request else "",
            requested_by=request.requested_by if request else None,
            taint=sorted(self.state.taint),
            spent_usd=format_usd(self.state.budget.spent.usd),
            approved=len(before),
            approved_before=[self._approved(one) for one in before[-LATEST:]],
            parent=self.parent,
        )

    def _approved(self, approval: Approval) -> Approved:
        call = call_of(PendingApproval.of(approval, self.asked.get(approval.approval_id, {})), SHOWN)
        return Approved(approval_id=approval.approval_id, call=call, answered_by=list(approval.answered_by))

    def _tell(self) -> None:
        for heeding in self._heeding:
            heeding()

    def records(self, request: PageRequest) -> Page:
        """Returns a part of the audit."""
        return self._records.page(request)

    def items(self, request: PageRequest) -> Page:
        """Returns a part of the transcript."""
        return self._items.page(request)


class _Pages:
    def __init__(self, before: int = 0) -> None:
        self._before = before
        self._entries: list[dict[str, Any]] = []
        self._sizes: list[int] = []

    def __len__(self) -> int:
        return self._before + len(self._entries)

    def add(self, entry: dict[str, Any]) -> None:
        self._entries.append(entry)

    def page(self, request: PageRequest) -> Page:
        # Measured when a page is asked for: of most runs none ever is.
        self._sizes += [len(canonical(entry).encode("utf-8", "replace")) for entry in self._entries[len(self._sizes) :]]
        return page(self._entries, self._sizes, request, self._before)
