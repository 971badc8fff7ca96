"""Draws on the ledgers that count over many runs, where the organisation limits what runs spend together.

A run without such a limit does nothing of this: no activity, no event.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from temporalio.workflow import ActivityConfig

from backstay.contracts import names
from backstay.contracts.ledger import LedgerRef, ReserveInput, ReserveResult
from backstay.kernel.budget import Amount
from backstay.kernel.draw import Paid, first_draw, further, most_within, next_draw, uncovered, unused
from backstay.kernel.events import BudgetShort, CallHeld, DecisionHeld, Drawn
from backstay.kernel.keys import reserve_id
from backstay.kernel.ledger_sums import RUNS, Amounts, Excess
from backstay.kernel.money import format_usd
from backstay.kernel.plan import open_decision

from .. import options
from .changes import knows
from .ledgers import RunLedgers
from .live import LiveRun
from .words import summary

THOSE_THAT_FIT = "where a limit has no room for all calls of a decision, those are drawn for that fit"


TOLD_ANYWAY = "ledgers are told what a run spends that drew where no limits were known"


class Purse:
    """All that a run has drawn; the ledgers that hold it get the rest back when the run ends."""

    def __init__(self, run: LiveRun, ledgers: RunLedgers) -> None:
        self._run = run
        self._draws = run.admission.draws
        self._ledgers = ledgers
        self.asked = 0
        """The number of times that the run has drawn."""
        self.dry: BudgetShort | None = None
        """The limit over many runs that has no room for what the calls of this decision may cost."""

    async def open(self) -> None:
        """Draws what the run holds at its admission; where a limit has no room for it, the run ends."""
        if self._draws is None or self.asked:
            return
        planned = open_decision(self._run.state, self._run.news.size)
        if not isinstance(planned, DecisionHeld):
            return  # nothing is held yet: what comes first draws first
        if short := await self.short(planned):
            self._run.apply(short)

    async def short(self, held: DecisionHeld) -> BudgetShort | None:
        """Draws what a decision needs beyond all that was drawn; returns the limit that has no room for it."""
        more = further(self._run.state, held)
        return await self._more(more) if self._asks(more) else None

    async def cover(self, calls: Sequence[Paid]) -> None:
        """Draws what calls may cost; those that no limit has room for are not `covered` then."""
        usd = sum(call.usd for call in calls)
        self.dry, before = None, None
        # While a ledger was asked, people may have raised the limits up to which the run draws.
        while self.dry is None and before != self._run.state.drawn and self._asks(Amount(usd=usd)):
            before = self._run.state.drawn
            self.dry = await self._more(Amount(usd=usd))
        if self.dry is not None and len(calls) > 1 and self._run.knows(THOSE_THAT_FIT):
            self.dry = await self._cover_some(calls, usd, self.dry)

    async def _cover_some(self, calls: Sequence[Paid], usd: int, short: BudgetShort) -> BudgetShort:
        """Draws for the calls that a limit has room for, where it has none for all; returns what is short after that.

        Args:
            calls: the calls, in the order asked.
            usd: the micro-dollars that were asked for.
            short: the limit that had no room for them.
        """
        while True:
            state, left = self._run.state, max(0, short.left or 0)
            some = most_within(unused(state) + left, calls)
            amounts = next_draw(state, 0, uncovered(state, Amount(usd=some)))
            if some >= usd or not amounts:
                return short
            # Another run may have taken the room by now: then less is asked for.
            excess = await self._draw(amounts)
            if excess is None:
                return replace(short, left=left - amounts["usd"])
            usd, short = some, _short(excess)

    def covered(self, held: CallHeld, cost: int) -> CallHeld | BudgetShort:
        """Returns the hold of a call, or the limit that has no room for it: nothing is held beyond what was drawn.

        Args:
            held: the hold as the run's own budget has room for it.
            cost: the money that one attempt takes; held is for as many of them as were drawn.
        """
        while self._asks(Amount(usd=held.usd)):
            if held.usd <= cost:
                return replace(self.dry or BudgetShort("usd"), call=held.tool, needed=cost)
            held = replace(held, usd=held.usd - cost)
        return held

    def _asks(self, more: Amount) -> bool:
        """Tells whether a further hold needs more than was drawn."""
        state = self._run.state
        return self._draws is not None and (state.drawn is None or bool(uncovered(state, more)))

    async def _more(self, more: Amount) -> BudgetShort | None:
        """Draws for a further hold, and where that finds no room, the least that it needs."""
        state, lump = self._run.state, self._draws.lump if self._draws else None
        needed = uncovered(state, more)
        first = state.drawn is None
        amounts = first_draw(state, lump, more) if first else next_draw(state, lump, needed)
        if first and (self._run.admission.queues or (self._draws and self._draws.agent_only)):
            del amounts[RUNS]  # it is counted already, from its turn on, or as a part of the run above
        short = await self._draw(amounts) if amounts else None
        least = {name: min(amount, needed[name]) for name, amount in amounts.items() if name in needed}
        if isinstance(short, Excess) and least and least != amounts:
            short = await self._draw(least)
        return _short(short) if isinstance(short, Excess) else None

    async def _draw(self, amounts: Amounts) -> Excess | None:
        """Draws amounts from every ledger that limits the run; waits for them, and says so, while one is silent."""
        run, number = self._run, self.asked
        self.asked += 1
        given = ReserveInput(
            name=reserve_id(number),
            holder=run.key,
            tenant=run.request.tenant,
            agent=run.request.agent,
            amounts=dict(amounts),
        )
        how: ActivityConfig = {
            **options.RESERVE,
            "activity_id": given.name,
            "summary": summary("draw", f"{format_usd(given.amounts.get('usd', 0))} USD"),
        }
        result = await self._ledgers.answered(lambda: run.running.execute(names.RESERVE, given, ReserveResult, how))
        if result is None:  # interrupted: a ledger may hold it all the same
            self._ledgers.know(self._ledgers.all)
            return None
        self._ledgers.warn(result.warnings)
        if result.excess is None:
            self._ledgers.know(self._told_at_close(result))
            counted = {period: key for one in result.held for period, key in one.hold.keys.items()}
            run.apply(Drawn(given.name, amounts, counted))
        return result.excess

    def _told_at_close(self, result: ReserveResult) -> Iterable[LedgerRef]:
        """Returns the ledgers that are to know what the run spends: those that hold the draw.

        A worker that knows no limits holds it in none, and yet the run was admitted under limits: both are told.
        """
        if not result.held and knows(TOLD_ANYWAY):
            return self._ledgers.all
        return [one.ledger for one in result.held]


def _short(excess: Excess) -> BudgetShort:
    return BudgetShort(excess.name, None, excess.needed, excess.left)
