"""Asks policy for its verdicts over the calls of a decision."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError
from temporalio.workflow import ActivityConfig, LocalActivityConfig

from backstay.contracts import names
from backstay.contracts.carried_call import CarriedAsking
from backstay.contracts.decision import ProposedCall
from backstay.contracts.delegate import asked_by_person, parent_of
from backstay.contracts.metering import Metered
from backstay.contracts.policy import AuthorizeInput, AuthorizeResult, Consent, RunFacts
from backstay.kernel.counted import sums_before
from backstay.kernel.keys import authorize_id, judge_now_id
from backstay.kernel.verdict import Code, Outcome, Verdict

from .. import options
from ..outcome import nothing_done
from .changes import judges_by_activities
from .early import early_verdicts, heard
from .live import LiveRun
from .parked import DecisionStand, Stand
from .running import activity_error, unreadable
from .served import lost, served
from .words import names_words, summary


@dataclass(frozen=True, slots=True)
class Judged:
    """A call, its verdict, and the members of the groups that may have to approve it.

    `identity` is equal for calls that the tool cannot tell apart; empty where none was recorded. `metered` is what
    ledgers told of the call; None where they do not count it. `interrupted` says that policy has not answered, because
    the run was interrupted.
    """

    call: ProposedCall
    verdict: Verdict
    members: Mapping[str, Sequence[str]]
    identity: str = ""
    metered: Metered | None = None
    interrupted: bool = False


async def judge(run: LiveRun, calls: Sequence[ProposedCall], counted: Mapping[str, Metered]) -> list[Judged]:
    """Returns the verdicts over some calls, in their order; where none can be had, every call is denied.

    Args:
        run: the run.
        calls: the calls.
        counted: what ledgers told of those that they count, by id.
    """
    asked = question(run, calls, counted)
    if (early := early_verdicts(run, asked)) is not None:
        return _answers(run, asked.calls, early)
    # What ledgers have counted is not counted again by the next link.
    stand = DecisionStand(lambda: True, CarriedAsking(proposed=list(calls)))
    return await _judged(run, asked, nullcontext if counted else lambda: run.parked.deciding(stand))


async def judge_released(
    run: LiveRun, before: Judged, consent: Consent, counted: Metered | None, stand: Stand | None = None
) -> Judged:
    """Returns the verdict over a call that people said yes to.

    Args:
        run: the run.
        before: the call as it was judged before: what has come since vouches for none of its values.
        consent: the yes.
        counted: what ledgers told of the call.
        stand: where the call stands meanwhile, so that another link asks in place of this one.
    """
    call, origins = before.call, before.verdict.origins
    asked = question(run, [call], {call.call_id: counted} if counted else {})
    known = {call.call_id: origins} if origins else {}
    asked = asked.model_copy(update={"consents": {call.call_id: consent}, "origins": known})
    waits = (lambda: run.parked.at(call.call_id, stand)) if stand else nullcontext
    return (await _judged(run, asked, waits))[0]


async def judge_now(run: LiveRun, call: ProposedCall, counted: Metered | None) -> Judged:
    """Returns the verdict over a call that a person waits for; `counted` is what ledgers told of it.

    Raises:
        ActivityError: the worker serves another version of the call's tool, or not the agent at all; or the run was
            interrupted.
    """
    given = question(run, [call], {call.call_id: counted} if counted else {})
    run.judged_now += 1
    try:
        if not judges_by_activities():
            return _answers(run, [call], await _here(given))[0]
        activity_id = judge_now_id(call.call_id, run.judged_now)
        return _answers(run, [call], await _asked(run, given, activity_id, edited=[call.call_id]))[0]
    except ActivityError as error:
        if nothing_done(error) or (judges_by_activities() and run.record.interrupted):
            raise
        return _denied(run, [call])[0]


async def _judged(
    run: LiveRun, asked: AuthorizeInput, waits: Callable[[], AbstractContextManager[None]]
) -> list[Judged]:
    again, calls = False, asked.calls
    activity_id, by_activities = authorize_id(calls[0].call_id), judges_by_activities()

    async def ask(any_tool: bool) -> AuthorizeResult:
        nonlocal again
        if not again:
            again = True
            return await (_asked(run, asked, activity_id) if by_activities else _here(asked))  # asked just now
        now = {"facts": _facts(run, calls), "now": run.clock.now_ms() // 1000, "any_tool": any_tool}
        return await _asked(run, asked.model_copy(update=now), activity_id)

    try:
        return _answers(run, calls, await served(run, ask, waits))
    except ActivityError as error:
        lost(run, error)
        interrupted = by_activities and run.record.interrupted
        return [replace(one, interrupted=interrupted) for one in _denied(run, calls)]


async def _asked(
    run: LiveRun, given: AuthorizeInput, activity_id: str, edited: Collection[str] = ()
) -> AuthorizeResult:
    """Asks whichever worker takes the question; `edited` are the calls that people have changed.

    Raises:
        ActivityError: it gave no answer, or the run was interrupted.
    """
    how: ActivityConfig = {**options.AUTHORIZE, "activity_id": activity_id, "summary": _summary(given)}
    async with run.judging:
        # While others were asked about the run may have been killed, or its time be over.
        if run.record.interrupted:
            raise activity_error("the run was interrupted", names.AUTHORIZE, activity_id) from CancelledError()
        brief = given.in_brief(edited)
        answer = await run.running.execute(names.AUTHORIZE, brief, AuthorizeResult, how)
        heard(given, answer)
        return answer


async def _here(given: AuthorizeInput) -> AuthorizeResult:
    """Asks the worker that runs the task of the workflow, as runs of before did.

    Raises:
        ActivityError: it gave no answer.
    """
    how: LocalActivityConfig = {**options.AUTHORIZE_HERE, "summary": _summary(given)}
    try:
        answer: object = await workflow.execute_local_activity(
            names.AUTHORIZE, given, result_type=AuthorizeResult, **how
        )
    except ApplicationError as error:  # a local activity raises its failure as it is
        raise activity_error("policy could not be asked", names.AUTHORIZE, names.AUTHORIZE) from error
    if not isinstance(answer, AuthorizeResult):
        raise unreadable(names.AUTHORIZE, names.AUTHORIZE)
    return answer


def _summary(given: AuthorizeInput) -> str:
    return summary(f"step {given.facts.step}", names_words([call.tool for call in given.calls]))


def question(
    run: LiveRun, calls: Sequence[ProposedCall], counted: Mapping[str, Metered] | None = None
) -> AuthorizeInput:
    """Returns what is asked about some calls; `counted` is what ledgers told of those that they count, by id."""
    told = counted or {}
    sums = {call_id: sums_before(one.sums, one.exposure) for call_id, one in told.items()}
    return AuthorizeInput(
        run_id=workflow.info().workflow_id,
        run_key=run.key,
        agent=run.request.agent,
        tenant=run.request.tenant,
        requested_by=run.request.requested_by,
        goal=asked_by_person(run.request),
        facts=_facts(run, calls),
        now=run.clock.now_ms() // 1000,
        calls=list(calls),
        tools={tool.name: tool.digest for tool in run.admission.tools},
        version=run.admission.agent_version,
        bounds={name: list(bounds) for name, bounds in run.state.budget.limits.exposure.items() if bounds},
        counted={call_id: {name: dict(one) for name, one in before.items()} for call_id, before in sums.items()},
        uncounted=[call.call_id for call in calls if told and not _is_held(told.get(call.call_id))],
        decision=run.last_decision or "",
        above=parent.above if (parent := parent_of(run.request)) else [],
    )


def _is_held(metered: Metered | None) -> bool:
    return metered is not None and bool(metered.held)


def _facts(run: LiveRun, calls: Sequence[ProposedCall]) -> RunFacts:
    return RunFacts.of(run.state, calls, run.clock.now_ms())


def _answers(run: LiveRun, calls: list[ProposedCall], result: AuthorizeResult) -> list[Judged]:
    if len(result.verdicts) != len(calls):
        return _denied(run, calls)
    identities = result.identities if len(result.identities) == len(calls) else [""] * len(calls)
    each = zip(calls, result.verdicts, identities, strict=True)
    return [Judged(call, verdict, result.members, identity) for call, verdict, identity in each]


def _denied(run: LiveRun, calls: list[ProposedCall]) -> list[Judged]:
    message = "policy could not be asked"
    verdict = Verdict(Outcome.DENY, Code.POLICY_ERROR, "", run.admission.policy_version, message=message)
    return [Judged(call, verdict, {}) for call in calls]
