"""The calls of a reply, as servers write them."""

import json
from typing import Any

import pytest

from backstay.adapters.model.openai_calls import written_calls
from backstay.kernel.arguments import NAMES

GOOD: dict[str, Any] = {"id": "a", "type": "function", "function": {"name": "look", "arguments": '{"key": 1}'}}
READ = ("look", '{"key": 1}')
FLAT: dict[str, Any] = {"name": "look", "arguments": '{"key": 1}'}


def read(value: object) -> list[tuple[str, str]]:
    """The names and arguments of the calls."""
    return [(call.name, call.arguments) for call in written_calls(value)]


@pytest.mark.parametrize("value", [None, "", [], {}, [None], ["", {}, []]], ids=repr)
def test_what_holds_nothing_holds_no_call(value: object) -> None:
    assert written_calls(value) == []


@pytest.mark.parametrize(
    "value",
    [[GOOD], GOOD, FLAT, [FLAT], {"0": GOOD}, [None, GOOD, ""], [{"function": "look", "arguments": '{"key": 1}'}]],
    ids=repr,
)
def test_a_call_is_read_in_any_shape(value: object) -> None:
    assert read(value) == [READ]


@pytest.mark.parametrize(
    "bad",
    [
        {"function": {"name": None, "arguments": ""}},
        {"function": {"arguments": ""}},
        {"function": None},
        {"function": {"name": 7}},
        {"id": "b"},
        7,
        "look",
    ],
    ids=repr,
)
def test_a_bad_call_beside_a_good_one_is_a_call_without_a_name(bad: object) -> None:
    assert read([GOOD, bad, GOOD]) == [READ, ("", ""), READ]


@pytest.mark.parametrize(
    ("arguments", "text"), [(None, ""), ("", ""), (" ", ""), ("null", ""), (7, "7"), ([1], "[1]")], ids=repr
)
def test_arguments_stay_what_was_sent(arguments: object, text: str) -> None:
    assert read([{"function": {"name": "look", "arguments": arguments}}]) == [("look", text)]
    assert read([{"function": {"name": "look"}}]) == [("look", "")]


PAID: dict[str, Any] = {"order": "A17", "amount": 5}
TEXT = json.dumps(PAID)
OTHER_NAMES = (*NAMES[1:], "parsed_arguments", "Arguments", "ARGS", "Parameters")


@pytest.mark.parametrize("nothing", [{}, {"arguments": None}, {"arguments": ""}, {"arguments": " null "}], ids=str)
@pytest.mark.parametrize("name", OTHER_NAMES)
@pytest.mark.parametrize("value", [PAID, TEXT], ids=["object", "text"])
def test_arguments_under_another_name_are_the_arguments(nothing: dict[str, Any], name: str, value: object) -> None:
    given = {name: value}
    for call in (
        {"function": {"name": "pay", **nothing, **given}},
        {"function": {"name": "pay", **nothing}, **given},
        {"type": "function_call", "call_id": "c", "name": "pay", **nothing, **given},
        {"function": "pay", **nothing, **given},
    ):
        assert read([call]) == [("pay", TEXT)], call


def test_arguments_beside_the_function_are_the_arguments() -> None:
    assert read([{"function": {"name": "pay"}, "arguments": PAID}]) == [("pay", TEXT)]
    assert read([{"function": {"name": "pay", "arguments": None}, "arguments": TEXT}]) == [("pay", TEXT)]


@pytest.mark.parametrize(
    ("stray", "shown"),
    [
        ({"payload": PAID}, "`payload`"),
        ({"body": TEXT}, "`body`"),
        ({"order": "A17", "amount": 5}, "`order`, `amount`"),
        ({"amount": 0}, "`amount`"),
        ({"all": False}, "`all`"),
        ({"custom": {"name": "pay", "input": "x"}}, "`custom`"),
        ({"values": [1]}, "`values`"),
        ({"x" * 900: PAID}, f"`{'x' * 40}`"),
    ],
    ids=str,
)
def test_arguments_under_a_name_that_nobody_knows_are_refused_in_words(stray: dict[str, Any], shown: str) -> None:
    calls = [
        {"function": {"name": "pay", **stray}},
        {"function": {"name": "pay", "arguments": ""}, **stray},
        {"type": "function_call", "name": "pay", **stray},
    ]
    for call in written_calls(calls):
        assert call.problem == f"the call has no `arguments` but {shown}; write its arguments as `arguments`"
        assert call.arguments == json.dumps(stray)


@pytest.mark.parametrize(
    "call",
    [
        {"function": {"name": "pay", "arguments": "{}", "parameters": PAID}},
        {"function": {"name": "pay", "arguments": "{ }"}, "input": TEXT},
        {"function": {"name": "pay", "arguments": TEXT}, "arguments": {"order": "A18"}},
        {"function": {"name": "pay", "args": TEXT, "input": "all"}},
    ],
    ids=str,
)
def test_arguments_given_twice_that_differ_are_refused_in_words(call: dict[str, Any]) -> None:
    [written] = written_calls([call])
    assert written.problem is not None
    assert "twice" in written.problem
    assert "A17" not in written.problem


def test_arguments_given_twice_that_agree_are_the_arguments() -> None:
    call = {"function": {"name": "pay", "arguments": TEXT}, "arguments": {"amount": 5, "order": "A17"}}
    assert read([call]) == [("pay", TEXT)]


def test_empty_arguments_beside_filled_ones_of_that_name_are_none() -> None:
    assert read([{"function": {"name": "pay", "arguments": {}}, "arguments": PAID}]) == [("pay", TEXT)]


@pytest.mark.parametrize(
    "beside",
    [
        {"arguments": "{}"},
        {"arguments": "{}", "parameters": {}},
        {"input": {}},
        {"extra_content": {"google": {"thought_signature": "abc"}}},
        {"id": "c", "type": "function", "index": 0, "call_id": "c", "response_id": "r"},
        {"provider_specific_fields": {"a": 1}, "status": "completed", "created_at": 17},
    ],
    ids=str,
)
def test_a_call_without_arguments_has_none(beside: dict[str, Any]) -> None:
    for call in written_calls([{"function": {"name": "balance", **beside}}, {"name": "balance", **beside}]):
        assert (call.problem, call.arguments) in ((None, ""), (None, "{}"))


def test_the_servers_id_and_every_field_stay_beside_a_call() -> None:
    [chat, response] = written_calls([GOOD, {**FLAT, "id": "fc_1", "call_id": "c"}])
    assert (chat.id, chat.raw, response.id) == ("a", GOOD, "c")


def test_names_arguments_and_calls_are_bounded() -> None:
    [call, *more] = written_calls([{"name": "n" * 900, "arguments": "a" * 400_000}] * 600)
    assert (len(call.name), len(call.arguments), len(more)) == (200, 300_000, 499)
