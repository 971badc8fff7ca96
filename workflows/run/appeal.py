"""Asks people for more where a budget is exhausted, before that ends the run."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from backstay.kernel.approval import ApprovalEnd
from backstay.kernel.budget import Limits
from backstay.kernel.events import BudgetShort, Granted
from backstay.kernel.grant import offer, raised
from backstay.kernel.shortage import asked_for

from .approve import Approvals
from .live import LiveRun

H = TypeVar("H")


class Appeals:
    """The questions for more budget of a run: one at a time, whatever else waits for room."""

    def __init__(self, run: LiveRun, approvals: Approvals) -> None:
        self._run = run
        self._approvals = approvals
        self._asking = asyncio.Lock()

    def offers(self, short: BudgetShort) -> Limits | None:
        """Returns what people can be asked for, so that a hold may fit; None where the shortage ends the run."""
        admission = self._run.admission
        if admission.on_exhausted != "ask" or admission.ceilings is None or self._run.record.over:
            return None
        return offer(self._run.state.budget.limits, admission.limits, admission.ceilings, short.dimension)

    async def room(self, held: H | BudgetShort, again: Callable[[], Awaitable[H | BudgetShort]]) -> H | BudgetShort:
        """Asks for more until a hold fits, or people refuse; returns the hold, or what is short.

        Args:
            held: the hold as it was opened, or what is short for it.
            again: opens it again, and draws for it; limits, spend and holds may have changed by then.
        """
        if not isinstance(held, BudgetShort) or self.offers(held) is None:
            return held
        async with self._asking:
            # While another question was open, limits may have been raised, or the run may have come to its end. One
            # that the link before has left open is waited for first.
            now = held if self._approvals.left_open(held.dimension) else await again()
            while isinstance(now, BudgetShort) and (added := self.offers(now)) is not None:
                if not await self._granted(now, added):
                    return now
                now = await again()
            return now

    async def _granted(self, short: BudgetShort, added: Limits) -> bool:
        """Puts one question; tells whether limits were raised, by a yes to it or by a grant meanwhile."""
        run, approval = self._run, self._run.admission.approval
        asked = await self._approvals.more(approval.budget or "", asked_for(run.state, short, added))
        if asked.end is not ApprovalEnd.APPROVED:
            return asked.end is ApprovalEnd.ANSWERED
        limits, ceilings = run.state.budget.limits, run.admission.ceilings or Limits()
        # A grant that came with the yes may have taken some of the room below the ceiling.
        added = offer(limits, run.admission.limits, ceilings, short.dimension) or Limits()
        after = raised(limits, added, ceilings)
        if isinstance(after, Limits):
            run.apply(Granted(asked.answered_by[-1], "said yes to the run", added, after, asked.approval_id))
        return True
