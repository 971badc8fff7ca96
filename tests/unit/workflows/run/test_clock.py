from dataclasses import replace
from datetime import timedelta

import pytest

from backstay.contracts.admission import Admission
from backstay.kernel.approval import Approval, ApprovalEnd, ApprovalKind
from backstay.kernel.events import Admitted, ApprovalEnded, ApprovalOpened, DeadlinePassed
from backstay.kernel.incident_events import Frozen, Thawed
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


DAY = timedelta(days=1)


def minutes(clock: Clock, end_ms: int) -> float:
    return (end_ms - clock.now_ms()) / 60_000


def admit(
    clock: Clock, admission: Admission, *, excludes: bool = True, wait_at_most: float | None = 7 * 86_400
) -> None:
    spec = admission.approval.model_copy(update={"wait_at_most": wait_at_most})
    clock.admit(admission.model_copy(update={"approval": spec, "seconds_exclude_approvals": excludes}))


def test_an_approval_ends_after_its_own_time_where_nothing_ends_before(clock: Clock, admission: Admission) -> None:
    admit(clock, admission)
    assert minutes(clock, clock.end_ms(DAY)) == 24 * 60


def test_all_waiting_of_a_run_together_is_limited(
    clock: Clock, record: Record, time: Time, admission: Admission
) -> None:
    admit(clock, admission, wait_at_most=3_600)
    record.apply(ApprovalOpened(ASKED))
    time.passes(20 * 60)
    assert minutes(clock, clock.end_ms(DAY)) == 40
    record.apply(ApprovalEnded("apr_1", ApprovalEnd.APPROVED, "ann"))
    time.passes(86_400)
    assert minutes(clock, clock.end_ms(DAY)) == 40
    record.apply(ApprovalOpened(replace(ASKED, approval_id="apr_2")))
    time.passes(60 * 60)
    assert minutes(clock, clock.end_ms(DAY)) == 0


def test_an_approval_does_not_outlast_the_time_limits_of_the_engine(
    record: Record, time: Time, admission: Admission
) -> None:
    clock = Clock(record, time, time.now, closes=time.now + timedelta(minutes=10))
    admit(clock, admission)
    end = clock.end_ms(DAY)
    assert (minutes(clock, end), clock.ends_at(end)) == (10, True)
    assert not clock.ends_at(end - 10)


def test_a_run_admitted_before_there_was_an_outer_limit_shows_what_it_showed(
    record: Record, time: Time, admission: Admission
) -> None:
    clock = Clock(record, time, time.now, closes=time.now + timedelta(minutes=10))
    admit(clock, admission, wait_at_most=None)
    assert minutes(clock, clock.end_ms(DAY)) == 24 * 60


def test_a_reader_sees_the_seconds_of_his_own_time_and_never_more_than_the_limit(
    clock: Clock, time: Time, admitted: None
) -> None:
    began = time.now
    assert clock.seconds() == 0
    assert clock.seconds_at(began + timedelta(seconds=40)) == 40
    assert clock.seconds_at(began + timedelta(seconds=4000)) == 60
    time.passes(5)
    assert clock.seconds_at(began) == 5  # a machine whose clock is behind
    clock.stop()
    assert clock.seconds_at(began + timedelta(seconds=40)) == 5


def test_the_time_in_which_an_incident_holds_the_run_uses_up_no_seconds(
    clock: Clock, record: Record, time: Time
) -> None:
    time.passes(3)
    record.apply(Frozen("i1", "olga", "look at it"))
    time.passes(100)
    assert (clock.seconds(), clock.frozen_ms()) == (3, 100_000)
    record.apply(Thawed("i1", "olga", clock.frozen_ms()))
    time.passes(4)
    assert (clock.seconds(), clock.frozen_ms()) == (7, 0)
    assert clock.frozen_for() == timedelta(seconds=100)


def test_a_frozen_run_waits_for_nobody(clock: Clock, record: Record, time: Time, admission: Admission) -> None:
    admit(clock, admission, wait_at_most=3_600)
    record.apply(ApprovalOpened(ASKED))
    record.apply(Frozen("i1", "olga", "look at it"))
    time.passes(30 * 60)
    record.apply(Thawed("i1", "olga", clock.frozen_ms()))
    assert (minutes(clock, clock.end_ms(DAY)), clock.seconds()) == (60, 0)


def test_the_time_to_say_more_is_part_of_all_waiting_and_ends_before_the_engine_ends_the_run(
    record: Record, time: Time, admission: Admission
) -> None:
    clock = Clock(record, time, time.now, closes=time.now + timedelta(hours=3))
    admit(clock, admission, wait_at_most=None)
    assert minutes(clock, clock.open_until_ms(DAY) + 10_000) == 3 * 60
    admit(clock, admission, wait_at_most=3_600)
    assert minutes(clock, clock.open_until_ms(DAY)) == 60
