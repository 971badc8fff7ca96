"""What an answer did is said in words, and where it does not count, who may answer by which command."""

import pytest

from backstay.cli.views.answered import taken, who_instead
from backstay.contracts.approval import EditResult, VoteResult

from .test_approval import pending

CLOSED = VoteResult(approval_id="ap-1", state="closed", answered_by=["ann"])
OPEN = VoteResult(approval_id="ap-1", state="open", answered_by=["ann"])


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("approve", "approved: the call goes ahead"),
        ("deny", "denied: the call is not made, and the model is told"),
        ("happened", "answered: the run takes the call as made"),
        ("not_happened", "answered: the run makes the call"),
        ("stop", "answered: the run ends"),
    ],
)
def test_an_answer_that_closes_says_what_becomes_of_the_call(said: str, words: str) -> None:
    assert taken(CLOSED, said, 1, "r1") == words


def test_an_answer_that_leaves_it_open_says_how_many_are_counted_of_how_many() -> None:
    assert taken(OPEN, "approve", 2, "r1") == "counted: 1 of 2"
    assert taken(OPEN, "approve", None, "r1") == "counted: 1 of several"


def test_an_edit_says_what_policy_says_and_how_others_release_it() -> None:
    waits = EditResult(approval_id="ap-1", outcome="require_approval", replaced_by="ap-2")
    assert taken(waits, "edit", 1, "r 1") == (
        "changed: policy says require_approval; it waits for others: backstay approve 'r 1' ap-2"
    )
    assert taken(EditResult(approval_id="ap-1", outcome="allow", replaced_by=None), "edit", 1, "r1") == (
        "changed: policy says allow"
    )


@pytest.mark.parametrize(
    ("approvers", "words"),
    [
        (["bob"], "let bob answer: backstay approve r1 ap-1 --by bob"),
        (["bob", "Eve <e@x.org>"], "let bob or Eve <e@x.org> answer: backstay approve r1 ap-1 --by bob"),
        (["B B", "eve", "kim"], "let B B, eve or kim answer: backstay approve r1 ap-1 --by 'B B'"),
    ],
)
def test_who_may_answer_is_named_with_a_command_to_type(approvers: list[str], words: str) -> None:
    assert who_instead(pending(approvers=approvers), "backstay approve r1 ap-1") == words


def test_where_nobody_is_left_the_groups_are_named() -> None:
    assert who_instead(pending(approvers=[], groups=["finance"]), "backstay approve r1 ap-1") == (
        "nobody else may answer: name more people in finance"
    )
