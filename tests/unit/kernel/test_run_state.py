"""The state of a run as a value: frozen, and the same after a fact that changes nothing."""

from dataclasses import FrozenInstanceError

import pytest

from backstay.kernel.approval import Approval, ApprovalEnd, ApprovalKind
from backstay.kernel.events import ApprovalEnded, ApprovalOpened, ClaimProven, Killed
from backstay.kernel.run_state import RunState


def approval(number: int) -> Approval:
    return Approval(f"apr_{number}", ApprovalKind.ACTION, f"1-{number}", "pay", "d", ("finance",))


def test_a_state_is_changed_by_events_only() -> None:
    state = RunState()
    with pytest.raises(FrozenInstanceError):
        state.paused = True  # pyright: ignore[reportAttributeAccessIssue]
    assert state.after(Killed("ann", "enough")) != state == RunState()


def test_a_fact_that_decides_nothing_leaves_the_state_as_it_is() -> None:
    state = RunState().after(Killed("ann", "enough"))
    assert state.after(ClaimProven("approve", "ann")) is state


def test_open_approvals_are_those_without_an_end_the_oldest_first() -> None:
    state = RunState()
    for number in (2, 1, 3):
        state = state.after(ApprovalOpened(approval(number)))
    state = state.after(ApprovalEnded("apr_1", ApprovalEnd.EXPIRED, "nobody"))
    assert state.open_approvals == [approval(2), approval(3)]
