"""Brings one released call to its end."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta

from temporalio.exceptions import ActivityError
from temporalio.workflow import ActivityConfig

from backstay.contracts import names
from backstay.contracts.asked import Asked
from backstay.contracts.call import ActInput, Reconciled, ServerChange, SharedEffect, ToolResult
from backstay.contracts.carried_call import CarriedCall, CarriedTry
from backstay.contracts.decision import ProposedCall
from backstay.contracts.policy import RunFacts
from backstay.kernel.counted import sums_before
from backstay.kernel.events import OutcomeLearned, Tainted
from backstay.kernel.incident_events import AlarmRaised
from backstay.kernel.keys import act_id, reconcile_id, short_digest
from backstay.kernel.ledger_sums import Counts
from backstay.kernel.markdown import inert
from backstay.kernel.mcp_events import ServerChanged
from backstay.kernel.verdict import Verdict

from .. import options
from ..outcome import HELD_AFTER_ATTEMPTS, attempts_begun, may_go_on, nothing_done, unfinished
from .approve import Approvals
from .elicit import Dialogue
from .hold import CallHold
from .live import LiveRun
from .parked import Stand
from .release import Asking
from .released import Released
from .served import lost, served
from .words import call_words, grant_words, names_words, spent_words, summary

STOPPED = "not executed: the run was stopped"
UNKNOWN = Reconciled(answer="unknown")


@dataclass(frozen=True, slots=True)
class Ended:
    """A call's one result: `recorded` says that it stands in the history as the result of its activity.

    `usd` is what the call reported as its cost, `verdict` the one of the boundary, where that was no; `shared` is the
    effect behind it, where identical calls share one. `goes_on` is how long it may still be executed unseen. `begun` is
    False where no worker began to execute the call. `fingerprint` is a digest of tool, arguments and result, None for
    repeatable tools and for calls that never began. `borrowed` and `unclear` are those of `ToolResult`. `labels` are
    those of what a child run has read, and `answer` is its answer, where it gave one. `asked` is what the tool's server
    asks people before the call goes on.
    """

    status: str
    text: str
    recorded: bool = False
    usd: int | None = None
    verdict: Verdict | None = None
    shared: SharedEffect | None = None
    goes_on: timedelta = timedelta(0)
    begun: bool = True
    fingerprint: str | None = None
    borrowed: bool = False
    unclear: bool = False
    labels: tuple[str, ...] = ()
    answer: str | None = None
    asked: Asked | None = None


@dataclass(frozen=True, slots=True)
class _Tried:
    """Counts the tries at a call: `again` after the first, under the `key` of a shared effect, where it is one.

    `dialogue` holds what people have replied to the server of its tool.
    """

    dialogue: Dialogue
    key: str | None = None
    again: int = 0


async def act(
    run: LiveRun, approvals: Approvals, hold: CallHold, released: Released, left: CarriedTry | None = None
) -> Ended:
    """Executes a call; where nobody saw its end, asks the tool, then people, and does nothing on a guess.

    Args:
        run: the run.
        approvals: asks people.
        hold: what is held for the call.
        released: the call.
        left: the execution that the link before has asked people about; it goes on from there.
    """
    call, tool, tried = released.call, hold.tool, _Tried(Dialogue(run, approvals, released))
    if left is not None:
        tried = replace(tried, key=left.key, again=left.again)
        tried.dialogue.carry_on(left)
    ended, asks = await _executed(run, hold, released, tried, left), left is not None and left.asked is None
    # While the tool and people are asked the run may be killed, paused or run out of time.
    while ended.status == "unknown" and not run.record.interrupted:
        if ended.shared is not None:
            # What became of it is asked for under the key it was performed with, which may be another call's.
            tried = replace(tried, key=ended.shared.key, again=ended.shared.performances)
        truth = UNKNOWN if asks else await _learned(run, hold, released, tried, ended)
        asks = False
        if truth is None:
            return ended
        if truth.answer == "unknown":
            with run.parked.at(call.call_id, _stand(run, hold, released, tried, ended)):
                truth = await approvals.outcome(call, released.verdict.digest)
        if truth.answer == "unknown":
            return ended
        run.apply(OutcomeLearned(call.call_id, call.tool, truth.answer == "happened"))
        if truth.answer == "happened":
            return Ended("completed", truth.text, usd=ended.usd if ended.shared else None, borrowed=ended.borrowed)
        if not await run.running.go_ahead():
            return Ended("cancelled", STOPPED)
        if tool.dedupe is None:
            tried = replace(tried, again=tried.again + 1)
        ended = await _executed(run, hold, released, tried)
    return ended


async def _learned(run: LiveRun, hold: CallHold, released: Released, tried: _Tried, ended: Ended) -> Reconciled | None:
    """Asks the tool what became of a call that it may still execute; returns None where the run was interrupted."""
    if hold.tool.untrusted:
        run.apply(Tainted(released.call.tool))  # it was begun: its words count, also where another try is refused
    truth = await _reconciled(run, hold, released, tried)
    if truth.answer != "happened" and ended.goes_on:
        # What has not happened yet still may: whoever is asked is asked again, or first, once it is over.
        if await run.running.interrupted_within(ended.goes_on):
            return None
        truth = await _reconciled(run, hold, released, tried)
    return truth


def _stand(run: LiveRun, hold: CallHold, released: Released, tried: _Tried, ended: Ended) -> Stand:
    """Returns where a call stands while people are asked about its execution."""

    def carried() -> CarriedCall:
        begun = CarriedTry(
            text=ended.text,
            usd=ended.usd,
            shared=ended.shared,
            borrowed=ended.borrowed,
            key=tried.key,
            again=tried.again,
            asked=ended.asked,
            given=tried.dialogue.given,
            replies=tried.dialogue.replies,
            rounds=tried.dialogue.rounds,
        )
        return Asking.of(released).carried(run, hold, "released").model_copy(update={"begun": begun})

    return Stand(lambda: tried.dialogue.approvals.asks_about(hold.call_id), carried)


def _as_left(left: CarriedTry) -> Ended:
    status = "unknown" if left.asked is None else "failed"
    return Ended(status, left.text, usd=left.usd, shared=left.shared, borrowed=left.borrowed, asked=left.asked)


def _given(run: LiveRun, hold: CallHold, released: Released, tried: _Tried, any_tool: bool) -> ActInput:
    """Returns what a worker is told of a call, with the run's facts of now."""
    call, metered, at_ms = released.call, hold.metered, run.clock.now_ms()
    before: Counts = sums_before(metered.sums, metered.exposure) if metered else {}
    return ActInput(
        run_key=run.key,
        step=run.state.step,
        decision=run.last_decision or "",
        call_id=call.call_id,
        tool=call.tool,
        digest=released.verdict.digest,
        content=short_digest(call.content),
        facts=RunFacts.of(run.state, [call], at_ms, run.state.budget.exposed_before(act_id(call.call_id))),
        now=at_ms // 1000,
        consent=released.consent,
        arguments=call.arguments if released.edited else None,
        key=tried.key,
        again=tried.again,
        any_tool=any_tool,
        exposure=dict(released.verdict.exposure),
        counted={name: dict(sums) for name, sums in before.items()},
        origins=released.verdict.origins,
        replies=tried.dialogue.replies,
    )


async def _executed(
    run: LiveRun, hold: CallHold, released: Released, tried: _Tried, left: CarriedTry | None = None
) -> Ended:
    """Executes a call once, and on from wherever its server stops to ask people."""
    ended = await _performed(run, hold, released, tried) if left is None else _as_left(left)
    while ended.asked is not None:
        if hold.tool.untrusted and left is None:
            run.apply(Tainted(released.call.tool))
        left = None
        with run.parked.at(hold.call_id, _stand(run, hold, released, tried, ended)):
            goes_on = await tried.dialogue.goes_on(ended.asked)
        if not goes_on:
            return Ended("failed", tried.dialogue.ended) if tried.dialogue.ended else Ended("cancelled", STOPPED)
        if not await run.running.go_ahead():
            return Ended("cancelled", STOPPED)
        ended = await _performed(run, hold, released, tried)
    return ended


async def _performed(run: LiveRun, hold: CallHold, released: Released, tried: _Tried) -> Ended:
    tool, call = hold.tool, released.call
    begun = 0
    words = summary(f"step {run.state.step}", call_words(call), _why(released), spent_words(run.state.budget.spent.usd))

    async def attempt(any_tool: bool) -> ToolResult:
        nonlocal begun
        given = _given(run, hold, released, tried, any_tool).model_copy(update={"begun": begun})
        limits = options.act_options(tool, hold.paid, begun)
        how: ActivityConfig = {**limits, "activity_id": act_id(call.call_id), "summary": words}
        try:
            return await run.running.execute(names.ACT, given, ToolResult, how)
        except ActivityError as error:
            begun += attempts_begun(error)
            raise

    def waits() -> AbstractContextManager[None]:
        # Only a call that no attempt has begun is begun in another link.
        fresh = not begun and tried == _Tried(tried.dialogue) and tried.dialogue.replies is None
        if not fresh:
            return nullcontext()
        stand = Stand(lambda: True, lambda: Asking.of(released).carried(run, hold, "released"))
        return run.parked.at(hold.call_id, stand)

    try:
        result = await served(run, attempt, waits)
    except ActivityError as error:
        failure = nothing_done(error)
        if failure is not None and failure.type == names.UNREACHED:
            # The run goes on: the model may do without that server. Attempts of before were none, or would be told.
            if run.record.interrupted:
                return Ended("cancelled", STOPPED, begun=False)
            return Ended("failed", f"failed: {failure.message}")
        if lost(run, error):
            if begun and tool.effect != "read":
                return Ended("unknown", HELD_AFTER_ATTEMPTS)
            return Ended("cancelled", f"not executed: {error.cause}", begun=begun > 0 or tried.again > 0)
        status, text = unfinished(tool.effect, error, shared=tool.dedupe is not None)
        return Ended(status, text, goes_on=may_go_on(error, tool.timeout), unclear=status == "failed")
    if result.alarm is not None and not result.borrowed:
        run.apply(AlarmRaised(call.call_id, call.tool, result.alarm))
    if result.server is not None and not result.borrowed:
        _tell_server(run, call, result.server)
    return Ended(
        result.status,
        result.text,
        True,
        result.usd,
        result.verdict,
        result.shared,
        borrowed=result.borrowed,
        unclear=result.unclear,
        asked=result.asked,
    )


def _tell_server(run: LiveRun, call: ProposedCall, change: ServerChange) -> None:
    """Takes down that the server of a tool gives itself another name or version, once for each of them."""
    known = (call.tool.partition("/")[0], change.now)
    if known not in run.servers:
        run.servers.add(known)
        run.apply(ServerChanged(call.call_id, call.tool, change.was, change.now))


def _why(released: Released) -> str:
    people, use = released.consent.approved_by, released.consent.use
    if use is not None:
        return inert(grant_words(use))
    return f"approved by {names_words(people)}" if people else "allowed"


async def _reconciled(run: LiveRun, hold: CallHold, released: Released, tried: _Tried) -> Reconciled:
    if not hold.tool.reconciles:
        return UNKNOWN
    how: ActivityConfig = {
        **options.RECONCILE,
        "activity_id": reconcile_id(released.call.call_id),
        "summary": f"step {run.state.step} · what became of {inert(hold.tool.name)}?",
    }

    async def attempt(any_tool: bool) -> Reconciled:
        asked = _given(run, hold, released, tried, any_tool)
        return await run.running.execute(names.RECONCILE, asked, Reconciled, how)

    try:
        answer = await served(run, attempt)
    except ActivityError:
        return UNKNOWN
    if answer.alarm is not None:
        run.apply(AlarmRaised(released.call.call_id, hold.tool.name, answer.alarm))
    return answer
