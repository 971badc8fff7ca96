"""Holds a call that asks for a child run: the call itself, and all that the child may spend."""

from collections.abc import Mapping

from backstay.contracts.admission import ToolSpec
from backstay.contracts.carried_call import CarriedHold
from backstay.contracts.decision import ProposedCall
from backstay.contracts.delegate import DelegateArguments
from backstay.kernel.budget import Limits, Shortfall
from backstay.kernel.carving import held_for, minute_of, recarved
from backstay.kernel.child_events import ChildHeld, ChildRefused, ChildReleased
from backstay.kernel.draw import within_drawn
from backstay.kernel.grant import spelled
from backstay.kernel.keys import child_hold
from backstay.kernel.verdict import Verdict

from .hold import CallHold, HoldParts
from .live import LiveRun

_UNFIT = "not executed: its arguments cannot be read"


class ChildHold(CallHold):
    """The hold of a call that asks for a child run.

    INVARIANT: what the child may spend is held from when the call was asked for until the child has ended. A child that
    asks for more than is left is refused, and the run goes on.
    """

    def __init__(
        self, run: LiveRun, parts: HoldParts, tool: ToolSpec, call: ProposedCall, share: Limits | Shortfall
    ) -> None:
        """Takes a share of the budget; nothing is held yet.

        Args:
            run: the run.
            parts: what the holds of a run share.
            tool: the tool `delegate`.
            call: the call.
            share: what was carved for the child, among the calls of its decision.
        """
        super().__init__(run, parts, tool, call.call_id, None)
        self.call = call
        self.limits: Limits | None = None
        """The limits of the child, while they are held for it."""
        self._share = share
        self._carved = False
        """True once the share was used: after that it is carved anew from what is left."""

    def carried(self) -> CarriedHold:
        """Returns what the next link knows of the hold, and of what the child may spend."""
        share = self._share if isinstance(self._share, Limits) else None
        return super().carried().model_copy(update={"limits": self.limits, "share": share, "carved": self._carved})

    def carry_on(self, carried: CarriedHold) -> None:
        """Goes on where the link before has left off."""
        super().carry_on(carried)
        self.limits, self._share, self._carved = carried.limits, carried.share or self._share, carried.carved

    def place(self, verdict: Verdict, agreed: Mapping[str, int] | None = None) -> str | None:
        """Holds the call as `CallHold.place` does, and what its child may spend."""
        problem = super().place(verdict, agreed)
        return self._carve() if problem is None and self._placed else problem

    def changed(self, verdict: Verdict) -> str | None:
        """Holds a call that a person may have changed: another goal is another child, with another budget."""
        return self.place(verdict)

    def means(self, call: ProposedCall) -> None:
        """Takes over the arguments of a changed call."""
        self.call = call

    async def room(self) -> str | None:
        """Waits for room as `CallHold.room` does; what the child may spend is held with it."""
        problem = await super().room()
        if problem is None and self.limits is None:
            problem = self._carve()
        return problem

    def settled(self) -> None:
        """Forgets what was held for the child: it has ended."""
        self.limits = None

    def _free(self) -> None:
        if self.limits is not None:
            self._run.apply(ChildReleased(self.call.call_id))
            self.limits = None
        super()._free()

    def _carve(self) -> str | None:
        """Holds what the child may spend; returns what the model is told where that is not left."""
        arguments, state = DelegateArguments.of(self.call), within_drawn(self._run.state)
        if arguments is None:
            return self._given_up(_UNFIT)
        limits, at_ms = self._share, self._run.clock.now_ms()
        if self._carved and isinstance(limits, Limits):
            limits = recarved(state.budget, arguments.asked, limits, seconds_left(self._run), at_ms)
        self._carved = True
        if isinstance(limits, Limits):
            self._run.apply(
                ChildHeld(self.call.call_id, arguments.agent, limits, held_for(limits), at_ms, minute_of(limits))
            )
            if child_hold(self.call.call_id) in self._run.state.budget.holds:
                self.limits = limits
                return None
            limits = state.budget.shortfall(held_for(limits)) or Shortfall("budget")
        short = limits
        self._run.apply(
            ChildRefused(self.call.call_id, arguments.agent, short.dimension, short.needed, max(0, short.left))
        )
        asked, left = (spelled(short.dimension, amount) for amount in (short.needed, max(0, short.left)))
        return self._given_up(f"not executed: the call asks for {asked} of `{short.dimension}`, and {left} is left")

    def _given_up(self, text: str) -> str:
        super()._free()
        return text


def seconds_left(run: LiveRun) -> int | None:
    """Returns the seconds that are left to a run; None where it has no limit of them."""
    limit = run.state.budget.limits.seconds
    return None if limit is None else max(0, limit - run.clock.seconds())
