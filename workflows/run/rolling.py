"""Takes a run into the next link of its chain: between two decisions, or in the middle of one that waits for people."""

import asyncio
from typing import Any

from temporalio import workflow

from backstay.kernel.stopping import interruption

from .carry import Parts, Watchers, carried_from
from .record import Record


class Rolling:
    """Finds the moment at which another link goes on with a run, and what that is told.

    INVARIANT: at that moment nothing is under way: no activity, no child run, no message that is still being handled.
    """

    def __init__(self, record: Record, watchers: Watchers) -> None:
        self._record = record
        self._watchers = watchers
        self._parts: Parts | None = None
        self._settled = False
        self.rolls = False
        """True once another link goes on after the last decision."""

    def begin(self, parts: Parts) -> None:
        """Takes the parts of the run once it is admitted."""
        self._parts = parts

    def handed_on(self) -> dict[str, Any] | None:
        """Returns the input of the next link; None where the run has too much to take along, and it waits for more."""
        if self._parts is None:
            return None
        request = self._parts.run.request.unsigned()
        handed = carried_from(self._parts, self._watchers).handed_on(request)
        if handed is None:
            self._watchers.chain.put_off()
        return handed

    async def between(self, parts: Parts) -> bool:
        """Waits while the run stands still, and tells whether another link goes on: then nothing is under way."""
        chain, admission, record = self._watchers.chain, parts.run.admission, self._record
        if admission.links is None:
            return False
        # A run that stands still for long may be sent many messages meanwhile.
        await workflow.wait_condition(
            lambda: not record.state.stands_still or interruption(record.state) or chain.due(admission)
        )
        if record.over or not chain.due(admission) or self.handed_on() is None:
            return False
        settling = asyncio.create_task(parts.settled())
        await workflow.wait_condition(lambda: record.over or (settling.done() and workflow.all_handlers_finished()))
        self.rolls = not record.over
        return self.rolls

    async def midway(self, parts: Parts) -> None:
        """Makes the run ready for another link whenever its decision stands still, for as long as it does."""
        links = parts.run.admission.links
        if links is None or not links.midway:
            return
        while True:
            await workflow.wait_condition(self._stands)
            if self.handed_on() is None:
                continue
            # An answer may come meanwhile, and the run goes on.
            await parts.settled()
            self._settled = True
            await workflow.wait_condition(lambda: not self._stands())
            self._settled = False

    @property
    def ready(self) -> bool:
        """True where another link can go on in the middle of a decision, at this very moment."""
        return self._settled and self._stands() and workflow.all_handlers_finished()

    def _stands(self) -> bool:
        parts, chain = self._parts, self._watchers.chain
        if parts is None or not parts.run.parked.still or self._record.over or not parts.run.running.idle:
            return False
        quiet = parts.approvals.quiet and self._watchers.family.quiet
        return quiet and chain.due(parts.run.admission)
