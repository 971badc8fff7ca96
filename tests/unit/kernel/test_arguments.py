"""Arguments as models really write them: read strictly, and refused without a word of them."""

import json
from typing import Any

import pytest

from backstay.kernel.arguments import (
    MAX_BYTES,
    Unreadable,
    denied_arguments,
    has_whole_float,
    is_long,
    is_long_denied,
    read_arguments,
    refused_arguments,
    refused_text,
    repeated_arguments,
    whole_numbers,
)

CANARY = "q7Zx"
NOT_JSON = "the arguments are not valid JSON"
NO_OBJECT = "the arguments are not a JSON object"
REPEATED = "the arguments repeat a key"
NAN = "the arguments hold NaN or infinity, which JSON has not"
OVERFLOW = "the arguments hold a number that overflows"
TOO_BIG = "the arguments hold an integer beyond 64 bits; write it as text where text is taken"
UNWRITABLE = "the arguments hold a NUL character or a broken surrogate pair"
TOO_DEEP = "the arguments nest deeper than 64 levels"
TOO_LONG = "the arguments are longer than 262144 bytes"


def padded(characters: int, character: str = "x") -> str:
    return '{"a":"' + character * characters + '"}'


BAD = {
    "prose": (f"I would call it with {CANARY}", NOT_JSON),
    "fenced": (f'```json\n{{"to": "{CANARY}"}}\n```', NOT_JSON),
    "cut": (f'{{"to": "{CANARY}', NOT_JSON),
    "cut at an escape": (f'{{"to": "{CANARY}\\', NOT_JSON),
    "single quotes": (f"{{'to': '{CANARY}'}}", NOT_JSON),
    "bare keys": (f'{{to: "{CANARY}"}}', NOT_JSON),
    "a trailing comma": (f'{{"to": "{CANARY}",}}', NOT_JSON),
    "a comment": (f'{{"to": 1 /* {CANARY} */}}', NOT_JSON),
    "two objects": (f'{{"to": "{CANARY}"}}{{"to": "{CANARY}"}}', NOT_JSON),
    "words after it": (f'{{"to": 1}} {CANARY}', NOT_JSON),
    "Python's spelling": ('{"to": None, "now": True}', NOT_JSON),
    "undefined": ('{"to": undefined}', NOT_JSON),
    "a hexadecimal number": ('{"n": 0x10}', NOT_JSON),
    "a leading zero": ('{"n": 007}', NOT_JSON),
    "a raw line break": ('{"to": "a\nb"}', NOT_JSON),
    "a raw NUL": ('{"to": "a\x00b"}', NOT_JSON),
    "a byte order mark": ('\ufeff{"to": 1}', NOT_JSON),
    "a bad escape": ('{"to": "\\x41"}', NOT_JSON),
    "5,000 digits": ('{"n": ' + "7" * 5_000 + "}", TOO_BIG),
    "1,000 digits": ('{"n": [' + "7" * 1_000 + "]}", TOO_BIG),
    "65 bits": (f'{{"n": {2**64}}}', TOO_BIG),
    "65 bits below zero": (f'{{"n": {-(2**64)}}}', TOO_BIG),
    "true": ("true", NO_OBJECT),
    "a number": ("7", NO_OBJECT),
    "a string": (f'"{CANARY}"', NO_OBJECT),
    "an object in a string": (json.dumps(json.dumps({"to": CANARY})), NO_OBJECT),
    "a list": (f'[{{"to": "{CANARY}"}}]', NO_OBJECT),
    "NaN": ('{"n": NaN}', NAN),
    "NaN in no object": ("NaN", NAN),
    "infinity": ('{"n": [Infinity]}', NAN),
    "minus infinity": ('{"n": {"m": -Infinity}}', NAN),
    "an overflow": ('{"n": 1e999}', OVERFLOW),
    "an overflow below zero": ('{"n": [-1E+400]}', OVERFLOW),
    "a repeated key": (f'{{"to": "{CANARY}", "to": "{CANARY}2"}}', REPEATED),
    "a repeated key below": (f'{{"a": [{{"to": 1, "{CANARY}": 2, "to": 1}}]}}', REPEATED),
    "a repeated key, escaped": ('{"to": 1, "\\u0074o": 2}', REPEATED),
    "a NUL": (f'{{"to": "{CANARY}\\u0000"}}', UNWRITABLE),
    "a NUL in a key": (f'{{"{CANARY}\\u0000": 1}}', UNWRITABLE),
    "half of a pair": (f'{{"to": ["{CANARY}\\ud83d"]}}', UNWRITABLE),
    "the other half": (f'{{"to": {{"deep": "\\ude00{CANARY}"}}}}', UNWRITABLE),
    "a pair the wrong way round": ('{"to": "\\ude00\\ud83d"}', UNWRITABLE),
    "a raw half": ('{"to": "\ud83d"}', UNWRITABLE),
    "65 levels": ('{"a":' * 65 + "1" + "}" * 65, TOO_DEEP),
    "10,000 levels": ('{"a":' + "[" * 10_000 + "]" * 10_000 + "}", TOO_DEEP),
    "10,000 levels, cut": ('{"a":' + "[" * 10_000, TOO_DEEP),
    "a byte too many": (padded(MAX_BYTES - 7), TOO_LONG),
    "few characters of many bytes": (padded(MAX_BYTES // 4, "😀"), TOO_LONG),
    "many raw halves": ("\ud83d" * MAX_BYTES, TOO_LONG),
}


@pytest.mark.parametrize(("raw", "problem"), BAD.values(), ids=BAD.keys())
def test_bad_arguments_are_refused_and_never_repeated(raw: str, problem: str) -> None:
    assert read_arguments(raw) == Unreadable(problem)
    assert CANARY not in problem


EMPTY = ["", " ", " \n", "\t\r\n", "null", " null "]


@pytest.mark.parametrize("raw", EMPTY, ids=repr)
def test_arguments_that_were_left_out_are_an_empty_object_and_are_repeated_as_one(raw: str) -> None:
    assert read_arguments(raw) == {}
    assert repeated_arguments(raw) == "{}"


WHOLE: list[tuple[Any, Any]] = [
    (120000.0, 120000),
    (3e0, 3),
    (-0.0, 0),
    ([1.0, {"a": [2.0, "2.0"]}], [1, {"a": [2, "2.0"]}]),
    (2.0**53 - 1, 2**53 - 1),
]
NOT_WHOLE = [1.5, 1e-9, 2.0**53, 1e300, "1.0", True, None]


@pytest.mark.parametrize(("value", "whole"), WHOLE, ids=repr)
def test_a_whole_number_that_is_written_with_a_point_is_an_integer(value: Any, whole: Any) -> None:
    assert repr(whole_numbers(value)) == repr(whole)
    assert has_whole_float(value)
    assert not has_whole_float(whole)


@pytest.mark.parametrize("value", NOT_WHOLE, ids=repr)
def test_any_other_value_stays_as_it_is(value: Any) -> None:
    assert repr(whole_numbers(value)) == repr(value)
    assert not has_whole_float(value)


GOOD: dict[str, tuple[str, dict[str, Any]]] = {
    "64 bits": (f'{{"n": {2**64 - 1}, "m": {-(2**63)}}}', {"n": 2**64 - 1, "m": -(2**63)}),
    "nothing in it": ("{}", {}),
    "white space round it": (' \r\n\t{"to": 1} ', {"to": 1}),
    "every kind of value": (
        '{"a": null, "b": [true, false], "c": {"d": "e"}, "f": -0.5, "g": 12345678901234567890}',
        {"a": None, "b": [True, False], "c": {"d": "e"}, "f": -0.5, "g": 12345678901234567890},
    ),
    "a whole pair": ('{"to": "\\ud83d\\ude00"}', {"to": "😀"}),
    "brackets in strings": (json.dumps({"a": "[{" * 99 + '"' + "\\"}), {"a": "[{" * 99 + '"' + "\\"}),
    "the same key on two levels": ('{"a": {"a": 1}}', {"a": {"a": 1}}),
    "64 levels": ('{"a":' + "[" * 63 + "]" * 63 + "}", {"a": json.loads("[" * 63 + "]" * 63)}),
    "the last byte": (padded(MAX_BYTES - 8), {"a": "x" * (MAX_BYTES - 8)}),
    # What a schema has to judge, and no reader can:
    "smuggled keys": ('{"approvals": ["cfo"], "__proto__": {}}', {"approvals": ["cfo"], "__proto__": {}}),
    "a look-alike key": ('{"t\u043e": 1, "t\u200bo": 2}', {"t\u043e": 1, "t\u200bo": 2}),
}


@pytest.mark.parametrize(("raw", "value"), GOOD.values(), ids=GOOD.keys())
def test_an_object_is_read_as_it_stands(raw: str, value: dict[str, Any]) -> None:
    assert read_arguments(raw) == value


@pytest.mark.parametrize("raw", [raw for raw, _ in GOOD.values()], ids=GOOD.keys())
def test_an_object_is_repeated_as_it_stands(raw: str) -> None:
    assert repeated_arguments(raw) == raw


@pytest.mark.parametrize("raw", [raw for raw, _ in BAD.values()], ids=BAD.keys())
def test_what_is_no_object_is_repeated_within_one(raw: str) -> None:
    shown = raw[:200].encode("utf-8", "replace").decode()
    assert json.loads(repeated_arguments(raw)) == {"_invalid_arguments": shown}


def test_of_long_arguments_that_were_refused_the_beginning_is_repeated() -> None:
    assert [is_long("x" * 2_000), is_long("x" * 2_001)] == [False, True]
    assert json.loads(refused_arguments('{"a": "' + "x" * 100_000)) == {"_invalid_arguments": '{"a": "' + "x" * 193}


@pytest.mark.parametrize(
    "number",
    [
        *("100.00000000000000001", "123456789012345678.123456789", "12345678901234567.89", "9007199254740993.0"),
        *("1e-400", "-1e-400", "0e-99999999999999999999", "0.1000000000000000000000001"),
    ],
)
def test_a_number_that_would_become_another_is_refused(number: str) -> None:
    for raw in (f'{{"amount": {number}}}', f'{{"amounts": [{{"a": {number}}}]}}'):
        read = read_arguments(raw)
        assert isinstance(read, Unreadable)
        assert "too many digits" in read.problem


@pytest.mark.parametrize(
    "number", ["0.1", "0.30000000000000004", "1e22", "1e300", "1.50000000000000000000", "-0.0", "5e-324"]
)
def test_a_number_that_stays_what_it_is_is_read(number: str) -> None:
    assert read_arguments(f'{{"amount": {number}}}') == {"amount": float(number)}


def test_of_long_arguments_that_were_denied_the_beginning_is_repeated() -> None:
    assert [is_long_denied("x" * 8_000), is_long_denied("x" * 8_001)] == [False, True]
    shown = json.loads(denied_arguments('{"a": "' + "x" * 100_000))
    assert shown == {"_beginning_of_denied_arguments": '{"a": "' + "x" * 193}


def test_of_a_long_text_that_was_refused_the_beginning_is_repeated() -> None:
    assert refused_text("x" * 8_000) == "x" * 8_000
    cut = "\n[cut here: 8001 characters in all, the first 8000 are shown]"
    assert refused_text("\ud800" + "x" * 8_000) == "?" + "x" * 7_999 + cut
