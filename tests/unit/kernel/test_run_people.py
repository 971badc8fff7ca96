"""When an agent is told something, and when people are asked: what the run remembers of it."""

from dataclasses import replace

import pytest

from backstay.kernel.approval import Approval, ApprovalEnd, ApprovalKind
from backstay.kernel.events import (
    ApprovalEnded,
    ApprovalOpened,
    ApprovalVoted,
    CallEnded,
    CallHeld,
    CallOutcome,
    Concluding,
    Event,
    Warned,
)
from backstay.kernel.run_state import RunState
from backstay.kernel.stop import Thresholds
from backstay.kernel.stopping import gets_nowhere

ASKED = Approval("apr_1", ApprovalKind.ACTION, "1-0", "pay", "d", ("finance",), {"finance": ("ann", "bob")})


def admitted() -> RunState:
    return RunState(admitted=True)


def after(state: RunState, *events: Event) -> RunState:
    for event in events:
        state = state.after(event)
    return state


@pytest.mark.parametrize(
    ("fingerprints", "repeats", "nowhere"),
    [
        ("", 3, False),
        ("ab", 3, False),
        ("aa", 3, True),
        ("abab", 3, True),
        ("aa", 4, False),
        ("aaa", 4, True),
        ("a", 1, False),
        ("abcdeaceb", 3, False),  # four that are not new
        ("abcdeacebda", 3, True),  # six
    ],
)
def test_an_agent_that_gets_nowhere_is_to_be_told_once_and_in_time(
    fingerprints: str, repeats: int, nowhere: bool
) -> None:
    state = replace(admitted(), thresholds=Thresholds(repeats=repeats))
    for number, fingerprint in enumerate(fingerprints):
        ended = CallEnded(f"1-{number}", "pay", CallOutcome.COMPLETED, fingerprint)
        state = after(state, CallHeld(f"1-{number}", "pay", 0), ended)
    assert gets_nowhere(state) == nowhere
    assert not gets_nowhere(state.after(Warned(2)))


def test_an_agent_is_told_to_conclude_for_good() -> None:
    assert admitted().after(Concluding("usd")).concluding


def test_an_approval_is_open_until_it_ends() -> None:
    state = admitted().after(ApprovalOpened(ASKED))
    assert state.open_approvals == [ASKED]
    voted = state.after(ApprovalVoted("apr_1", "ann"))
    assert voted.open_approvals[0].answered_by == ("ann",)
    ended = voted.after(ApprovalEnded("apr_1", ApprovalEnd.APPROVED, "ann"))
    assert ended.open_approvals == []
    assert ended.denials == 0
    assert ended.after(ApprovalEnded("apr_1", ApprovalEnd.DENIED, "bob")) == ended
    assert ended.after(ApprovalOpened(ASKED)) == ended


@pytest.mark.parametrize("by", ["ann", "nobody"])
def test_a_vote_that_does_not_count_changes_nothing(by: str) -> None:
    state = after(admitted(), ApprovalOpened(ASKED), ApprovalVoted("apr_1", "ann"))
    assert state.after(ApprovalVoted("apr_1", by)) == state
    assert state.after(ApprovalVoted("apr_2", "bob")) == state
