"""Hears what the runs above and below say: orders of the parent, and the standing of children."""

import asyncio
import contextlib
from typing import Any

from temporalio import workflow
from temporalio.exceptions import FailureError

from backstay.contracts import names
from backstay.contracts.delegate import ChildStanding, ParentOrder, ParentRun
from backstay.contracts.messages import MessageState
from backstay.contracts.problems import Contract
from backstay.contracts.run import plain
from backstay.kernel.event import Event
from backstay.kernel.events import Paused, Resumed
from backstay.kernel.incident_events import Frozen, IncidentStopped, Thawed

from .changes import knows
from .clock import Clock
from .delegate import Children
from .messages import Messages
from .record import Record

PEOPLE_LAST = "a parent takes back no pause of a person"


class Family:
    """The messages between a run, its parent and its children; a run without either refuses them all."""

    def __init__(self, record: Record, clock: Clock, messages: Messages, parent: ParentRun | None) -> None:
        self.children: Children | None = None
        self._record = record
        self._clock = clock
        self._messages = messages
        self._parent = parent
        self.paused_by_parent = False
        """True while the run above holds this one."""
        self._waits = False
        """The last that the parent was told."""
        self._telling: asyncio.Task[None] | None = None
        if parent is not None:
            record.heed(self._heed)

    async def ordered(self, args: tuple[Any, ...]) -> MessageState:
        """Does what the parent wants; it takes back nothing that somebody else has wanted."""
        if self._parent is None:
            await self._messages.unknown(names.PARENT)
        order = self._messages.read(names.PARENT, ParentOrder, args)
        if (change := self._change(order)) is not None:
            self._record.apply(change)
        return self._messages.state()

    async def told(self, args: tuple[Any, ...]) -> Contract:
        """Takes down where a child stands."""
        if self.children is None:
            await self._messages.unknown(names.CHILD)
        standing = self._messages.read(names.CHILD, ChildStanding, args)
        if self.children is not None:
            self.children.waits(standing)
        return self._messages.state()

    def carry_on(self, paused_by_parent: bool) -> None:
        """Goes on where the link before has left off: the run above knows where this one stands."""
        self.paused_by_parent, self._waits = paused_by_parent, self._record.waits_for_people

    @property
    def quiet(self) -> bool:
        """True where the run above is not being told anything."""
        return self._telling is None or self._telling.done()

    async def told_above(self) -> None:
        """Waits until the run above knows where this one stands."""
        if self._telling is not None:
            await self._telling

    def people_decide(self) -> None:
        """Takes down that a person has paused or resumed the run: the parent takes that back no more."""
        if self.paused_by_parent and knows(PEOPLE_LAST):
            self.paused_by_parent = False

    def _change(self, order: ParentOrder) -> Event | None:
        frozen, by = self._record.state.frozen, self._above()
        match order.do:
            case "stop":
                return IncidentStopped(order.incident, order.by, order.reason)
            case "freeze":
                return None if order.incident in frozen else Frozen(order.incident, by, order.reason)
            case "thaw":
                last = frozen == (order.incident,)
                held = self._clock.frozen_ms() if last else 0
                return Thawed(order.incident, by, held) if order.incident in frozen else None
            case "pause":
                if self._record.state.paused:
                    return None
                self.paused_by_parent = True
                return Paused(by, order.reason or None)
            case "resume":
                if not self.paused_by_parent:
                    return None
                self.paused_by_parent = False
                return Resumed(by, order.reason or None)

    def _above(self) -> str:
        """Returns who holds the run, whatever name the message claims: anybody could send it."""
        return f"run {self._parent.run_id if self._parent else ''}"[:500]

    def _heed(self) -> None:
        """Tells the parent soon, where the run begins to wait for people, or has ceased to."""
        waits = self._record.waits_for_people and not self._record.closed
        if waits != self._waits and (self._telling is None or self._telling.done()):
            self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        parent = self._parent
        while parent is not None and self._waits != (waits := self._record.waits_for_people):
            if self._record.closed:
                return  # the parent learns of the end itself
            self._waits = waits
            first = workflow.info().first_execution_run_id
            standing = ChildStanding(call_id=parent.call_id, execution=first, waits=waits)
            with contextlib.suppress(FailureError):
                await workflow.get_external_workflow_handle(parent.run_id).signal(names.CHILD, plain(standing))
