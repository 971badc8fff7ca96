"""One spelling for digests: equal values share it, and different values never do."""

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from activities.canonical import canonical

INTEGERS = st.integers(-(2**64), 2**64) | st.sampled_from(
    [2**53 - 1, 2**53, 2**53 + 1, 10**16, 10**18, 1234567890123456800]
)
NUMBERS = INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | INTEGERS.map(float)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)


@given(NUMBERS, NUMBERS)
def test_numbers_share_a_spelling_exactly_where_they_are_equal(one: float, other: float) -> None:
    assert (canonical(one) == canonical(other)) == (one == other)


@given(VALUES)
def test_what_rfc_8785_can_hold_is_spelled_as_there(value: Any) -> None:
    try:
        plain = rfc8785.dumps(value)
    except rfc8785.CanonicalizationError:
        return
    assert canonical(value) == plain


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, None, 2.0]}, '{"a":[true,null,2],"b":1}'),
        ([2**53 + 1], '["\\u00009007199254740993"]'),
        ((2**53, -(2**63)), "[9007199254740992,-9223372036854776000]"),
        ({"n": [1234567890123456789]}, '{"n":["\\u00001234567890123456789"]}'),
    ],
)
def test_the_spelling_is_fixed_for_good(value: object, text: str) -> None:
    assert canonical(value).decode() == text
    assert json.loads(text) is not None
