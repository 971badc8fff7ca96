"""A start from outside brings no state, and the next link of a chain does."""

from backstay.contracts.link import LinkInput
from backstay.contracts.problems import Problem

TOLD = "only an earlier link of the same workflow may hand this on"


class Tally(LinkInput):
    """The input of a workflow that counts for somebody."""

    handed_on = ("count", "peak")

    whose: str
    count: int | None = None
    peak: int | None = None


def test_a_start_from_outside_says_only_whom_the_workflow_serves() -> None:
    assert Tally.read(({"whose": "acme"},), continued=False) == Tally(whose="acme")


def test_each_part_of_a_state_from_outside_is_refused_by_name() -> None:
    refused = Tally.read(({"whose": "acme", "count": 0, "peak": 5},), continued=False)
    assert refused == [Problem(field="count", problem=TOLD), Problem(field="peak", problem=TOLD)]


def test_an_earlier_link_hands_its_state_on() -> None:
    assert Tally.read(({"whose": "acme", "count": 3},), continued=True) == Tally(whose="acme", count=3)


def test_a_mistyped_field_is_told_which_one_was_meant() -> None:
    [mistyped, missing] = Tally.read(({"whos": "acme"},), continued=False)
    assert str(mistyped) == "`whos`: unknown field; did you mean `whose`?"
    assert str(missing) == "`whose`: required"
