"""Brings one released call to its end."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio.exceptions import ActivityError
from temporalio.workflow import ActivityConfig

from backstay.contracts import names
from backstay.contracts.admission import ToolSpec
from backstay.contracts.call import ActInput, Reconciled, SharedEffect, ToolResult
from backstay.kernel.events import OutcomeLearned
from backstay.kernel.keys import act_id, reconcile_id, short_digest
from backstay.kernel.stopping import interruption
from backstay.kernel.verdict import Verdict

from .. import options
from ..outcome import may_go_on, unfinished
from .approve import Approvals, Released
from .authorize import run_facts
from .live import LiveRun
from .words import call_summary

STOPPED = "not executed: the run was stopped"


@dataclass(frozen=True, slots=True)
class Ended:
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
class Held:
    """A call's tool, and the micro-dollars that are held for the call."""

    tool: ToolSpec
    usd: int

    @property
    def paid(self) -> int:
        """The number of attempts that money is held for."""
        return self.usd // self.tool.cost if self.tool.cost else 1


async def act(run: LiveRun, approvals: Approvals, held: Held, released: Released) -> Ended:
    """Executes a call; where nobody saw its end, asks the tool, then people, and does nothing on a guess."""
    call, tool = released.call, held.tool
    given = _given(run, released)
    ended = await _executed(run, held, given, released)
    # While the tool and people are asked the run may be killed, paused or run out of time.
    while ended.status == "unknown" and not interruption(run.state):
        if ended.shared is not None:
            # What became of it is asked for under the key it was performed with, which may be another call's.
            known = {"key": ended.shared.key, "again": ended.shared.performances}
            given = given.model_copy(update=known)
        truth = await _reconciled(run, tool, given)
        if truth.answer != "happened" and ended.goes_on:
            # What has not happened yet still may: whoever is asked is asked again, or first, once it is over.
            if await run.running.interrupted_within(ended.goes_on):
                return ended
            truth = await _reconciled(run, tool, given)
        if truth.answer == "unknown":
            truth = await approvals.outcome(call, given.digest)
        if truth.answer == "unknown":
            return ended
        run.apply(OutcomeLearned(call.call_id, call.tool, truth.answer == "happened"))
        if truth.answer == "happened":
            return Ended("completed", truth.text, usd=ended.usd if ended.shared else None)
        if not await run.running.go_ahead():
            return Ended("cancelled", STOPPED)
        if tool.dedupe is None:
            given = given.model_copy(update={"again": given.again + 1})
        ended = await _executed(run, held, given, released)
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
        content=short_digest(call.content),
        facts=run_facts(run, [call]),
        now=run.clock.now_ms() // 1000,
        consent=released.consent,
        arguments=call.arguments if released.edited else None,
    )


async def _executed(run: LiveRun, held: Held, given: ActInput, released: Released) -> Ended:
    tool, call = held.tool, released.call
    how: ActivityConfig = {
        **options.act_options(tool, held.paid),
        "activity_id": act_id(call.call_id),
        "summary": call_summary(run.state.step, call),
    }
    try:
        result = await run.running.execute(names.ACT, given, ToolResult, how)
    except ActivityError as error:
        status, text = unfinished(tool.effect, error, shared=tool.dedupe is not None)
        return Ended(status, text, goes_on=may_go_on(error, tool.timeout))
    return Ended(result.status, result.text, True, result.usd, result.verdict, result.shared)


async def _reconciled(run: LiveRun, tool: ToolSpec, given: ActInput) -> Reconciled:
    if not tool.reconciles:
        return Reconciled(answer="unknown")
    how: ActivityConfig = {
        **options.RECONCILE,
        "activity_id": reconcile_id(given.call_id),
        "summary": f"step {given.step} · what became of {given.tool}?",
    }
    try:
        return await run.running.execute(names.RECONCILE, given, Reconciled, how)
    except ActivityError:
        return Reconciled(answer="unknown")
