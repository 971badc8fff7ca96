import pytest

from backstay.contracts.admission import Admission
from backstay.kernel.approval import Approval, ApprovalEnd, ApprovalKind
from backstay.kernel.events import Admitted, ApprovalEnded, ApprovalOpened, DeadlinePassed
from workflows.run.clock import Clock
from workflows.run.record import Record

from .conftest import Time

ASKED = Approval("apr_1", ApprovalKind.ACTION, "1-0", "pay", "sha256:d", ("finance",))


@pytest.fixture
def admitted(record: Record, admission: Admission) -> None:
    """Admits the run with a limit of 60 seconds."""
    record.apply(
        Admitted("clerk", "1", "t", None, "m", admission.limits, admission.thresholds, None, max_output_tokens=100)
    )


def test_whole_seconds_are_counted_from_the_first_task_on(clock: Clock, time: Time) -> None:
    time.passes(2.9)
    assert clock.seconds() == 2


@pytest.mark.parametrize(("excludes", "counted"), [(False, 35), (True, 15)])
def test_time_spent_waiting_for_people_counts_unless_it_is_excluded(
    excludes: bool, counted: int, clock: Clock, record: Record, time: Time
) -> None:
    clock.excludes_waiting = excludes
    time.passes(10)
    record.apply(ApprovalOpened(ASKED))
    time.passes(20)
    assert clock.seconds() == (10 if excludes else 30)
    record.apply(ApprovalEnded("apr_1", ApprovalEnd.APPROVED, "ann"))
    time.passes(5)
    assert clock.seconds() == counted


@pytest.mark.usefixtures("admitted")
def test_a_deadline_missed_while_no_worker_ran_passes_once_somebody_looks(
    clock: Clock, record: Record, time: Time
) -> None:
    time.passes(60)
    clock.check_deadline()
    assert not record.state.deadline_passed
    time.passes(1)
    clock.check_deadline()
    assert record.state.deadline_passed


@pytest.mark.usefixtures("admitted")
def test_the_seconds_stand_still_once_the_deadline_has_passed(clock: Clock, record: Record, time: Time) -> None:
    time.passes(75)
    record.apply(DeadlinePassed(60))
    time.passes(5)
    assert clock.seconds() == 60


def test_the_seconds_stand_still_at_the_end(clock: Clock, time: Time) -> None:
    time.passes(3)
    clock.stop()
    time.passes(100)
    assert clock.seconds() == 3


def test_now_is_milliseconds_since_the_epoch(clock: Clock, time: Time) -> None:
    assert clock.now_ms() == int(time.now.timestamp() * 1000)
