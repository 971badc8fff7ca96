"""Asks policy for its verdicts over the calls of a decision."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import ActivityError

from backstay.contracts import names
from backstay.contracts.admission import Admission
from backstay.contracts.decision import ProposedCall
from backstay.contracts.policy import AuthorizeInput, AuthorizeResult, Consent, RunFacts
from backstay.kernel.verdict import Code, Outcome, Verdict

from .. import options
from .live import LiveRun


@dataclass(frozen=True, slots=True)
class Judged:
    """One verdict per call, in the order asked, and who is in the groups that they ask for."""

    verdicts: Sequence[Verdict]
    members: Mapping[str, Sequence[str]]


async def judge(
    run: LiveRun, admission: Admission, calls: list[ProposedCall], consents: dict[str, Consent] | None = None
) -> Judged:
    """The verdicts over some calls; where none can be had, every call is denied."""
    given = AuthorizeInput(
        run_id=workflow.info().workflow_id,
        run_key=run.key,
        agent=run.request.agent,
        tenant=run.request.tenant,
        requested_by=run.request.requested_by,
        goal=run.request.goal,
        facts=run_facts(run, calls),
        now=run.now_ms() // 1000,
        calls=calls,
        consents=consents or {},
        tools={tool.name: tool.digest for tool in admission.tools},
    )
    try:
        result: AuthorizeResult = await workflow.execute_local_activity(
            names.AUTHORIZE, given, result_type=AuthorizeResult, **options.AUTHORIZE
        )
    except ActivityError:
        return _no_verdicts(admission, calls)
    if len(result.verdicts) != len(calls):
        return _no_verdicts(admission, calls)
    return Judged(result.verdicts, result.members)


def run_facts(run: LiveRun, calls: Sequence[ProposedCall]) -> RunFacts:
    """What rules may know of the run now; a call does not count itself, nor what was asked for after it."""
    budget, at = run.state.budget, run.now_ms()
    return RunFacts(
        step=run.state.step,
        spent_usd=budget.spent.usd,
        tool_calls=budget.spent.tool_calls,
        tool_calls_60s={
            call.tool: budget.calls_in_window(call.tool, at, before=names.act_id(call.call_id)) for call in calls
        },
        taint=sorted(run.state.taint),
    )


def _no_verdicts(admission: Admission, calls: list[ProposedCall]) -> Judged:
    message = "policy could not be asked"
    verdict = Verdict(Outcome.DENY, Code.POLICY_ERROR, "", admission.policy_version, message=message)
    return Judged([verdict for _ in calls], {})
