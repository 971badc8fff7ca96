"""What a reply of the model amounts to."""

import pytest

from backstay.kernel.events import DecisionKind
from backstay.kernel.reply import Reading, read_reply

CUT = "your reply was cut by the length limit; answer shorter"
FILTERED = "your reply was withheld by the provider's content filter"
EMPTY = "your reply was empty; answer, or call a tool"


@pytest.mark.parametrize("text", ["yes", None, ""])
@pytest.mark.parametrize("calls", [0, 2])
@pytest.mark.parametrize(("finish", "problem"), [("length", CUT), ("filtered", FILTERED)])
def test_a_reply_that_is_not_whole_is_never_acted_upon(text: str | None, calls: int, finish: str, problem: str) -> None:
    assert read_reply(text, calls, finish) == Reading(DecisionKind.MALFORMED, problem)


@pytest.mark.parametrize(
    ("text", "calls", "reading"),
    [
        ("it is 5", 0, Reading(DecisionKind.ANSWER)),
        (" 0 ", 0, Reading(DecisionKind.ANSWER)),
        ("let me look", 1, Reading(DecisionKind.CALLS)),
        (None, 3, Reading(DecisionKind.CALLS)),
        (None, 0, Reading(DecisionKind.MALFORMED, EMPTY)),
        ("", 0, Reading(DecisionKind.MALFORMED, EMPTY)),
        (" \n\t\u2003", 0, Reading(DecisionKind.MALFORMED, EMPTY)),
    ],
)
def test_a_whole_reply_is_an_answer_or_calls_or_nothing(text: str | None, calls: int, reading: Reading) -> None:
    assert read_reply(text, calls, "stop") == reading
