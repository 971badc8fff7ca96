"""Approval specs: how they are read, what fulfils them, and the fewest that are needed."""

import pytest

from policies.bundle.approval import Approval, approval_of, granted, needed


@pytest.mark.parametrize(
    ("text", "approval"),
    [
        ("finance", Approval("finance")),
        ("finance:1", Approval("finance", 1)),
        ("finance:2", Approval("finance", 2)),
        ("ops.eu-west/on_call@night:99", Approval("ops.eu-west/on_call@night", 99)),
    ],
)
def test_a_spec_names_a_group_and_a_number_of_people(text: str, approval: Approval) -> None:
    assert approval_of(text) == approval


@pytest.mark.parametrize(
    "text",
    ["", ":2", "finance:", "finance:0", "finance:-1", "finance:100", "finance:2:2", "fin ance", "finance\n", "f\u00e9"],
)
def test_what_is_no_spec_is_none(text: str) -> None:
    assert approval_of(text) is None
    assert granted([text]) == frozenset()


def test_more_people_are_also_fewer() -> None:
    assert granted(["finance:3", "owner", "nonsense:"]) == {"finance", "finance:2", "finance:3", "owner"}


def test_of_one_group_the_largest_number_is_needed_whatever_the_order() -> None:
    approvals = [Approval("finance", 3), Approval("owner"), Approval("finance", 2), Approval("finance")]
    assert needed(approvals) == needed(approvals[::-1]) == ("finance:3", "owner")
