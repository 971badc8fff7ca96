"""Standing grants in a run that demands proofs: nobody can prove them, so none is given and none is used."""

from backstay.contracts.admission import Admission
from backstay.contracts.decision import ProposedCall
from backstay.contracts.messages import Approve, GrantTerms
from backstay.kernel.approval import Approval, ApprovalKind, Refusal
from backstay.kernel.grantable import Cap, Grantable, RuleText
from backstay.kernel.terms import Agreed
from backstay.kernel.verdict import Code, Outcome, Verdict
from workflows.run.authorize import Judged
from workflows.run.live import LiveRun
from workflows.run.standing import StandingGrants

OFFERED = Grantable(Cap(20, 8), (RuleText("large", "sha256:1"),))
ASKED = Approval("apr_1", ApprovalKind.ACTION, "1-0", "pay", "sha256:d", ("finance",), grantable=OFFERED)
YES = Approve(approval_id="apr_1", by="ann", grant=GrantTerms(uses=2))


def demanding(run: LiveRun) -> StandingGrants:
    run.admission = run.admission.model_copy(update={"proofs": "required"})
    return StandingGrants(run)


def test_a_yes_grants_what_the_rules_allow(run: LiveRun, admission: Admission) -> None:
    assert admission.proofs == "unverifiable"
    found = StandingGrants(run).agreed(YES, ASKED)
    assert isinstance(found, Agreed)
    assert found.uses == 2
    assert StandingGrants(run).agreed(YES.model_copy(update={"grant": None}), ASKED) is None


def test_a_run_that_demands_proofs_takes_no_grant(run: LiveRun) -> None:
    refusal = demanding(run).agreed(YES, ASKED)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, "demands a proof" in refusal.text) == ("NotGrantable", True)
    assert demanding(run).agreed(YES.model_copy(update={"grant": None}), ASKED) is None


async def test_a_run_that_demands_proofs_uses_no_grant(run: LiveRun) -> None:
    verdict = Verdict(Outcome.REQUIRE_APPROVAL, Code.NEEDS_APPROVAL, "d", "v", groups=("finance",), grantable=OFFERED)
    call = ProposedCall(call_id="1-0", tool="pay", arguments="{}")
    assert await demanding(run).use(Judged(call, verdict, {})) is None


def test_giving_back_the_use_of_a_call_that_drew_none_does_nothing(run: LiveRun) -> None:
    before = run.record.audit
    StandingGrants(run).give_back("1-0")
    assert run.record.audit == before
