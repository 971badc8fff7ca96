"""Values are weighed with all that they hold."""

import sys

import pytest

from activities.weight import weight
from backstay.contracts.conversation import Said
from backstay.contracts.decision import ProposedCall


@pytest.mark.parametrize("value", [None, 7, 1.5, True, "text", "\N{GRINNING FACE}" * 100, b"bytes"])
def test_a_scalar_takes_what_python_says(value: object) -> None:
    assert weight(value) == sys.getsizeof(value)


@pytest.mark.parametrize(
    "holder",
    [
        ["x" * 5_000],
        ("x" * 5_000,),
        {"x" * 5_000},
        {"key": "x" * 5_000},
        {"x" * 5_000: "value"},
        [[{"deep": ["x" * 5_000]}]],
        Said("x" * 5_000),
        ProposedCall(call_id="1-0", tool="pay", arguments="x" * 5_000),
    ],
)
def test_what_a_value_holds_is_counted(holder: object) -> None:
    assert 5_000 < weight(holder) < 8_000
