"""Money at the edge: a decimal string, and nothing else."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from backstay.contracts.money import Usd

USD: TypeAdapter[str] = TypeAdapter(Usd)


@pytest.mark.parametrize("text", ["0", "0.50", "0.000001", "1000000"])
def test_a_decimal_string_is_read_as_it_stands(text: str) -> None:
    assert USD.validate_python(text) == text


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        (0.5, "decimal string such as"),
        (1, "decimal string such as"),
        (None, "decimal string such as"),
        ("", "decimal string such as"),
        ("-1", "decimal string such as"),
        ("1e3", "decimal string such as"),
        ("0.0000001", "at most six decimals"),
        ("0." + "0" * 63, "at most 64"),
    ],
)
def test_anything_else_is_refused(sent: Any, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        USD.validate_python(sent)
