"""What a reply of the model amounts to."""

import time

import pytest

from backstay.kernel.events import DecisionKind
from backstay.kernel.reply import Reading, read_reply, written_call

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


@pytest.mark.parametrize("calls", [0, 2])
@pytest.mark.parametrize("text", ["it is 5", None])
def test_a_reply_with_a_known_problem_is_never_acted_upon(text: str | None, calls: int) -> None:
    assert read_reply(text, calls, "stop", ["pay"], "no") == Reading(DecisionKind.MALFORMED, "no")
    assert read_reply(text, calls, "length", ["pay"], "no") == Reading(DecisionKind.MALFORMED, CUT)


CALL = '{"name": "pay", "arguments": {"amount": 5}}'
WRITTEN = {
    "bare": CALL,
    "in white space": f"\n {CALL}\n",
    "in a list": f"[{CALL}]",
    "among others": f'["a", {CALL}]',
    "fenced": f"I will pay.\n```json\n{CALL}\n```\nDone.",
    "fenced as a call": f"```tool_call\n{CALL}```",
    "fenced as nothing": f"```{CALL}```",
    "in the second fence": f"```python\nprint(1)\n```\n```json\n{CALL}\n```",
    "tagged": f"<tool_call>{CALL}</tool_call>",
    "tagged and cut": f"<tool_call>\n{CALL}",
    "as a function": '{"type": "function", "function": {"name": "pay", "arguments": "{}"}}',
    "as a named function": '{"function": "pay", "parameters": {}}',
    "with more beside it": '{"tool": "pay", "args": {}, "id": 1, "type": "call"}',
    "of an unknown tool": '{"tool_name": "refund", "input": {}}',
}
WORDS = {
    "prose": "I would call pay with 5.",
    "a name": '{"name": "pay"}',
    "an object": '{"amount": 5, "currency": "EUR"}',
    "a list of numbers": "[1, 2]",
    "an unknown name among more": '{"name": "Ann", "input": "tea", "table": 7}',
    "a name that is no text": '{"name": 5, "arguments": {}}',
    "half an object": '{"name": "pay", "arguments": {',
    "an example in another language": f"```python\n{CALL}\n```",
    "prose with an object in it": f"The call is {CALL}.",
    "too many brackets": "[" * 100_000,
    "a deep function": '{"function":' * 50_000 + "1" + "}" * 50_000,
    "a long number": "[" + "7" * 5_000 + "]",
}


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN.keys())
def test_a_call_that_is_written_as_text_is_no_answer(text: str) -> None:
    assert written_call(text, ["pay"])
    reading = read_reply(text, 0, "stop", ["pay"])
    assert reading.kind is DecisionKind.MALFORMED
    assert reading.problem is not None
    assert "nothing was executed" in reading.problem
    assert read_reply(text, 1, "stop", ["pay"]) == Reading(DecisionKind.CALLS)


@pytest.mark.parametrize("text", WORDS.values(), ids=WORDS.keys())
def test_what_only_looks_like_a_call_is_an_answer(text: str) -> None:
    assert read_reply(text, 0, "stop", ["pay"]) == Reading(DecisionKind.ANSWER)


@pytest.mark.parametrize("depth", [1, 2, 100])
def test_a_function_within_functions_is_followed_down(depth: int) -> None:
    assert written_call('{"function":' * depth + CALL + "}" * depth, ["pay"])


@pytest.mark.parametrize(
    "piece", ["```" + " " * 50_000, "`" * 50_000, "```a" * 12_000, "<tool_call>" * 5_000, "``` " * 12_000]
)
def test_a_long_reply_is_read_in_no_time(piece: str) -> None:
    start = time.process_time()
    assert read_reply("x" + piece, 0, "stop", ["pay"]).kind is DecisionKind.ANSWER
    assert time.process_time() - start < 1.0
