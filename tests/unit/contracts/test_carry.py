"""A run between two links of its chain; tests/property/test_carry.py holds that it decides the same in both."""

import pytest
from pydantic import ValidationError

from backstay.contracts.admission import Admission, LinkSpec, ModelSpec
from backstay.contracts.carried_call import CarriedCall, CarriedEnd, CarriedHold
from backstay.contracts.carry import MOST_BYTES, Carried, CarriedApprovals, CarriedNews, Start, read_link, recorded_link
from backstay.contracts.decision import ProposedCall
from backstay.contracts.run import RunRequest
from backstay.kernel.audit import AuditHead
from backstay.kernel.budget import Limits
from backstay.kernel.history import Extent
from backstay.kernel.meter import Excess, Exposed
from backstay.kernel.run_state import RunState
from backstay.kernel.stop import Thresholds
from backstay.kernel.verdict import Code, Outcome, Verdict

from .conftest import arrived

VERDICT = Verdict(Outcome.REQUIRE_APPROVAL, Code.NEEDS_APPROVAL, "sha256:d", "sha256:p", groups=("ops:2",))
WAITS = CarriedCall(
    call=ProposedCall(call_id="3-0", tool="pay", arguments="{}"),
    verdict=VERDICT,
    stage="asked",
    members={"ops": ["olga"]},
    hold=CarriedHold(usd=5, placed=True, asks=Excess({"refunds": Exposed(1, 2, 2)}, ("ops",))),
    approval_id="apr_1",
)
HAS_ENDED = CarriedCall(
    call=ProposedCall(call_id="3-1", tool="look", arguments="{}"),
    verdict=Verdict(Outcome.ALLOW, Code.PERMITTED, "sha256:e", "sha256:p"),
    end=CarriedEnd(status="completed", digest="abc"),
)
CARRIED = Carried(
    admission=Admission(
        agent="clerk",
        agent_version="1",
        instructions="Be careful.",
        model=ModelSpec(name="m", api="chat", max_output_tokens=100, give_up_after=600.0, price=None),
        tools=[],
        limits=Limits(),
        thresholds=Thresholds(),
        policy_version="1",
    ),
    state=RunState(admitted=True, step=3, taint=frozenset({"untrusted"})),
    audit=AuditHead(2, "sha256:2"),
    items=7,
    news=CarriedNews(notes=["Conclude."], size=73),
    calls=[WAITS, HAS_ENDED],
    approvals=CarriedApprovals(),
    last_decision=None,
    started_ms=1_000,
    waited_ms=0,
)


def test_it_arrives_as_it_was_sent() -> None:
    assert arrived(CARRIED) == CARRIED


@pytest.mark.parametrize("change", [{"waited_ms": -1}, {"items": -1}, {"state": {"step": "three"}}, {"more": 1}])
def test_what_does_not_fit_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Carried.model_validate({**CARRIED.model_dump(mode="json"), **change})


REQUEST = RunRequest(goal="go")
HANDED = CARRIED.handed_on(REQUEST)


def test_a_link_reads_what_the_link_before_has_handed_on() -> None:
    assert read_link((HANDED,), None, continued=True) == Start(REQUEST, CARRIED)
    assert recorded_link(HANDED, continued=True) == Start(REQUEST, CARRIED)


@pytest.mark.parametrize("handed", [{"goal": "go"}, REQUEST.model_dump()])
def test_a_request_alone_begins_a_chain(handed: dict[str, object]) -> None:
    assert read_link((handed,), None, continued=False) == Start(REQUEST)
    assert read_link((handed,), None, continued=True) == Start(REQUEST)


def test_what_nobody_has_handed_on_is_refused() -> None:
    problems = read_link((HANDED,), None, continued=False)
    assert isinstance(problems, list)
    assert {"carried", "request"} <= {problem.field for problem in problems}


@pytest.mark.parametrize("args", [(), ({"goal": "go"}, {}), ("go",), ({"goal": 5},)])
def test_what_is_no_request_is_refused_in_every_link(args: tuple[object, ...]) -> None:
    assert isinstance(read_link(args, None, continued=True), list)


@pytest.mark.parametrize("broken", [{"carried": {"items": -1}}, {"request": {"goal": 5}}])
def test_what_was_handed_on_and_does_not_fit_is_refused(broken: dict[str, object]) -> None:
    assert isinstance(read_link(({**(HANDED or {}), **broken},), None, continued=True), list)


def test_what_the_engine_would_not_take_is_not_handed_on() -> None:
    much = CARRIED.model_copy(update={"news": CarriedNews(notes=["x" * MOST_BYTES])})
    assert much.handed_on(REQUEST) is None


def test_a_link_grows_as_long_as_the_run_was_admitted_with() -> None:
    assert LinkSpec(events=40).extent() == Extent(40, 4_000_000, 500)
