"""The calls of one decision: judged together, held in order, executed side by side, each with one result."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio import workflow

from backstay.contracts.admission import ToolSpec
from backstay.contracts.call import shortened
from backstay.contracts.carried_call import CarriedCall, CarriedTry
from backstay.contracts.decision import Decision, Observation, ProposedCall
from backstay.kernel.arguments import denied_arguments, is_long, is_long_denied, refused_arguments
from backstay.kernel.child_events import HandedOver
from backstay.kernel.events import (
    CallEnded,
    CallJudged,
    CallOutcome,
    DecisionEnded,
    DecisionUnusable,
    Tainted,
    Warned,
)
from backstay.kernel.keys import fingerprint, short_digest
from backstay.kernel.origins import UNTRUSTED
from backstay.kernel.stopping import gets_nowhere
from backstay.kernel.verdict import Code, Outcome

from .. import options
from .act import STOPPED, Ended, act
from .approve import Approvals
from .ask import ask
from .authorize import Judged, judge
from .changes import knows
from .child_hold import ChildHold
from .delegate import Children
from .hold import CallHold, HoldParts
from .left import carried_end, ended_of, judged_of, told_of
from .live import LiveRun
from .news import SHOWN_WEIGHED
from .parked import Stand
from .release import Asking, goes_on, released
from .released import Refused, Released, denial
from .words import CallTold

SIDE_BY_SIDE = 16
TOLD_BYTES = 160_000
"""The most all unrecorded results of a decision may take, in bytes; JSON may spell each byte with six."""

BEFORE_VERDICTS = "what a run knows is asked before the verdicts"
TOGETHER = "the calls of a decision are noted together, in the order asked"
AT_ONCE = 100
"""The most calls that begin in one task of the workflow: a task that thinks for two seconds is taken for hung."""
IN_TURN = "the calls of a long decision begin in turn"
VERDICTS_FIRST = "no call begins where verdicts have ended the run"
_DENY = Outcome.DENY
_UNFIT = (Code.UNKNOWN_TOOL, Code.INVALID_ARGS, Code.SCHEMA_DRIFT)

NOWHERE = (
    "The runtime says: these calls bring the same results again and again. Do something else, or answer with what you "
    "know; otherwise the run is stopped."
)


ONCE_ONLY = (
    "The runtime says: the same calls with the same results a second time stop the run. Do something else, or answer "
    "with what you know."
)


class Calls:
    """The calls of one decision."""

    def __init__(self, run: LiveRun, approvals: Approvals, parts: HoldParts, children: Children) -> None:
        self._run = run
        self._children = children
        self._approvals = approvals
        self._parts = parts
        self._room = asyncio.Semaphore(SIDE_BY_SIDE)
        self._together = True
        """False in the replay of a decision whose calls were once noted one by one, as they ended."""

    async def perform(self, decision: Decision) -> None:
        """Brings every call to its one result, in the order asked; siblings run side by side."""
        run = self._run
        if len(decision.calls) > 1 or any(is_long_denied(call.arguments) for call in decision.calls):
            # In older runs verdicts come by a local activity, and a task of the workflow may end with it: its replay
            # goes on at once, and would find no answer there to what was asked only in the next task.
            run.knows_all = knows(BEFORE_VERDICTS)
        judged = await self._judged(decision.calls)
        if any(one.interrupted for one in judged):
            self._give_back(judged)
            return
        run.told.clear()
        run.parked.begins(decision.calls)
        for one in judged:
            run.told[one.call.call_id] = CallTold.of(one.call, one.verdict)
            run.apply(CallJudged(one.call.call_id, one.call.tool, one.verdict))
        if all(one.verdict.unusable for one in judged):
            run.apply(DecisionUnusable(run.state.step))
        await self._draw(judged)
        self._together = len(judged) == 1 or run.knows(TOGETHER)
        await self._to_the_end(judged, self._plans(judged))

    async def go_on(self, carried: Sequence[CarriedCall], results: Mapping[str, str]) -> None:
        """Goes on with the calls of a decision where the link before has left them; each is made once.

        Args:
            carried: the calls, in the order asked.
            results: the texts of recorded results, as far as a history has them.
        """
        run = self._run
        run.parked.begins([one.call for one in carried])
        judged = [judged_of(one) for one in carried]
        run.told = {one.call.call_id: told_of(one) for one in carried}
        await self._to_the_end(judged, [self._resumed(one, results) for one in carried])

    def _resumed(self, one: CarriedCall, results: Mapping[str, str]) -> Coroutine[Any, Any, Ended]:
        """Takes over the hold of a call, and returns how it goes on."""
        tool, approvals, judged = self._run.admission.tool(one.call.tool), self._approvals, judged_of(one)
        if one.end is not None or one.hold is None or tool is None:
            return _settled(ended_of(one, results))
        hold = self._hold(judged, tool)
        hold.carry_on(one.hold)
        self._parts.meters.revisions[hold.call_id] = one.revision
        if one.consent.use is not None:
            approvals.standing.goes_on(judged.call, one.consent.use)
        if one.approval_id is not None:
            approvals.takes_over(one.approval_id, hold)
        asking = Asking(judged, one.consent, one.edited, one.approval_id)
        if one.stage == "room" and asking == Asking(judged):
            return self._goes_on(hold, released(self._run, approvals, judged, hold))
        if one.stage == "released":
            verdict = judged.verdict
            free = Released(judged.call, verdict, one.consent, one.edited, judged.identity)
            return self._executed(hold, free, one.begun)
        return self._goes_on(hold, goes_on(self._run, approvals, hold, asking))

    async def _to_the_end(self, judged: Sequence[Judged], plans: Sequence[Coroutine[Any, Any, Ended]]) -> None:
        """Lets calls go on to their ends, and takes down what came of them, in the order asked."""
        run = self._run
        ends = await self._all([self._kept(one, plan) for one, plan in zip(judged, plans, strict=True)])
        run.parked.ends()
        if self._together:
            self._note(ends)
        for one, ended in zip(judged, ends, strict=True):
            # What stands nowhere else in the history goes there with the next decision, and all of it has to fit.
            shown = ended.text if ended.recorded else shortened(ended.text, max(500, TOLD_BYTES // len(ends)))[0]
            text = None if ended.recorded else shown
            refused = one.verdict.code in _UNFIT
            denied = ended.status == "denied" and not refused
            observation = Observation(
                call_id=one.call.call_id,
                text=text,
                digest=short_digest(shown),
                refused=refused,
                denied=denied,
                labels=list(ended.labels),
            )
            run.told[one.call.call_id] = replace(run.told[one.call.call_id], status=ended.status)
            run.observe(observation, one.call.tool, shown, ended.status)
            if refused and is_long(one.call.arguments):
                run.news.weigh(refused_arguments(one.call.arguments))
            if denied and is_long_denied(one.call.arguments) and run.knows(SHOWN_WEIGHED):
                run.news.weigh(denied_arguments(one.call.arguments))
        self._hand_over(judged, ends)
        if gets_nowhere(run.state) and not run.record.over:
            run.apply(Warned(run.state.progress.repetitions))
            run.news.note(ONCE_ONLY if run.state.progress.is_new else NOWHERE)

    def _hand_over(self, judged: Sequence[Judged], ends: Sequence[Ended]) -> None:
        """Answers with what a child has answered, where the agent hands over and has asked for nothing else."""
        delegate, answer = self._run.admission.delegate, ends[0].answer if len(ends) == 1 else None
        if delegate is None or not delegate.hand_over or answer is None or self._run.record.over:
            return
        call = judged[0].call
        self._run.answer = answer
        self._run.apply(HandedOver(call.call_id, self._run.state.children[call.call_id].agent))

    async def _judged(self, calls: Sequence[ProposedCall]) -> list[Judged]:
        """Has ledgers count the calls, and returns the verdicts over them.

        What a call takes that turns out not to be made may be what others had no room for: those are counted again.
        """
        judged = await self._counted(calls)
        short = [one.call for one in judged if one.metered and one.metered.excess and one.verdict.outcome is not _DENY]
        if self._give_back_denied(judged) and short:
            await self._parts.meters.told()
            fresh = {one.call.call_id: one for one in await self._counted(short)}
            judged = [fresh.get(one.call.call_id, one) for one in judged]
            self._give_back_denied(list(fresh.values()))
        return judged

    async def _counted(self, calls: Sequence[ProposedCall]) -> list[Judged]:
        counted = await self._parts.meters.count(calls) or {}
        judged = await judge(self._run, calls, counted)
        return [replace(one, metered=counted.get(one.call.call_id)) for one in judged]

    def _give_back_denied(self, judged: Sequence[Judged]) -> bool:
        """Gives back what ledgers hold of calls that policy denies; tells whether that is anything."""
        denied = [one.metered for one in judged if one.verdict.outcome is _DENY and one.metered and one.metered.held]
        for metered in denied:
            self._parts.meters.give_back(metered)
        return bool(denied)

    def _give_back(self, judged: Sequence[Judged]) -> None:
        """Gives back what ledgers hold of calls that policy allows, and that do not begin."""
        for one in judged:
            if one.metered and one.verdict.outcome is not _DENY:
                self._parts.meters.give_back(one.metered)

    async def _draw(self, judged: Sequence[Judged]) -> None:
        """Draws what the allowed calls may cost."""
        tools = [self._run.admission.tool(one.call.tool) for one in judged if one.verdict.outcome is not _DENY]
        paid = [options.paid(tool) for tool in tools if tool]
        await self._parts.purse.cover([*paid, *self._children.wanted(judged)])

    def _plans(self, judged: Sequence[Judged]) -> list[Coroutine[Any, Any, Ended]]:
        """Returns how each call goes on; none begins where the verdicts, or something else, have ended the run."""
        begins = any(one.verdict.outcome is not _DENY for one in judged)
        if begins and self._run.record.over and self._run.knows(VERDICTS_FIRST):
            self._give_back(judged)
            return [_settled(_not_begun(one)) for one in judged]
        self._children.share(judged)
        return [self._planned(one) for one in judged]

    async def _all(self, plans: Sequence[Coroutine[Any, Any, Ended]]) -> list[Ended]:
        """Lets every call go on, side by side; those of a long decision begin in several tasks of the workflow."""
        begun: list[asyncio.Task[Ended]] = []
        for place, plan in enumerate(plans):
            if place and place % AT_ONCE == 0 and self._run.knows(IN_TURN):
                await workflow.sleep(timedelta(milliseconds=1), summary="calls begin in turn")
            begun.append(asyncio.ensure_future(plan))
        return await asyncio.gather(*begun)

    async def _kept(self, judged: Judged, plan: Coroutine[Any, Any, Ended]) -> Ended:
        """Lets a call go on to its end, and keeps that while its siblings still go on."""
        ended = await plan
        parked, told = self._run.parked, self._run.told.get(judged.call.call_id)
        parked.ended(judged.call.call_id, lambda: carried_end(judged, ended, told))
        return ended

    def _note(self, ends: Sequence[Ended]) -> None:
        """Takes down how calls ended, in the order asked, whichever ended first."""
        fingerprints = tuple(ended.fingerprint for ended in ends if ended.fingerprint is not None)
        outcomes = tuple(CallOutcome(ended.status) for ended in ends)
        self._run.apply(DecisionEnded(self._run.state.step, outcomes, fingerprints))

    def _planned(self, judged: Judged) -> Coroutine[Any, Any, Ended]:
        """Holds a call that may come to be executed at once, in the order asked, and returns how it goes on."""
        tool = self._run.admission.tool(judged.call.tool)
        if judged.verdict.outcome is _DENY or tool is None:
            return _settled(Ended("denied", denial(judged.verdict)))
        hold = self._hold(judged, tool)
        if problem := hold.place(judged.verdict):
            return _settled(Ended("denied", problem))
        return self._goes_on(hold, released(self._run, self._approvals, judged, hold))

    def _hold(self, judged: Judged, tool: ToolSpec) -> CallHold:
        if self._children.asks(tool):
            return self._children.hold(judged, tool, self._parts)
        return CallHold(self._run, self._parts, tool, judged.call.call_id, judged.metered)

    async def _goes_on(self, hold: CallHold, asking: Coroutine[Any, Any, Released | Refused]) -> Ended:
        """Waits for people where a call must, then executes it."""
        found = await asking
        if isinstance(found, Refused):
            hold.release()
            return Ended("denied", found.text)
        return await self._executed(hold, found)

    async def _executed(self, hold: CallHold, released: Released, left: CarriedTry | None = None) -> Ended:
        run, call, tool = self._run, released.call, hold.tool
        with run.parked.at(call.call_id, self._stand(hold, released)):
            if tool.asks:
                ended = await ask(run, self._approvals, released)
            elif isinstance(hold, ChildHold):  # children have a room of their own
                ended = await self._children.perform(hold, released)
            else:
                ended = await self._acted(hold, released, left)
        return self._settle(hold, released, ended)

    async def _acted(self, hold: CallHold, released: Released, left: CarriedTry | None) -> Ended:
        async with self._room:
            if left is None and not await self._run.running.go_ahead():
                return Ended("cancelled", STOPPED, begun=False)
            with self._run.parked.at(hold.call_id, None):
                return await act(self._run, self._approvals, hold, released, left)

    def _stand(self, hold: CallHold, released: Released) -> Stand:
        """Returns where a call stands until it begins."""
        run = self._run

        def still() -> bool:
            return run.state.stands_still or self._room.locked() or self._approvals.asks_about(hold.call_id)

        return Stand(still, lambda: Asking.of(released).carried(run, hold, "released"))

    def _settle(self, hold: CallHold, released: Released, ended: Ended) -> Ended:
        """Settles what was held for a call that has ended, and takes down what it brought."""
        run, call, tool = self._run, released.call, hold.tool
        if not ended.begun:
            hold.release()
            return ended
        usd, outcome = hold.usd if ended.usd is None else ended.usd, CallOutcome(ended.status)
        end = CallEnded(call.call_id, call.tool, outcome, usd, unclear=ended.unclear, borrowed=ended.borrowed)
        run.apply(end)
        if not end.counts:
            hold.undo()
        elif outcome is CallOutcome.COMPLETED:
            hold.happened()
        if not tool.repeatable:
            ended = replace(ended, fingerprint=fingerprint(f"{released.identity or call.content}\n{ended.text}"))
        if not self._together:
            self._note([ended])
        if ended.verdict is not None:
            run.apply(CallJudged(call.call_id, call.tool, ended.verdict))
        if tool.untrusted and ended.status != "denied":  # an error's words come from outside as a result's do
            run.apply(Tainted(call.tool))
        if UNTRUSTED in ended.labels:
            run.apply(Tainted(call.tool))
        return ended


def _not_begun(judged: Judged) -> Ended:
    if judged.verdict.outcome is _DENY:
        return Ended("denied", denial(judged.verdict))
    return Ended("cancelled", STOPPED)


async def _settled(ended: Ended) -> Ended:
    return ended
