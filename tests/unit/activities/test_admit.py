"""`admit`: what a run may do and spend, or every reason why it may not start."""

import pytest
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.admit import Admit
from activities.at_once import AtOnce
from backstay.contracts.admission import Admission, AdmitInput
from backstay.contracts.delegate import ParentRun
from backstay.contracts.ledger import LedgerRef
from backstay.contracts.problems import Problem
from backstay.contracts.proof import SignedMessage, Stance, VerifyInput, VerifyResult
from backstay.errors import HistoryError
from backstay.kernel.budget import Limits
from backstay.kernel.control import Incident, InForce, Mode, Told
from backstay.kernel.ledger_sums import Limit
from backstay.kernel.scope import Scope

from .fakes import RUN, FakeProofs, FakeStarts
from .ledgers import FakeAllowances
from .world import World

PROOF = VerifyInput(
    signed=SignedMessage(namespace="default", run_id="run-1", message="start", content={"goal": "pay"}),
    by="ann",
    proof="ann's",
    at_ms=1,
)


async def admitted(
    world: World,
    proofs: FakeProofs | None = None,
    proof: VerifyInput | None = None,
    starts: FakeStarts | None = None,
) -> Admission:
    at_once = AtOnce(FakeAllowances([]), world.control)
    activity = Admit(
        world.catalog,
        world.gate,
        at_once,
        proofs or FakeProofs(),
        starts or FakeStarts(),
    )
    return await world.env.run(activity.admit, AdmitInput(agent="clerk", requested_by="ann", proof=proof))


async def test_an_admission_adds_the_rules_in_force_to_the_catalogs(world: World) -> None:
    admission = await admitted(world)
    assert (admission.agent, admission.tools) == ("clerk", [world.tool.spec])
    assert admission.policy_version == "sha256:rules-of-clerk"


async def test_a_run_that_cannot_be_admitted_fails_for_good_and_lists_every_problem(world: World) -> None:
    world.catalog.problems = [
        Problem(field="agent", problem="there is no such agent"),
        Problem(field="budget.usd", problem="above the ceiling"),
    ]
    with pytest.raises(ApplicationError) as caught:
        await admitted(world)
    assert (caught.value.type, caught.value.non_retryable) == ("InvalidInput", True)
    assert caught.value.message == ("invalid input: `agent`: there is no such agent; `budget.usd`: above the ceiling")
    assert caught.value.details == (
        [
            {"field": "agent", "problem": "there is no such agent"},
            {"field": "budget.usd", "problem": "above the ceiling"},
        ],
    )


@pytest.mark.parametrize("stance", ["optional", "required"])
async def test_an_admission_says_whether_the_start_was_proven(world: World, stance: Stance) -> None:
    admission = await admitted(world, proofs=FakeProofs(stance), proof=PROOF)
    assert (admission.proofs, admission.proven) == (stance, True)


@pytest.mark.parametrize("stance", ["optional", "unverifiable"])
async def test_where_no_proof_is_required_a_start_without_one_is_a_claim(world: World, stance: Stance) -> None:
    proofs = FakeProofs(stance)
    admission = await admitted(world, proofs=proofs)
    assert (admission.proofs, admission.proven, proofs.asked) == (stance, False, [])


@pytest.mark.parametrize(
    ("proofs", "proof", "problem"),
    [
        (FakeProofs("required"), None, "a proof is required: sign the request"),
        (FakeProofs("optional", VerifyResult(code="ProofInvalid", text="not ann's")), PROOF, "not ann's"),
    ],
)
async def test_a_start_that_is_not_proven_and_must_be_is_no_run(
    world: World, proofs: FakeProofs, proof: VerifyInput | None, problem: str
) -> None:
    with pytest.raises(ApplicationError) as caught:
        await admitted(world, proofs=proofs, proof=proof)
    assert (caught.value.type, caught.value.non_retryable) == ("InvalidInput", True)
    assert caught.value.details == ([{"field": "metadata.backstay.proof", "problem": problem}],)


async def test_a_proof_that_started_a_run_of_this_id_starts_no_other(world: World) -> None:
    world.within(RUN)
    elsewhere = FakeStarts({"run-elsewhere": {"ann's"}})
    assert (await admitted(world, proof=PROOF, starts=elsewhere)).proven
    with pytest.raises(ApplicationError) as caught:
        await admitted(world, proof=PROOF, starts=FakeStarts({RUN.workflow_id: {"ann's"}}))
    problem = "this proof has started a run of this id before: sign again"
    assert caught.value.details == ([{"field": "metadata.backstay.proof", "problem": problem}],)


async def test_where_the_engine_cannot_say_who_used_a_proof_nothing_is_admitted(world: World) -> None:
    with pytest.raises(HistoryError):
        await admitted(world, proof=PROOF, starts=FakeStarts(fault=HistoryError("it lags")))
    assert not (await admitted(world, starts=FakeStarts(fault=HistoryError("it lags")))).proven


async def test_a_start_in_the_scope_of_a_stop_is_refused_and_one_that_nobody_knows_of_waits(world: World) -> None:
    told = Told("olga", "it pays twice", 1)
    stopped = InForce().stop(Incident("i1", Scope.read("agent:clerk"), Mode.STOP, told))
    assert isinstance(stopped, InForce)
    for state, kind in ((stopped, "IncidentStop"), (InForce(confirmed=False), "Held")):
        world.control.state = state
        with pytest.raises(ApplicationError) as refused:
            await admitted(world)
        assert (refused.value.type, refused.value.non_retryable) == (kind, True)
        assert refused.value.category is ApplicationErrorCategory.BENIGN, "a log of many runs would be full of it"


async def test_a_run_queues_where_its_tenant_may_not_have_any_number_of_runs_at_once(world: World) -> None:
    assert not (await admitted(world)).queues
    world.control.state = world.control.state.limit("default", 3)
    assert (await admitted(world)).queues


HANDED_DOWN = ParentRun(
    run_id="boss", call_id="1-0", goal="pay", limits=Limits(), depth=0, tools=["pay"], above=[], proven=True
)


async def child_admitted(world: World, starts: FakeStarts, proofs: FakeProofs | None = None) -> Admission:
    one = (LedgerRef(tenant="acme"), (Limit("tenant", "runs", None, 1),))
    at_once = AtOnce(FakeAllowances([], runs=[one]), world.control)
    activity = Admit(world.catalog, world.gate, at_once, proofs or FakeProofs(), starts)
    return await world.env.run(activity.admit, AdmitInput(agent="clerk", parent=HANDED_DOWN))


async def test_a_child_needs_no_proof_and_no_place_because_its_parent_has_both(world: World) -> None:
    admission = await child_admitted(world, FakeStarts(), FakeProofs("required"))
    assert (admission.proven, admission.queues) == (True, False)


async def test_a_run_that_no_run_has_started_is_handed_nothing_down(world: World) -> None:
    with pytest.raises(ApplicationError, match="`parent`") as caught:
        await child_admitted(world, FakeStarts(foreign=True))
    assert (caught.value.type, caught.value.non_retryable) == ("InvalidInput", True)
