"""What a run's record finds once for each state is what the kernel says of it, whatever happens."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from backstay.kernel.events import Event
from backstay.kernel.stopping import interruption, next_stop
from workflows.run.record import Record

from .strategies import EVENTS


@given(st.lists(EVENTS, max_size=30))
def test_the_record_says_of_each_state_what_the_kernel_says(events: list[Event]) -> None:
    record = Record(lambda: datetime(2026, 5, 1, tzinfo=UTC))
    for event in events:
        record.apply(event)
        state = record.state
        for _ in range(2):
            assert (record.strongest, record.interrupted) == (next_stop(state), interruption(state))
            assert (record.waiting, record.waits_for_people) == (state.open_approvals, state.waits_for_people)
