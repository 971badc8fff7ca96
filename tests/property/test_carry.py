"""A run that was carried into another link of its chain decides as it would have decided in the one before."""

from hypothesis import given
from hypothesis import strategies as st

from backstay.contracts.admission import Admission, ModelSpec
from backstay.contracts.asked import Reply
from backstay.contracts.carried_call import CarriedAsking, CarriedCall, CarriedEnd, CarriedHold, CarriedTry
from backstay.contracts.carry import (
    Carried,
    CarriedApprovals,
    CarriedArchive,
    CarriedNews,
    CarriedProofs,
    CarriedReports,
)
from backstay.contracts.decision import Observation, ProposedCall
from backstay.contracts.deeds import Deed, RefusedMessage
from backstay.contracts.ledger import LedgerRef
from backstay.contracts.messages import Answer
from backstay.contracts.policy import Consent
from backstay.kernel.audit import AuditHead
from backstay.kernel.events import BudgetShort, CallHeld, Event
from backstay.kernel.meter import Excess, Exposed
from backstay.kernel.plan import open_call, open_decision, settle_decision
from backstay.kernel.price import Lost, Usage
from backstay.kernel.run_state import RunState
from backstay.kernel.stopping import gets_nowhere, interruption, next_stop
from backstay.kernel.verdict import Code, Outcome, Verdict

from .strategies import ADMITTED, CALL_IDS, EVENTS, LIMITS, PRICES, THRESHOLDS, TOOLS, usages

HISTORIES = st.lists(EVENTS, max_size=15)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NEWS = st.builds(
    CarriedNews,
    observations=st.lists(st.builds(Observation, call_id=CALL_IDS, text=st.none() | TEXTS, digest=st.none() | TEXTS)),
    notes=st.lists(TEXTS, max_size=3),
    size=st.integers(0, 3_000),
    results=st.integers(0, 3_000),
)
CALLS = st.builds(ProposedCall, call_id=CALL_IDS, tool=TOOLS, arguments=TEXTS)
VERDICTS = st.builds(
    Verdict,
    st.sampled_from(Outcome),
    st.sampled_from(Code),
    TEXTS,
    TEXTS,
    groups=st.lists(TEXTS, max_size=2).map(tuple),
    exposure=st.dictionaries(TEXTS, st.integers(0, 9), max_size=2),
)
EXPOSED = st.builds(Exposed, st.integers(0, 9), st.integers(0, 9), st.none() | st.integers(0, 9))
EXCESS = st.builds(Excess, st.dictionaries(TEXTS, EXPOSED, max_size=2), st.lists(TEXTS, max_size=2).map(tuple))
HOLDS = st.builds(
    CarriedHold,
    usd=st.integers(0, 9),
    placed=st.booleans(),
    counted=st.booleans(),
    agreed=st.dictionaries(TEXTS, st.integers(0, 9), max_size=2),
    asks=st.none() | EXCESS,
    short=st.none() | st.builds(BudgetShort, TEXTS, st.none() | TEXTS, st.none() | st.integers(0, 9)),
    limits=st.none() | LIMITS,
    share=st.none() | LIMITS,
    carved=st.booleans(),
)
ENDS = st.builds(CarriedEnd, status=TEXTS, text=st.none() | TEXTS, digest=TEXTS, labels=st.lists(TEXTS, max_size=2))
TRIES = st.builds(
    CarriedTry,
    text=TEXTS,
    usd=st.none() | st.integers(0, 9),
    key=st.none() | TEXTS,
    again=st.integers(0, 9),
    given=st.dictionaries(TEXTS, st.builds(Reply, action=st.just("decline")), max_size=2),
    rounds=st.integers(0, 5),
)
SHORT = st.builds(BudgetShort, TEXTS, st.none() | TEXTS, st.none() | st.integers(0, 9))
ASKING = st.builds(CarriedAsking, short=st.none() | SHORT, held=st.booleans(), proposed=st.lists(CALLS, max_size=2))
IN_PROGRESS = st.builds(
    CarriedCall,
    call=CALLS,
    verdict=VERDICTS,
    changed=st.none() | CALLS,
    stage=st.sampled_from(["room", "asked", "released"]),
    hold=st.none() | HOLDS,
    revision=st.integers(0, 9),
    approval_id=st.none() | st.just("apr_1"),
    consent=st.builds(Consent, editors=st.lists(TEXTS, max_size=2)),
    edited=st.booleans(),
    begun=st.none() | TRIES,
    end=st.none() | ENDS,
)
ANSWERS = st.builds(Answer, approval_id=st.just("apr_1"), by=st.just("ann"), answer=TEXTS, result=st.none() | TEXTS)
WAITING = st.builds(
    CarriedApprovals,
    calls=st.dictionaries(st.just("apr_1"), CALLS),
    answers=st.dictionaries(st.just("apr_1"), ANSWERS),
)
MODELS = st.builds(
    ModelSpec,
    name=TEXTS,
    api=st.just("chat"),
    max_output_tokens=st.integers(1, 500),
    give_up_after=st.just(600.0),
    price=st.none() | PRICES,
)
ADMISSIONS = st.builds(
    Admission,
    agent=TEXTS,
    agent_version=TEXTS,
    instructions=TEXTS,
    model=MODELS,
    tools=st.just([]),
    limits=LIMITS,
    thresholds=THRESHOLDS,
    policy_version=TEXTS,
)
HEADS = st.builds(AuditHead, st.integers(0, 9), TEXTS)


def after(state: RunState, history: list[Event]) -> RunState:
    for event in history:
        state = state.after(event)
    return state


@st.composite
def carried(draw: st.DrawFn) -> Carried:
    """A run after any history."""
    return Carried(
        admission=draw(ADMISSIONS),
        state=after(RunState().after(draw(ADMITTED)), draw(HISTORIES)),
        audit=draw(HEADS),
        items=draw(st.integers(0, 99)),
        news=draw(NEWS),
        calls=draw(st.lists(IN_PROGRESS, max_size=3)),
        approvals=draw(WAITING),
        last_decision=draw(st.none() | TEXTS),
        started_ms=draw(st.integers(0, 10**13)),
        waited_ms=draw(st.integers(0, 10**9)),
        ledgers=draw(st.lists(st.builds(LedgerRef, tenant=st.none() | st.just("acme")), max_size=2)),
        draws=draw(st.integers(0, 9)),
        frozen_ms=draw(st.integers(0, 10**9)),
        frozen_since_ms=draw(st.none() | st.integers(0, 10**13)),
        queued_ms=draw(st.integers(0, 10**9)),
        labels=draw(st.lists(TEXTS, max_size=2)),
        link=draw(st.integers(2, 99)),
        decided=draw(st.integers(0, 99)),
        begun_ms=draw(st.integers(0, 10**13)),
        people=draw(st.lists(st.builds(Deed, at=TEXTS, by=TEXTS, did=TEXTS), max_size=2)),
        refused=draw(st.lists(st.builds(RefusedMessage, at=TEXTS, message=TEXTS, code=TEXTS), max_size=2)),
        proofs=draw(st.builds(CarriedProofs, used=st.lists(TEXTS), doubts=st.dictionaries(TEXTS, st.integers(0, 9)))),
        happened=draw(st.lists(TEXTS, max_size=2)),
        paused_by_parent=draw(st.booleans()),
        reports=draw(st.builds(CarriedReports, codes=st.dictionaries(CALL_IDS, TEXTS), last_failure=TEXTS)),
        archive=draw(st.builds(CarriedArchive, kept=HEADS, items=st.integers(0, 99))),
        waited_since_ms=draw(st.none() | st.integers(0, 10**13)),
        deadline_ms=draw(st.none() | st.integers(0, 10**13)),
        dry=draw(st.none() | SHORT),
        asking=draw(st.none() | ASKING),
    )


def rebuilt(run: Carried) -> Carried:
    return Carried.model_validate_json(run.model_dump_json())


@given(carried())
def test_nothing_is_lost_on_the_way(run: Carried) -> None:
    assert rebuilt(run) == run


@given(carried(), HISTORIES)
def test_it_goes_the_same_way_whatever_happens_to_it(run: Carried, later: list[Event]) -> None:
    here, there = after(run.state, later), after(rebuilt(run).state, later)
    assert there == here
    assert (next_stop(there), interruption(there), gets_nowhere(there)) == (
        next_stop(here),
        interruption(here),
        gets_nowhere(here),
    )


@given(carried(), CALL_IDS, TOOLS, st.integers(0, 200_000), st.integers(0, 9), st.integers(1, 3), usages())
def test_it_asks_for_the_same_holds_and_settles_the_same_bills(
    run: Carried, call_id: str, tool: str, at_ms: int, usd: int, attempts: int, usage: Usage
) -> None:
    there = rebuilt(run)
    held = CallHeld(call_id, tool, at_ms, usd)
    assert open_decision(there.state, there.news.size) == open_decision(run.state, run.news.size)
    assert open_call(there.state, held, attempts) == open_call(run.state, held, attempts)
    assert settle_decision(there.state, usage, Lost(1), replied=True) == settle_decision(
        run.state, usage, Lost(1), replied=True
    )


@given(carried(), st.sampled_from(["ann", "bob", "eve"]))
def test_the_same_people_may_answer_the_same_approvals(run: Carried, person: str) -> None:
    for approval_id, approval in run.state.approvals.items():
        there = rebuilt(run).state.approvals[approval_id]
        assert (there.refuses(person), there.granted, there.required) == (
            approval.refuses(person),
            approval.granted,
            approval.required,
        )
