"""Whatever a model writes as arguments: it is read as JSON reads it, or refused without a word of it."""

import json
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.kernel.arguments import Unreadable, read_arguments

pytestmark = pytest.mark.soak

PROBLEM = re.compile(
    "the arguments (are longer than 262144 bytes|nest deeper than 64 levels|are not valid JSON|are not a JSON object|"
    "repeat a key|hold NaN or infinity, which JSON has not|hold a number that overflows|"
    "hold a number with too many digits; write it as text where text is taken|"
    "hold an integer beyond 64 bits; write it as text where text is taken|"
    "hold a NUL character or a broken surrogate pair)"
)
WRITABLE = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | WRITABLE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WRITABLE, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(WRITABLE, VALUES, max_size=5)
PIECES = st.sampled_from([*'{}[]",:\\0e9-. \x00\ufeff\ud83d\ude00', "NaN", "1e999", '"a":', "\\u0000", "\\ud800"])


def assert_read_as_json_or_refused(raw: str) -> None:
    arguments = read_arguments(raw)
    if isinstance(arguments, Unreadable):
        assert PROBLEM.fullmatch(arguments.problem)
    else:
        assert arguments == (json.loads(raw) or {} if raw.strip() else {})
        assert json.loads(json.dumps(arguments, allow_nan=False)) == arguments


@given(OBJECTS, st.booleans(), st.sampled_from([None, 2]))
def test_an_object_is_read_as_json_reads_it(value: dict[str, Any], ascii_only: bool, indent: int | None) -> None:
    raw = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert read_arguments(raw) == json.loads(raw) == value


@given(st.text(st.characters(exclude_categories=[])) | st.lists(PIECES).map("".join))
def test_any_text_is_read_as_json_reads_it_or_refused(raw: str) -> None:
    assert_read_as_json_or_refused(raw)


@given(OBJECTS, st.data())
def test_broken_json_is_never_repaired(value: dict[str, Any], data: st.DataObject) -> None:
    raw = json.dumps(value, ensure_ascii=False)
    at = data.draw(st.integers(0, len(raw)))
    until = data.draw(st.integers(at, min(len(raw), at + 3)))
    assert_read_as_json_or_refused(raw[:at] + data.draw(st.just("") | PIECES) + raw[until:])


@given(VALUES.filter(lambda value: value is not None and not isinstance(value, dict)))
def test_any_other_json_is_no_arguments(value: object) -> None:
    assert read_arguments(json.dumps(value)) == Unreadable("the arguments are not a JSON object")


@given(OBJECTS, st.sampled_from(["\x00", "\ud800", "\udfff", "\ude00\ud83d"]), st.data())
def test_a_text_that_cannot_be_stored_is_refused_wherever_it_stands(
    value: dict[str, Any], bad: str, data: st.DataObject
) -> None:
    text = data.draw(WRITABLE) + bad + data.draw(WRITABLE)
    placed: Any = data.draw(st.sampled_from([text, [1, text], {text: 1}, {"deep": [{"er": [text]}]}]))
    raw = json.dumps({**value, "placed": placed})
    assert read_arguments(raw) == Unreadable("the arguments hold a NUL character or a broken surrogate pair")


@given(OBJECTS, WRITABLE, VALUES, VALUES)
def test_a_repeated_key_is_refused_however_it_is_spelled(
    value: dict[str, Any], key: str, first: object, second: object
) -> None:
    spelled = "".join(f"\\u{unit:04x}" for unit in _units(key))
    pair = f'{json.dumps(key)}: {json.dumps(first)}, "{spelled}": {json.dumps(second)}'
    raw = json.dumps({"outer": [value]})[:-2] + ", {" + pair + "}]}"
    assert read_arguments(raw) == Unreadable("the arguments repeat a key")


def _units(text: str) -> list[int]:
    encoded = text.encode("utf-16-be")
    return [int.from_bytes(encoded[at : at + 2], "big") for at in range(0, len(encoded), 2)]


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,4})(\.[0-9]{1,4})?[eE][+-]?[0-9]{1,3}", fullmatch=True).filter(str.isascii))
def test_a_number_is_read_where_it_stays_itself_and_refused_where_it_does_not(number: str) -> None:
    value = float(number)
    read = read_arguments(f'{{"n": [{number}]}}')
    if abs(value) == float("inf"):
        assert read == Unreadable("the arguments hold a number that overflows")
    elif Decimal(number) != Decimal(repr(value)):
        assert isinstance(read, Unreadable)
        assert "too many digits" in read.problem
    else:
        assert read == {"n": [value]}


@given(st.sampled_from([1, 63, 64, 65, 66]) | st.integers(1, 200), st.sampled_from("[{"))
def test_nesting_is_read_to_the_limit_and_no_deeper(depth: int, kind: str) -> None:
    opening, closing = ('{"a":', "}") if kind == "{" else ("[", "]")
    raw = '{"a":' + opening * (depth - 1) + '"[[{{"' + closing * (depth - 1) + "}"
    assert isinstance(read_arguments(raw), Unreadable) == (depth > 64)
