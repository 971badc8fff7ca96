"""People release a call only where enough different ones of the right groups say yes, and only once."""

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstay.kernel.approval import Approval, ApprovalEnd, Quorum, filled, names_of, quorum_of, seats, strictest
from backstay.kernel.events import ApprovalEnded, ApprovalOpened, ApprovalVoted, Event
from backstay.kernel.run_state import RunState

from .strategies import APPROVAL_IDS, APPROVALS, EVENTS, PEOPLE, SPECS

pytestmark = pytest.mark.soak

MEMBERS = st.fixed_dictionaries(
    {group: st.lists(PEOPLE, min_size=1, unique=True) for group in ("finance", "legal", "board")}
)
EVERYBODY = ["ann", "bob", "cem", "dan"]
VOTES = st.lists(PEOPLE, max_size=6)
COUNTS = st.sampled_from(["", "0", "1", "02", "9", "99", "100", "x", "-1", "\u0662", "2\n"])
TEXTS = st.tuples(st.text("aZ0.@/-_: ", max_size=3), st.sampled_from(["", ":"]), COUNTS).map("".join)


def seated_by_trying(wanted: list[str], members: dict[str, list[str]], people: list[str]) -> bool:
    """Tries every order of the people on the seats."""
    return any(
        all(person in members.get(group, []) for group, person in zip(wanted, order, strict=True))
        for order in permutations(dict.fromkeys(people), len(wanted))
    )


@settings(max_examples=4 * settings().max_examples)
@given(st.lists(SPECS, max_size=3), MEMBERS, st.lists(PEOPLE, max_size=1) | st.permutations(EVERYBODY))
def test_seats_are_filled_exactly_where_some_way_to_seat_people_exists(
    specs: list[str], members: dict[str, list[str]], people: list[str]
) -> None:
    assert filled(specs, members, people) == seated_by_trying(seats(specs), members, people)


@given(TEXTS | SPECS)
def test_a_spec_is_read_to_one_spelling_or_not_at_all(text: str) -> None:
    quorum = quorum_of(text)
    if quorum is None:
        assert not filled([text], {text: EVERYBODY, text.partition(":")[0]: EVERYBODY}, EVERYBODY)
        return
    assert quorum_of(quorum.spec) == quorum
    assert 1 <= quorum.count <= 99
    assert text in {quorum.spec, f"{quorum.group}:{quorum.count}"}
    assert seats([text]) == [quorum.group] * quorum.count


@given(st.lists(st.builds(Quorum, st.sampled_from("abc"), st.integers(1, 99))))
def test_of_one_group_the_most_people_are_needed_whatever_the_order(quorums: list[Quorum]) -> None:
    most = strictest(quorums)
    assert sorted(most) == sorted(strictest(quorums[::-1]))
    assert [one.group for one in most] == list(dict.fromkeys(one.group for one in quorums))
    assert all(one.count == max(other.count for other in quorums if other.group == one.group) for one in most)


@given(APPROVALS, VOTES)
def test_nobody_who_is_barred_counts_and_nobody_counts_twice(asked: Approval, votes: list[str]) -> None:
    state = RunState().after(ApprovalOpened(asked))
    for person in votes:
        state = state.after(ApprovalVoted(asked.approval_id, person))
    after = state.approvals[asked.approval_id]
    welcome = {person for group in names_of(asked.groups) for person in asked.members.get(group, ())}
    expected = [person for person in dict.fromkeys(votes) if person in welcome - {asked.requester, *asked.editors}]
    assert list(after.answered_by) == expected
    assert after.granted == filled(asked.groups, asked.members, expected)
    assert all(after.refuses(person) is not None for person in votes)


@given(st.lists(EVENTS, max_size=10), APPROVALS, st.sampled_from(ApprovalEnd), st.lists(EVENTS, max_size=20))
def test_what_people_decided_stays_so_whatever_follows(
    before: list[Event], asked: Approval, end: ApprovalEnd, later: list[Event]
) -> None:
    state = RunState()
    for event in (*before, ApprovalOpened(asked), ApprovalEnded(asked.approval_id, end, "ann")):
        state = state.after(event)
    decided = state.approvals[asked.approval_id]
    assert decided.end is not None
    for event in later:
        state = state.after(event)
        assert state.approvals[asked.approval_id] == decided
        assert decided not in state.open_approvals


@given(APPROVAL_IDS, PEOPLE, st.sampled_from(ApprovalEnd))
def test_an_answer_to_what_was_never_asked_changes_nothing(approval_id: str, by: str, end: ApprovalEnd) -> None:
    state = RunState()
    assert state.after(ApprovalVoted(approval_id, by)).after(ApprovalEnded(approval_id, end, by)) == state
