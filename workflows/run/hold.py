"""Holds one call: what it may cost and what it means in the domain, from when it was asked for until it begins."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backstay.contracts.admission import ToolSpec
from backstay.contracts.carried_call import CarriedHold
from backstay.contracts.decision import ProposedCall
from backstay.contracts.metering import Metered
from backstay.kernel.counted import limit_words
from backstay.kernel.events import BudgetShort, CallHeld, CallReleased, ExposureExceeded
from backstay.kernel.ledger_sums import Counts
from backstay.kernel.meter import Excess, Exposed, format_amount
from backstay.kernel.plan import open_call
from backstay.kernel.verdict import Code, Verdict

from .. import options
from .draw import Purse
from .live import LiveRun
from .meters import Meters
from .standing import StandingGrants

if TYPE_CHECKING:
    from .appeal import Appeals

ANOTHER = "not executed: the call does not mean what ledgers counted of it"


@dataclass(frozen=True, slots=True)
class HoldParts:
    """Holds the parts that all calls of a run share: its draws, its meters, the people it asks for more, its grants."""

    purse: Purse
    meters: Meters
    appeals: "Appeals"
    standing: StandingGrants


class CallHold:
    """The hold of one call.

    INVARIANT: what is held, here and in ledgers, is what the call was judged with last, so that a changed call is never
    made under the hold of another one.
    """

    def __init__(self, run: LiveRun, parts: HoldParts, tool: ToolSpec, call_id: str, metered: Metered | None) -> None:
        """Takes over what ledgers hold of a call.

        Args:
            run: the run.
            parts: what the holds of a run share.
            tool: the call's tool.
            call_id: the call's id.
            metered: what ledgers told of the call; None where they do not count it.
        """
        self.tool = tool
        self.usd = 0
        self.asks: Excess | None = None
        """The limits that people have to let the call above; nothing of its meters is held meanwhile."""
        self.metered = metered
        """The last that ledgers told of the call."""
        self.counting = asyncio.Lock()
        """Held while ledgers are asked again: an answer may come, and a change, and only one of both may hold."""
        self._run = run
        self._parts = parts
        self._attempt = CallHeld(call_id, tool.name, 0, tool.cost)
        """The hold of one attempt."""
        self._short: BudgetShort | None = None
        """The shortage, as long as people may still be asked for more; nothing is held meanwhile."""
        self._placed = False
        self._counted = metered is not None and bool(metered.held)

    @property
    def call_id(self) -> str:
        """The call's own id."""
        return self._attempt.call_id

    @property
    def revision(self) -> int:
        """The number of times that ledgers were asked to count the call."""
        return self._parts.meters.revisions[self.call_id]

    def carried(self) -> CarriedHold:
        """Returns what the next link knows of the hold."""
        return CarriedHold(
            usd=self.usd,
            placed=self._placed,
            counted=self._counted,
            exposure=dict(self._attempt.exposure),
            agreed=dict(self._attempt.agreed),
            asks=self.asks,
            short=self._short,
        )

    def carry_on(self, carried: CarriedHold) -> None:
        """Goes on where the link before has left off: budget and ledgers hold the call already."""
        self.usd, self.asks, self._short = carried.usd, carried.asks, carried.short
        self._placed, self._counted = carried.placed, carried.counted
        self._attempt = replace(self._attempt, exposure=carried.exposure, agreed=carried.agreed)

    @property
    def paid(self) -> int:
        """The number of attempts that money is held for."""
        return self.usd // self.tool.cost if self.tool.cost else 1

    def place(self, verdict: Verdict, agreed: Mapping[str, int] | None = None) -> str | None:
        """Holds the call as it was judged, in place of what was held for it before; a short budget waits for `room`.

        Args:
            verdict: says what the call means in the domain.
            agreed: the sum of each meter that people agreed to.

        Returns:
            What the model is told where the call cannot be made; None where it is held, or waits for room.
        """
        self._free()
        if self.recounts(verdict):
            self.uncount()
            return ANOTHER
        self._attempt = replace(self._attempt, exposure=verdict.exposure, agreed=agreed or {})
        held = self._opened()
        self._short = held if isinstance(held, BudgetShort) and self._parts.appeals.offers(held) else None
        return None if self._short else self._taken(held)

    def changed(self, verdict: Verdict) -> str | None:
        """Holds a call that was changed by a person, if it means something else now; returns what `place` does."""
        return None if verdict.exposure == self._attempt.exposure else self.place(verdict)

    def means(self, call: ProposedCall) -> None:
        """Takes over the arguments of a changed call, where they matter to what is held."""

    async def room(self) -> str | None:
        """Waits for people to give the budget room for the call, where it has none; returns what `place` does."""
        short = self._short
        if short is None:
            return None
        held = await self._parts.appeals.room(short, self._opened_again)
        self._short = None
        return self._taken(held)

    def recounts(self, verdict: Verdict) -> bool:
        """Tells whether a call as it was judged is another one for the ledgers than the one that they know."""
        return self._parts.meters.counted(verdict.exposure) != (self.metered.exposure if self.metered else {})

    async def counted_again(self, call: ProposedCall, agreed: Counts) -> bool:
        """Has ledgers count a call that people released, unless they hold it; False where the run was interrupted.

        Args:
            call: the call.
            agreed: the sums up to which people let it above limits.
        """
        async with self.counting:
            return self._counted or self.metered is None or await self.recount(call, agreed)

    async def recount(self, call: ProposedCall, agreed: Counts | None = None) -> bool:
        """Has ledgers count a call in place of what they hold of it; the caller holds `counting`.

        Returns:
            False where the run was interrupted, and nothing is held.
        """
        self.uncount()
        await self._parts.meters.told()
        found = await self._parts.meters.count([call], agreed)
        self.metered = (found or {}).get(call.call_id)
        self._counted = self.metered is not None and bool(self.metered.held)
        return found is not None

    def uncount(self) -> None:
        """Gives back what ledgers hold of the call: it does not happen, or not as they know it."""
        if self._counted and self.metered is not None:
            self._parts.meters.give_back(self.metered)
        self._counted = False

    def happened(self) -> None:
        """Takes down that what ledgers hold of the call is spent."""
        if self._counted and self.metered is not None:
            self._parts.meters.happened(self.metered)

    def release(self) -> None:
        """Gives the hold back: the call is not made."""
        self._free()
        self.undo()

    def undo(self) -> None:
        """Gives back what others hold of a call that does not happen: ledgers, and a standing grant."""
        self.uncount()
        self._parts.standing.give_back(self._attempt.call_id)

    def _free(self) -> None:
        if self._placed:
            self._run.apply(CallReleased(self._attempt.call_id, self.tool.name))
            self._placed = False

    async def _opened_again(self) -> CallHeld | BudgetShort | ExposureExceeded:
        await self._parts.purse.cover([options.paid(self.tool)])
        # Limits may have been raised, and siblings have ended, while a ledger was asked.
        return self._opened()

    def _opened(self) -> CallHeld | BudgetShort | ExposureExceeded:
        """Opens the hold within the budget, its meters and what was drawn on ledgers; nothing is held yet."""
        one, attempts = replace(self._attempt, at_ms=self._run.clock.now_ms()), options.paid_attempts(self.tool)
        held = open_call(self._run.state, one, attempts)
        own = held.excess if isinstance(held, ExposureExceeded) else Excess({})
        over = own.beside(self.metered.excess if self.metered else None)
        self.asks = over if over.groups else None
        if self.asks:
            held = open_call(self._run.state, replace(one, exposure={}, agreed={}), attempts)
        elif over.limit is not None:
            return ExposureExceeded(one.call_id, one.tool, over)
        return self._parts.purse.covered(held, self.tool.cost) if isinstance(held, CallHeld) else held

    def _taken(self, held: CallHeld | BudgetShort | ExposureExceeded) -> str | None:
        """Holds what was opened, or takes down why it cannot be; returns what `place` does."""
        self._run.apply(held)
        if self.asks or not isinstance(held, CallHeld):
            self.uncount()
        if isinstance(held, CallHeld):
            self.usd, self._placed = held.usd, True
            return None
        return _no_room(held) if isinstance(held, BudgetShort) else _exceeded(held.excess)


def reason_of(excess: Excess, shown: Mapping[str, Exposed]) -> str:
    """Says to people which limits a call passes; `shown` has the sums of its card."""
    own = [
        f"`{name}` would be at {format_amount(shown[name].after)}, above the run's limit of "
        f"{format_amount(one.limit or 0)}"
        for name, one in excess.meters.items()
    ]
    return "; ".join([*own, *([limit_words(excess.limit)] if excess.limit else [])])


def _exceeded(excess: Excess) -> str:
    own = [
        f"`{name}` is at {format_amount(one.before)}, the call adds {format_amount(one.amount)}, and the limit of the "
        f"run is {format_amount(one.limit or 0)}"
        for name, one in excess.meters.items()
    ]
    told = "; ".join([*own, *([limit_words(excess.limit)] if excess.limit else [])])
    return f"not executed: {Code.EXPOSURE_EXCEEDED}: {told}"


def _no_room(short: BudgetShort) -> str:
    return f"not executed: the budget has no room for it ({short.dimension})"
