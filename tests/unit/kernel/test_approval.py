"""Who may answer an approval, and how many have to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, permutations, product

import pytest

from backstay.kernel.approval import Approval, ApprovalEnd, ApprovalKind, Quorum, filled, names_of, quorum_of, seats

MEMBERS = {"finance": ("ann", "bob"), "legal": ("bob", "cem")}
ASKED = Approval("apr_1", ApprovalKind.ACTION, "1-0", "pay", "sha256:d", ("finance:2",), MEMBERS, requester="req")


@pytest.mark.parametrize(
    ("spec", "quorum"),
    [
        ("finance", Quorum("finance")),
        ("finance:1", Quorum("finance", 1)),
        ("finance:2", Quorum("finance", 2)),
        ("ops.eu-west/on_call@night:99", Quorum("ops.eu-west/on_call@night", 99)),
    ],
)
def test_a_spec_names_a_group_and_how_many_of_it(spec: str, quorum: Quorum) -> None:
    assert quorum_of(spec) == quorum


UNREADABLE = [
    *("", ":", ":2", "finance:", "finance:0", "finance:00", "finance:02", "finance:-1", "finance:+1", "finance:100"),
    *("finance:x", "finance:2x", "finance:2:2", "finance: 2", "finance:\u0662", "fin ance", "finance\n", "f\u00e9"),
    *("x" * 81, "-finance", ".finance"),
]


@pytest.mark.parametrize("spec", UNREADABLE)
def test_what_is_no_spec_is_refused_and_nobody_can_fill_it(spec: str) -> None:
    assert quorum_of(spec) is None
    assert (names_of([spec, "legal"]), seats([spec, "legal"])) == (["legal"], ["legal"])
    assert not filled([spec], {spec: ["ann"], "finance": ["ann"]}, ["ann"])
    asked = replace(ASKED, groups=(spec,), members={spec: ("ann",), "finance": ("ann",)})
    assert not asked.voted("ann").granted
    assert (asked.refuses("ann") or pytest.fail("it counts")).code == "NotInGroup"


def test_two_specs_of_one_group_ask_for_the_larger_number_and_not_the_sum() -> None:
    assert seats(["finance", "legal", "finance:2"]) == ["finance", "finance", "legal"]
    assert names_of(["finance", "legal", "finance:2"]) == ["finance", "legal"]


@pytest.mark.parametrize(
    ("specs", "people", "enough"),
    [
        (["finance"], [], False),
        (["finance"], ["cem"], False),
        (["finance"], ["ann"], True),
        (["finance:2"], ["ann"], False),
        (["finance:2"], ["ann", "bob"], True),
        (["finance:3"], ["ann", "bob", "cem"], False),
        (["finance", "legal"], ["bob"], False),  # one person takes one seat
        (["finance", "legal"], ["bob", "ann"], True),  # bob moves over to legal
        (["finance", "legal"], ["ann", "bob"], True),
        (["nobody"], ["ann"], False),
        ([], [], True),
    ],
)
def test_every_seat_needs_a_person_of_its_own(specs: list[str], people: list[str], enough: bool) -> None:
    assert filled(specs, MEMBERS, people) == enough


def test_every_way_to_seat_three_people_in_three_groups_is_found() -> None:
    people = ("ann", "bob", "cem")
    some = [group for size in range(4) for group in combinations(people, size)]
    for specs, (one, two, three) in product((["a", "b"], ["a:2", "b"], ["a", "b", "c"]), product(some, repeat=3)):
        members = {"a": one, "b": two, "c": three}
        wanted = seats(specs)
        for voters in permutations(people):
            orders = permutations(voters, len(wanted))
            possible = any(all(map(_in_group(members), wanted, order)) for order in orders)
            assert filled(specs, members, voters) == possible


def _in_group(members: Mapping[str, Sequence[str]]) -> Callable[[str, str], bool]:
    return lambda group, person: person in members[group]


@pytest.mark.parametrize(
    ("approval", "by", "code"),
    [
        (ASKED, "ann", None),
        (ASKED, "cem", "NotInGroup"),
        (ASKED, "req", "RequesterMayNotApprove"),
        (replace(ASKED, requester="ann"), "ann", "RequesterMayNotApprove"),
        (replace(ASKED, requester=" Ann"), "ann", "RequesterMayNotApprove"),
        (
            replace(ASKED, requester="jose\u0301", members={"finance": ("jos\u00e9",)}),
            "jos\u00e9",
            "RequesterMayNotApprove",
        ),
        (replace(ASKED, requester="Ann Lee <ann>"), "a\u200bnn", "RequesterMayNotApprove"),
        (replace(ASKED, editors=("mailto:ann",)), "ann", "EditorMayNotApprove"),
        (ASKED.voted("ann"), "Ann ", "AlreadyAnswered"),
        (ASKED, "ANN", None),
        (ASKED, "Ann Lee <ann>", None),
        (replace(ASKED, editors=("ANN",)), "ann", "EditorMayNotApprove"),
        (replace(ASKED, editors=("ann",)), "ann", "EditorMayNotApprove"),
        (ASKED.voted("ann"), "ann", "AlreadyAnswered"),
        (ASKED.voted("ann"), "bob", None),
        (ASKED.ended(ApprovalEnd.EXPIRED), "ann", "ApprovalExpired"),
        (ASKED.ended(ApprovalEnd.APPROVED), "ann", "ApprovalClosed"),
        (ASKED.ended(ApprovalEnd.INTERRUPTED), "nobody", "ApprovalClosed"),
    ],
)
def test_an_answer_that_does_not_count_is_refused_with_its_reason(
    approval: Approval, by: str, code: str | None
) -> None:
    refusal = approval.refuses(by)
    assert (refusal.code if refusal else None) == code
    assert refusal is None or refusal.text


@pytest.mark.parametrize(("at_ms", "late"), [(60_999, False), (61_000, True), (90_000, True), (None, False)])
def test_what_is_handled_from_the_expiry_on_is_late(at_ms: int | None, late: bool) -> None:
    asked = replace(ASKED, requested_at_ms=1_000, expires_at_ms=61_000)
    refusal = asked.refuses("ann", at_ms)
    assert (refusal is not None and refusal.code == "ApprovalExpired") == late


def test_who_answered_in_time_is_told_so_even_later() -> None:
    asked = replace(ASKED, expires_at_ms=61_000).ended(ApprovalEnd.APPROVED)
    refusal = asked.refuses("ann", 90_000)
    assert refusal is not None
    assert refusal.code == "ApprovalClosed"


def test_a_group_lists_a_person_in_one_spelling() -> None:
    assert ASKED.lists("ann")
    assert not ASKED.lists("Ann")
    assert not ASKED.lists("cem")


def test_one_person_in_two_spellings_fills_one_seat() -> None:
    both = replace(ASKED, members={"finance": ("ann", "Ann")})
    assert not both.voted("ann").voted("Ann").granted
    assert not filled(["finance", "legal"], {"finance": ["ann"], "legal": ["ANN"]}, ["ann", "Ann <ann>"])
    assert filled(["finance:2"], MEMBERS, ["ANN", "Bob <bob>"])


def test_an_approval_is_granted_once_its_seats_are_filled() -> None:
    assert ASKED.required == 2
    assert not ASKED.voted("ann").granted
    assert ASKED.voted("ann").voted("bob").granted


def test_people_have_from_the_request_to_its_expiry() -> None:
    assert replace(ASKED, requested_at_ms=1_000, expires_at_ms=61_000).lifetime_ms == 60_000


def test_an_approval_ends_once() -> None:
    denied = ASKED.ended(ApprovalEnd.DENIED, "too much")
    assert (denied.end, denied.comment) == (ApprovalEnd.DENIED, "too much")
    assert denied.ended(ApprovalEnd.APPROVED) == denied


@pytest.mark.parametrize("kind", ApprovalKind)
def test_a_yes_releases_a_call_or_raises_a_limit_and_answers_no_question(kind: ApprovalKind) -> None:
    assert kind.releases == (kind in ("action", "exposure", "budget"))
