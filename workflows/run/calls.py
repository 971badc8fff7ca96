"""The calls of one decision: judged together, held in order, executed side by side, each with one result."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from backstay.contracts.admission import ToolSpec
from backstay.contracts.call import shortened
from backstay.contracts.decision import Decision, Observation, ProposedCall
from backstay.kernel.events import (
    BudgetShort,
    CallEnded,
    CallHeld,
    CallJudged,
    CallOutcome,
    CallReleased,
    DecisionUnusable,
    Tainted,
    Warned,
)
from backstay.kernel.keys import fingerprint, short_digest
from backstay.kernel.plan import open_call
from backstay.kernel.stopping import gets_nowhere
from backstay.kernel.verdict import Outcome

from .. import options
from .act import STOPPED, Ended, Held, act
from .approve import Approvals, Refused, Released, denial
from .authorize import Judged, judge
from .live import LiveRun

SIDE_BY_SIDE = 16
TOLD_BYTES = 160_000
"""The most all unrecorded results of a decision may take, in bytes; JSON may spell each byte with six."""

NOWHERE = (
    "The runtime says: these calls bring the same results again and again. Do something else, or answer with what you "
    "know; otherwise the run is stopped."
)


class Calls:
    """The calls of one decision."""

    def __init__(self, run: LiveRun, approvals: Approvals) -> None:
        self._run = run
        self._approvals = approvals
        self._room = asyncio.Semaphore(SIDE_BY_SIDE)

    async def perform(self, decision: Decision) -> None:
        """Brings every call to its one result, in the order asked; siblings run side by side."""
        run = self._run
        judged = await judge(run, decision.calls)
        for one in judged:
            run.apply(CallJudged(one.call.call_id, one.call.tool, one.verdict))
        if all(one.verdict.unusable for one in judged):
            run.apply(DecisionUnusable(run.state.step))
        planned = [self._planned(one) for one in judged]
        for call, ended in zip(decision.calls, await asyncio.gather(*planned), strict=True):
            # What stands nowhere else in the history goes there with the next decision, and all of it has to fit.
            shown = ended.text if ended.recorded else shortened(ended.text, max(500, TOLD_BYTES // len(planned)))[0]
            text = None if ended.recorded else shown
            observation = Observation(call_id=call.call_id, text=text, digest=short_digest(shown))
            run.observe(observation, call.tool, shown, ended.status)
        if gets_nowhere(run.state) and not run.record.over:
            run.apply(Warned(run.state.progress.repetitions()))
            run.news.note(NOWHERE)

    def _planned(self, judged: Judged) -> Coroutine[Any, Any, Ended]:
        """Holds a call that may come to be executed at once, in the order asked, and returns how it goes on."""
        call, tool = judged.call, self._run.admission.tool(judged.call.tool)
        if judged.verdict.outcome is Outcome.DENY or tool is None:
            return _settled(Ended("denied", denial(judged.verdict)))
        held = self._hold(tool, call)
        if isinstance(held, BudgetShort):
            return _settled(_no_room(held))
        return self._released(judged, Held(tool, held.usd))

    async def _released(self, judged: Judged, held: Held) -> Ended:
        """Waits for people where it must, then executes the call."""
        call = judged.call
        released = await self._approvals.released(judged)
        if isinstance(released, Refused):
            self._run.apply(CallReleased(call.call_id, call.tool))
            return Ended("denied", released.text)
        if not released.consent.approved_by:
            return await self._executed(held, released)
        # Its minute is the one in which it is executed, not the one in which people were asked.
        self._run.apply(CallReleased(call.call_id, call.tool))
        again = self._hold(held.tool, call)
        if isinstance(again, BudgetShort):
            return _no_room(again)
        return await self._executed(Held(held.tool, again.usd), released)

    def _hold(self, tool: ToolSpec, call: ProposedCall) -> CallHeld | BudgetShort:
        at, attempts = self._run.clock.now_ms(), options.paid_attempts(tool)
        held = open_call(self._run.state, CallHeld(call.call_id, tool.name, at, tool.cost), attempts)
        self._run.apply(held)
        return held

    async def _executed(self, held: Held, released: Released) -> Ended:
        run, call, tool = self._run, released.call, held.tool
        async with self._room:
            if not await run.running.go_ahead():
                run.apply(CallReleased(call.call_id, call.tool))
                return Ended("cancelled", STOPPED)
            ended = await act(run, self._approvals, held, released)
        mark = None if tool.repeatable else fingerprint(f"{call.content}\n{ended.text}")
        usd = held.usd if ended.usd is None else ended.usd
        run.apply(CallEnded(call.call_id, call.tool, CallOutcome(ended.status), mark, usd))
        if ended.verdict is not None:
            run.apply(CallJudged(call.call_id, call.tool, ended.verdict))
        if tool.untrusted and ended.status == "completed":
            run.apply(Tainted(call.tool))
        return ended


def _no_room(short: BudgetShort) -> Ended:
    return Ended("denied", f"not executed: the budget has no room for it ({short.dimension})")


async def _settled(ended: Ended) -> Ended:
    return ended
