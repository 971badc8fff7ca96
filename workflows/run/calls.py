"""The calls of one decision: judged together, held in order, executed side by side, each with one result."""

import asyncio
import hashlib
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.exceptions import ActivityError

from backstay.contracts import names
from backstay.contracts.admission import Admission, ToolSpec
from backstay.contracts.call import ActInput, Reconciled, SharedEffect, ToolResult, shortened
from backstay.contracts.decision import Decision, Observation, ProposedCall, short_digest
from backstay.kernel.arguments import Unreadable, read_arguments
from backstay.kernel.audit import canonical
from backstay.kernel.events import (
    BudgetShort,
    CallEnded,
    CallHeld,
    CallJudged,
    CallOutcome,
    CallReleased,
    DecisionUnusable,
    OutcomeLearned,
    Tainted,
    Warned,
)
from backstay.kernel.plan import open_call
from backstay.kernel.stopping import gets_nowhere, interruption
from backstay.kernel.verdict import Outcome, Verdict

from .. import options
from ..outcome import may_go_on, unfinished
from .approve import Approvals, Refused, Released, denial
from .authorize import judge, run_facts
from .decide import observe
from .live import LiveRun
from .words import call_summary

SIDE_BY_SIDE = 16
TOLD_BYTES = 160_000
"""Of all results of a decision that no activity recorded; JSON may spell each byte with six."""

NOWHERE = (
    "The runtime says: these calls bring the same results again and again. Do something else, or answer with what you "
    "know; otherwise the run is stopped."
)


@dataclass(frozen=True, slots=True)
class _Ended:
    """A call's one result: `recorded` says that it stands in the history as the result of its activity.

    `usd` is what the call reported as its cost, `verdict` the one of the boundary, where that was no; `shared` is the
    effect behind it, where identical calls share one. `goes_on` is how long it may still be executed unseen.
    """

    status: str
    text: str
    recorded: bool = False
    usd: int | None = None
    verdict: Verdict | None = None
    shared: SharedEffect | None = None
    goes_on: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class _Held:
    """A call's tool, and what is held for it."""

    tool: ToolSpec
    usd: int

    @property
    def paid(self) -> int:
        """For how many attempts money is held, where they cost any."""
        return self.usd // self.tool.cost if self.tool.cost else 1


async def perform(run: LiveRun, approvals: Approvals, admission: Admission, decision: Decision) -> None:
    """Brings every call of a decision to its one result, in the order asked; siblings run side by side."""
    judged = await judge(run, admission, decision.calls)
    for call, verdict in zip(decision.calls, judged.verdicts, strict=True):
        run.apply(CallJudged(call.call_id, call.tool, verdict))
    if all(verdict.unusable for verdict in judged.verdicts):
        run.apply(DecisionUnusable(run.state.step))
    room = asyncio.Semaphore(SIDE_BY_SIDE)
    planned = [
        _planned(run, approvals, admission, call, verdict, judged.members, room)
        for call, verdict in zip(decision.calls, judged.verdicts, strict=True)
    ]
    endings = await asyncio.gather(*planned)
    for call, ended in zip(decision.calls, endings, strict=True):
        # What stands nowhere else in the history goes there with the next decision, and all of it has to fit.
        shown = ended.text if ended.recorded else shortened(ended.text, max(500, TOLD_BYTES // len(endings)))[0]
        text = None if ended.recorded else shown
        observation = Observation(call_id=call.call_id, text=text, digest=short_digest(shown))
        observe(run, observation, call.tool, shown, ended.status)
    if gets_nowhere(run.state) and not run.over:
        run.apply(Warned(run.state.progress.repetitions()))
        run.news.note(NOWHERE)


def _planned(
    run: LiveRun,
    approvals: Approvals,
    admission: Admission,
    call: ProposedCall,
    verdict: Verdict,
    members: Mapping[str, Sequence[str]],
    room: asyncio.Semaphore,
) -> Coroutine[Any, Any, _Ended]:
    """Holds a call that may come to be executed at once, in the order asked, and says how it goes on."""
    tool = admission.tool(call.tool)
    if verdict.outcome is Outcome.DENY or tool is None:
        return _settled(_Ended("denied", denial(verdict)))
    held = _hold(run, tool, call)
    if isinstance(held, BudgetShort):
        return _settled(_no_room(held))

    async def go_on() -> _Ended:
        released = await approvals.released(admission, call, verdict, members)
        if isinstance(released, Refused):
            run.apply(CallReleased(call.call_id, call.tool))
            return _Ended("denied", released.text)
        if not released.consent.approved_by:
            return await _executed(run, approvals, admission, _Held(tool, held.usd), released, room)
        # Its minute is the one in which it is executed, not the one in which people were asked.
        run.apply(CallReleased(call.call_id, call.tool))
        again = _hold(run, tool, call)
        if isinstance(again, BudgetShort):
            return _no_room(again)
        return await _executed(run, approvals, admission, _Held(tool, again.usd), released, room)

    return go_on()


def _hold(run: LiveRun, tool: ToolSpec, call: ProposedCall) -> CallHeld | BudgetShort:
    held = open_call(run.state, call.call_id, tool.name, run.now_ms(), tool.cost, options.paid_attempts(tool))
    run.apply(held)
    return held


def _no_room(short: BudgetShort) -> _Ended:
    return _Ended("denied", f"not executed: the budget has no room for it ({short.dimension})")


async def _settled(ended: _Ended) -> _Ended:
    return ended


async def _executed(
    run: LiveRun,
    approvals: Approvals,
    admission: Admission,
    held: _Held,
    released: Released,
    room: asyncio.Semaphore,
) -> _Ended:
    call, tool = released.call, held.tool
    async with room:
        if not await run.go_ahead():
            run.apply(CallReleased(call.call_id, call.tool))
            return _Ended("cancelled", "not executed: the run was stopped")
        ended = await _seen_to_its_end(run, approvals, admission, held, released)
    fingerprint = None if tool.repeatable else _fingerprint(call, ended.text)
    usd = held.usd if ended.usd is None else ended.usd
    run.apply(CallEnded(call.call_id, call.tool, CallOutcome(ended.status), fingerprint, usd))
    if ended.verdict is not None:
        run.apply(CallJudged(call.call_id, call.tool, ended.verdict))
    if tool.untrusted and ended.status == "completed":
        run.apply(Tainted(call.tool))
    return ended


async def _seen_to_its_end(
    run: LiveRun, approvals: Approvals, admission: Admission, held: _Held, released: Released
) -> _Ended:
    """Executes the call; where nobody saw its end, the tool is asked, then people, and nothing is done on a guess."""
    call, tool = released.call, held.tool
    given = _given(run, released)
    ended = await _acted(run, held, given, call)
    while ended.status == "unknown" and not interruption(run.state):
        if ended.shared is not None:
            # What became of it is asked for under the key it was performed with, which may be another call's.
            known = {"key": ended.shared.key, "again": ended.shared.performances}
            given = given.model_copy(update=known)
        truth = await _reconciled(run, tool, given)
        if truth.answer != "happened" and ended.goes_on:
            # What has not happened yet still may: whoever is asked is asked again, or first, once it is over.
            if await run.interrupted_within(ended.goes_on):
                return ended
            truth = await _reconciled(run, tool, given)
        if truth.answer == "unknown":
            truth = await approvals.outcome(admission, tool.name, call, given.digest)
        if truth.answer == "unknown":
            return ended
        run.apply(OutcomeLearned(call.call_id, call.tool, truth.answer == "happened"))
        if truth.answer == "happened":
            return _Ended("completed", truth.text, usd=ended.usd if ended.shared else None)
        if not await run.go_ahead():
            return _Ended("cancelled", "not executed: the run was stopped")
        if tool.dedupe is None:
            given = given.model_copy(update={"again": given.again + 1})
        ended = await _acted(run, held, given, call)
    return ended


def _given(run: LiveRun, released: Released) -> ActInput:
    call = released.call
    return ActInput(
        run_key=run.key,
        step=run.state.step,
        decision=run.last_decision or "",
        call_id=call.call_id,
        tool=call.tool,
        digest=released.verdict.digest,
        content=short_digest(_content(call)),
        facts=run_facts(run, [call]),
        now=run.now_ms() // 1000,
        consent=released.consent,
        arguments=call.arguments if released.edited else None,
    )


async def _acted(run: LiveRun, held: _Held, given: ActInput, call: ProposedCall) -> _Ended:
    tool = held.tool
    try:
        result: ToolResult = await run.execute(
            names.ACT,
            given,
            ToolResult,
            activity_id=names.act_id(call.call_id),
            summary=call_summary(run.state.step, call),
            **options.act_options(tool, held.paid),
        )
    except ActivityError as error:
        status, text = unfinished(tool.effect, error, shared=tool.dedupe is not None)
        return _Ended(status, text, goes_on=may_go_on(error, tool.timeout))
    return _Ended(result.status, result.text, True, result.usd, result.verdict, result.shared)


async def _reconciled(run: LiveRun, tool: ToolSpec, given: ActInput) -> Reconciled:
    if not tool.reconciles:
        return Reconciled(answer="unknown")
    try:
        answer: Reconciled = await run.execute(
            names.RECONCILE,
            given,
            Reconciled,
            activity_id=f"{names.RECONCILE}-{given.call_id}",
            summary=f"step {given.step} · what became of {given.tool}?",
            **options.RECONCILE,
        )
    except ActivityError:
        return Reconciled(answer="unknown")
    return answer


def _fingerprint(call: ProposedCall, result: str) -> str:
    text = f"{_content(call)}\n{result}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _content(call: ProposedCall) -> str:
    """What a call asks for, in one spelling."""
    arguments = read_arguments(call.arguments)
    return f"{call.tool}\n{call.arguments if isinstance(arguments, Unreadable) else canonical(arguments)}"
