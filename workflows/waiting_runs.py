"""The runs that wait in a ledger: they are called when there is room, and the ledger looks how the others are doing.

A run that ends says so itself. One that was terminated, or lost, says nothing, and nor does a limit that was raised:
while runs wait, the ledger has a worker of theirs look every few seconds.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError
from temporalio.workflow import ActivityConfig

from backstay.contracts import names
from backstay.contracts.ledger import LedgerRef, LookInput, LookResult
from backstay.kernel.ledger import MOST_HOLDS, Books, Waiter
from backstay.kernel.ledger_period import milliseconds
from backstay.kernel.ledger_queue import AtWork, Look, at_once, let_in, looked_after, next_in_line

from . import options
from .entity import done

LOOK_EVERY = timedelta(seconds=3)
_FOR_EACH = timedelta(seconds=0.05)
_RECALLED_WITHIN = timedelta(seconds=1)
_FIRST_IN_LINE = 100
"""So many of those that wait are looked for too: one that is gone must not be let in."""


class WaitingRuns:
    """Lets waiting runs in, tells them, and looks after those that keep them waiting."""

    def __init__(self, ledger: LedgerRef, books: Callable[[], Books | None], keep: Callable[[Books], None]) -> None:
        self._ledger = ledger
        self._books = books
        self._keep = keep
        self._called: list[str] = []
        self._calling = False
        self._recalled = False

    @property
    def idle(self) -> bool:
        """True where every run that was let in has been told."""
        return not self._called and not self._calling

    def let_in(self) -> None:
        """Lets in whoever there is room for, and has them told."""
        books = self._books()
        if books is not None:
            after, held = let_in(books, milliseconds(workflow.now()))
            self._called += [hold.holder.workflow_id for hold in held]
            self._keep(after)

    async def serve(self) -> None:
        """Calls runs and looks after them, until it is cancelled."""
        await asyncio.gather(self._calls(), self._looks())

    async def _calls(self) -> None:
        while True:
            await workflow.wait_condition(lambda: bool(self._called))
            self._calling, called, self._called = True, self._called, []
            await self._tell(called)
            self._calling = False

    async def _looks(self) -> None:
        while True:
            await workflow.wait_condition(lambda: bool(self._waiting()))
            await self._look()
            await self._pause()

    def _waiting(self) -> list[Waiter]:
        books = self._books()
        return next_in_line(books, _FIRST_IN_LINE) if books else []

    async def _pause(self) -> None:
        """Waits until the next look, which costs more the more runs there are; or until no run waits any more."""
        books = self._books() or Books("")
        slow = books.counted or len(books.holds) >= MOST_HOLDS
        pause = LOOK_EVERY + _FOR_EACH * len(books.holds) if slow else _RECALLED_WITHIN
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: not self._waiting(),
                timeout=pause,
                timeout_summary="before it is looked who has closed",
            )

    async def _look(self) -> None:
        """Takes into the books what the workers of the waiting runs find out."""
        agents: dict[str, list[str]] = {}
        for waiter in (self._books() or Books("")).waiting.values():
            line = agents.setdefault(waiter.queue, [])
            if waiter.holder.agent not in line:
                line.append(waiter.holder.agent)
        for queue, known in agents.items():
            books = self._books() or Books("")
            found = await self._found(books, queue, known)
            # While the worker looked, runs may have come and gone: what it found is taken into the books of now.
            books = self._books()
            if found is None or books is None:
                continue
            look = Look(
                over=frozenset(found.over),
                at_work=await self._at_work(books, found.at_work),
                room={f"{queue} {agent}": tuple(limits) for agent, limits in found.room.items()},
            )
            self._keep(looked_after(self._books() or books, look, milliseconds(workflow.now())))
            self.let_in()

    async def _found(self, books: Books, queue: str, agents: list[str]) -> LookResult | None:
        holders = {hold.holder.key: hold.holder for hold in at_once(books)}
        holders |= {waiter.holder.key: waiter.holder for waiter in self._waiting()}
        given = LookInput(ledger=self._ledger, holders=list(holders.values()), agents=agents, counts=not books.counted)
        how: ActivityConfig = {
            **options.LOOK,
            "task_queue": queue,
            "summary": f"{len(books.waiting)} runs wait: who of {len(holders)} has closed?",
        }
        try:
            return await done(names.LOOK, given, LookResult, how)
        except ActivityError:
            return None  # it looks again soon

    async def _at_work(self, books: Books, at_work: AtWork | None) -> AtWork | None:
        """Returns the runs to be counted; None as long as runs that waited in an earlier ledger may yet ask again."""
        if at_work is None:
            return None
        known = {waiter.holder.workflow_id for waiter in books.waiting.values()}
        lost = [one for one in at_work.queued if one not in known]
        if lost and not self._recalled:
            self._recalled = True
            await self._tell(lost)
            return None
        self._recalled = False
        return at_work

    async def _tell(self, runs: Iterable[str]) -> None:
        """Tells runs that it is their turn to ask; one that hears nothing asks by itself, later."""
        await asyncio.gather(*(_told(run) for run in runs))


async def _told(run: str) -> None:
    # By the workflow id alone: a run that continues as new meanwhile gets it in its next link.
    with contextlib.suppress(FailureError):
        await workflow.get_external_workflow_handle(run).signal(names.TURN)
