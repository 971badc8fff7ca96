"""Asks policy for its verdicts over the calls of a decision."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import ActivityError

from backstay.contracts import names
from backstay.contracts.decision import ProposedCall
from backstay.contracts.policy import AuthorizeInput, AuthorizeResult, Consent, RunFacts
from backstay.kernel.keys import act_id
from backstay.kernel.verdict import Code, Outcome, Verdict

from .. import options
from .live import LiveRun


@dataclass(frozen=True, slots=True)
class Judged:
    """A call, its verdict, and the members of the groups that may have to approve it."""

    call: ProposedCall
    verdict: Verdict
    members: Mapping[str, Sequence[str]]


async def judge(run: LiveRun, calls: list[ProposedCall]) -> list[Judged]:
    """Returns the verdicts over some calls, in their order; where none can be had, every call is denied."""
    return await _judged(run, calls, {})


async def judge_released(run: LiveRun, call: ProposedCall, consent: Consent) -> Judged:
    """Returns the verdict over a call that people said yes to."""
    return (await _judged(run, [call], {call.call_id: consent}))[0]


async def _judged(run: LiveRun, calls: list[ProposedCall], consents: dict[str, Consent]) -> list[Judged]:
    given = AuthorizeInput(
        run_id=workflow.info().workflow_id,
        run_key=run.key,
        agent=run.request.agent,
        tenant=run.request.tenant,
        requested_by=run.request.requested_by,
        goal=run.request.goal,
        facts=run_facts(run, calls),
        now=run.clock.now_ms() // 1000,
        calls=calls,
        consents=consents,
        tools={tool.name: tool.digest for tool in run.admission.tools},
    )
    try:
        result: AuthorizeResult = await workflow.execute_local_activity(
            names.AUTHORIZE, given, result_type=AuthorizeResult, **options.AUTHORIZE
        )
    except ActivityError:
        return _denied(run, calls)
    if len(result.verdicts) != len(calls):
        return _denied(run, calls)
    return [Judged(call, verdict, result.members) for call, verdict in zip(calls, result.verdicts, strict=True)]


def run_facts(run: LiveRun, calls: Sequence[ProposedCall]) -> RunFacts:
    """Returns what rules may know of the run now; a call counts neither itself nor what was asked for after it."""
    budget, at = run.state.budget, run.clock.now_ms()
    return RunFacts(
        step=run.state.step,
        spent_usd=budget.spent.usd,
        tool_calls=budget.spent.tool_calls,
        tool_calls_60s={
            call.tool: budget.calls_in_window(call.tool, at, before=act_id(call.call_id)) for call in calls
        },
        taint=sorted(run.state.taint),
    )


def _denied(run: LiveRun, calls: list[ProposedCall]) -> list[Judged]:
    message = "policy could not be asked"
    verdict = Verdict(Outcome.DENY, Code.POLICY_ERROR, "", run.admission.policy_version, message=message)
    return [Judged(call, verdict, {}) for call in calls]
