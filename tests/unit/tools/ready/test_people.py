"""The tool `ask_human`: a question that people answer, and that nothing executes."""

import pytest

from backstay.errors import ToolError
from backstay.tools.declare import options_of
from backstay.tools.ready.people import ask_human
from backstay.tools.ready.settings import PeopleTable


def test_an_answer_is_of_outsiders_unless_the_group_is_trusted() -> None:
    asked = options_of(ask_human(PeopleTable(group="ops", groups=["people"])))
    assert asked is not None
    assert (asked.effect, asked.untrusted, asked.marks.clean, asked.groups) == (
        "read",
        True,
        ("by", "why"),
        ("people",),
    )
    trusted = options_of(ask_human(PeopleTable(group="ops", trusted=True)))
    assert trusted is not None
    assert (trusted.untrusted, trusted.marks.clean) == (False, ())


def test_rules_read_whether_there_are_choices() -> None:
    options = options_of(ask_human(PeopleTable(group="ops")))
    assert options is not None
    _, has_choices = options.facts["has_choices"]
    assert [has_choices(given) for given in (None, [], ["a"])] == [False, False, True]


def test_nothing_executes_a_question() -> None:
    with pytest.raises(ToolError, match="executed nowhere"):
        ask_human(PeopleTable(group="ops"))("why?")
