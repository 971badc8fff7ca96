import pytest

from backstay.contracts.admission import Admission
from backstay.kernel.approval import Approval, ApprovalKind
from backstay.kernel.budget import Amount
from backstay.kernel.events import Admitted, ApprovalOpened, CancelRequested, DecisionHeld, Event, Killed, Paused
from backstay.kernel.stop import Stop, StopReason
from workflows.run.clock import Clock
from workflows.run.live import LiveRun
from workflows.run.record import Record
from workflows.run.report import open_state, status_of

ASKED = ApprovalOpened(Approval("apr_1", ApprovalKind.ACTION, "1-0", "pay", "sha256:d", ("finance",)))


def admitted(admission: Admission) -> Admitted:
    return Admitted("clerk", "1", "t", None, "m", admission.limits, admission.thresholds, None, max_output_tokens=100)


def test_a_run_that_was_not_admitted_yet_is_queued(record: Record, clock: Clock) -> None:
    status = status_of(record, clock, None)
    assert (status.state, status.agent_version, status.step) == ("queued", None, 0)


@pytest.mark.parametrize(
    ("events", "word"),
    [
        ([], "running"),
        ([ASKED], "waiting_approval"),
        ([ASKED, Paused("ann")], "paused"),
        ([ASKED, Paused("ann"), Killed("bob", "why")], "stopping"),
        ([CancelRequested()], "stopping"),
    ],
)
def test_one_word_says_where_an_admitted_run_stands(
    events: list[Event], word: str, record: Record, admission: Admission
) -> None:
    record.apply(admitted(admission))
    for event in events:
        record.apply(event)
    assert open_state(record) == word


def test_a_closed_run_says_so_with_its_reason(run: LiveRun, admission: Admission) -> None:
    run.apply(admitted(admission))
    run.record.close(Stop(StopReason.COMPLETED))
    status = status_of(run.record, run.clock, run)
    assert (status.state, status.stop_reason, status.agent_version) == ("closed", "completed", "sha256:1")


def test_an_open_approval_shows_its_arguments(run: LiveRun, admission: Admission) -> None:
    run.apply(admitted(admission))
    run.record.asked["apr_1"] = {"amount": 120}
    run.apply(ASKED)
    (pending,) = status_of(run.record, run.clock, run).pending_approvals
    assert (pending.approval_id, pending.args) == ("apr_1", {"amount": 120})


def test_what_is_held_back_for_a_last_answer_stands_by_itself_until_it_is_asked_for(
    run: LiveRun, admission: Admission
) -> None:
    run.apply(admitted(admission))
    assert status_of(run.record, run.clock, run).held_back is None
    run.apply(DecisionHeld(1, 1, 10, 10, Amount(steps=1, usd=30), last_answer=Amount(steps=1, usd=9)))
    status = status_of(run.record, run.clock, run)
    assert status.held_back is not None
    assert (status.held.usd, status.held_back.usd) == ("0.000039", "0.000009")
    run.apply(DecisionHeld(2, 1, 10, 10, Amount(steps=1, usd=9)))
    assert status_of(run.record, run.clock, run).held_back is None
