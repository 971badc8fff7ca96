"""The body of a reply: what can be stored is kept, and the arguments of calls stay as they were sent."""

import json
from typing import Any, cast

import pytest

from backstay.adapters.model.body import read_body
from backstay.kernel.arguments import Unreadable, read_arguments


def arguments(sent: str) -> Any:
    """The arguments of a call that were sent as an object."""
    body: Any = read_body(f'{{"calls": [{{"name": "pay", "arguments": {sent}}}]}}'.encode())
    return body["calls"][0]["arguments"]


@pytest.mark.parametrize(
    "sent",
    [
        '{"amount": 5, "to": "ann"}',
        '{"amount": 9999, "amount": 1}',
        '{"lines": [{"a": 1, "a": 2}]}',
        '{"amount": NaN}',
        '{"amount": [Infinity, -Infinity]}',
        '{"amount": 1e999}',
        f'{{"amount": {"9" * 5000}}}',
        '{"amount": 120000.0}',
        '{"to": "größe 😀", "quoted": "a\\"b\\\\"}',
        '{"to": "\\ud800"}',
        "[1, 2]",
        "7",
        "true",
        "{}",
        "[" * 70 + "]" * 70,
    ],
    ids=lambda sent: sent[:40],
)
def test_arguments_that_are_sent_as_an_object_are_read_like_a_text(sent: str) -> None:
    assert read_arguments(arguments(sent)) == read_arguments(sent)


@pytest.mark.parametrize(
    "sent",
    [
        '{"a": 100.00000000000000001}',
        '{"a": [1e-400]}',
        '{"a": 1, "a": 1}',
        '{"a": {"b": 1, "b": 2}}',
        '{"a": NaN}',
        '{"a": 1e400}',
        f'{{"a": {"1" * 1500}}}',
    ],
)
def test_what_a_text_is_refused_for_an_object_is_refused_for(sent: str) -> None:
    assert isinstance(read_arguments(arguments(sent)), Unreadable)


@pytest.mark.parametrize("name", ["input", "parameters", "args", "Arguments"])
@pytest.mark.parametrize("call", ['{"name": "pay", "%s": %s}', '{"function": {"name": "pay"}, "%s": %s}'])
def test_arguments_under_another_name_stay_what_was_sent_too(call: str, name: str) -> None:
    sent = '{"amount": 9999, "amount": 1}'
    read = cast("dict[str, Any]", read_body((call % (name, sent)).encode()))
    assert isinstance(read_arguments(read[name]), Unreadable)


def test_no_arguments_and_a_text_stay_what_they_are() -> None:
    assert arguments("null") is None
    assert arguments('"{}"') == "{}"


def test_elsewhere_a_long_number_is_the_nearest() -> None:
    value: Any = read_body(b'{"cost": 0.00012345678901234567890}')
    assert type(value["cost"]) is float
    assert value["cost"] == 0.00012345678901234568


@pytest.mark.parametrize("odd", ["NaN", "-Infinity", "1e999", "9" * 1_001])
def test_elsewhere_an_odd_number_is_null(odd: str) -> None:
    assert read_body(f'{{"usage": {{"n": [{odd}]}}, "arguments": {{"n": {odd}}}}}'.encode()) == {
        "usage": {"n": [None]},
        "arguments": {"n": None},
    }


def test_what_can_be_stored_is_kept() -> None:
    value = {"a": [1, 1.5, True, None, "ä"], "name": {"b": {}}}
    assert read_body(json.dumps(value).encode()) == value
    assert read_body(b'\xef\xbb\xbf{"a": "\\ud800", "b": 1, "b": 2}') == {"a": "?", "b": 2}


@pytest.mark.parametrize("body", [b"", b"no", b"\xff\xfe", b"[" * 66 + b"]" * 66, b"{", b"1 2"])
def test_what_is_no_json_or_nests_too_deep_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        read_body(body)
