"""Passes orders on to child runs: what was wanted of a run is wanted of all below it."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from temporalio import workflow
from temporalio.exceptions import FailureError

from backstay.contracts import names
from backstay.contracts.delegate import ParentOrder
from backstay.contracts.messages import Kill
from backstay.contracts.problems import Contract
from backstay.contracts.run import plain

from .live import LiveRun
from .record import Record

Handle = workflow.ChildWorkflowHandle[Any, Any] | workflow.ExternalWorkflowHandle[Any]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Holds what is wanted of the children: an end, a pause, and to stand still for incidents."""

    ends: bool = False
    paused: bool = False
    frozen: tuple[str, ...] = ()

    @classmethod
    def of(cls, record: Record) -> "_Wanted":
        """Returns what is wanted of the children of a run."""
        return cls(record.interrupted, record.state.paused, record.state.frozen)


@dataclass(slots=True)
class Below:
    """A child run under way: `execution` is the engine's id of its execution, `told` what it was told to do."""

    handle: Handle
    execution: str
    told: _Wanted = field(default_factory=_Wanted)
    telling: asyncio.Task[None] | None = None


class OrdersBelow:
    """Tells the children of a run what is wanted of them, as soon as that changes."""

    def __init__(self, run: LiveRun) -> None:
        self.below: dict[str, Below] = {}
        """The children under way, by call."""
        self._run = run

    def takes(self, call_id: str, child: Below) -> None:
        """Tells a child from now on what is wanted."""
        self.below[call_id] = child
        self.heed()

    def leaves(self, call_id: str) -> None:
        """Tells a child nothing more."""
        self.below.pop(call_id, None)

    def heed(self) -> None:
        """Tells all children, where something else is wanted of them than before."""
        if not self.below:
            return
        wanted = _Wanted.of(self._run.record)
        for child in self.below.values():
            if child.told != wanted and (child.telling is None or child.telling.done()):
                child.telling = asyncio.create_task(self._tell(child))

    async def _tell(self, child: Below) -> None:
        while child.told != (wanted := _Wanted.of(self._run.record)):
            before, child.told = child.told, wanted
            for name, message in self._messages(before, wanted):
                # A child that has ended takes none; its end is known soon.
                with contextlib.suppress(FailureError):
                    await child.handle.signal(name, plain(message))

    def _messages(self, before: _Wanted, now: _Wanted) -> Iterator[tuple[str, Contract]]:
        if now.ends and not before.ends:
            yield self._end()
            return
        by = f"run {workflow.info().workflow_id}"[:500]
        for incident in now.frozen:
            if incident not in before.frozen:
                reason = "the run above is held"
                yield names.PARENT, ParentOrder(do="freeze", by=by, reason=reason, incident=incident)
        for incident in before.frozen:
            if incident not in now.frozen:
                yield names.PARENT, ParentOrder(do="thaw", by=by, incident=incident)
        if now.paused != before.paused:
            yield names.PARENT, ParentOrder(do="pause" if now.paused else "resume", by=by, reason="of the run above")

    def _end(self) -> tuple[str, Contract]:
        """Returns the message that ends a child, for the reason for which the run itself ends."""
        state = self._run.state
        if state.killed is not None:
            return names.KILL, _kill(state.killed.by, f"the run above was killed: {state.killed.reason}")
        if (incident := state.incident) is not None:
            by, reason = incident.by[:500], incident.reason[:4_000]
            return names.PARENT, ParentOrder(do="stop", by=by, reason=reason, incident=incident.incident)
        why = "was cancelled" if state.cancelled else "has come to its end"
        return names.KILL, _kill("backstay", f"the run above {why}")


def _kill(by: str, reason: str) -> Kill:
    return Kill.of(({"by": by, "reason": reason[:4_000]},))
