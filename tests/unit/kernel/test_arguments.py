"""Arguments as models really write them: read strictly, and refused without a word of them."""

import json
from typing import Any

import pytest

from backstay.kernel.arguments import MAX_BYTES, Unreadable, read_arguments, repeated_arguments

CANARY = "q7Zx"
NOT_JSON = "the arguments are not valid JSON"
NO_OBJECT = "the arguments are not a JSON object"
REPEATED = "the arguments repeat a key"
NAN = "the arguments hold NaN or infinity, which JSON has not"
OVERFLOW = "the arguments hold a number that overflows"
UNWRITABLE = "the arguments hold a NUL character or a broken surrogate pair"
TOO_DEEP = "the arguments nest deeper than 64 levels"
TOO_LONG = "the arguments are longer than 262144 bytes"


def padded(characters: int, character: str = "x") -> str:
    return '{"a":"' + character * characters + '"}'


BAD = {
    "nothing": ("", NOT_JSON),
    "white space": (" \n", NOT_JSON),
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
    "5,000 digits": ('{"n": ' + "7" * 5_000 + "}", NOT_JSON),
    "null": ("null", NO_OBJECT),
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


GOOD: dict[str, tuple[str, dict[str, Any]]] = {
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
