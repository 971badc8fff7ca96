"""Rows as JSON: every value has a text, and there is a limit to all of it."""

import datetime
import decimal
import hashlib
import json
import uuid
from typing import Any

import pytest

from backstay.errors import ToolError
from backstay.tools.ready.sql_rows import LONGEST_CELL, RowLimits, cell, columns_of

DIGEST = hashlib.sha256(b"ab").hexdigest()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (1.5, 1.5),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        ("text", "text"),
        ("x" * (LONGEST_CELL + 1), "x" * LONGEST_CELL + f"[cut: {LONGEST_CELL + 1} characters]"),
        (b"ab", f"[bytes: 2, sha256 {DIGEST}]"),
        (memoryview(b"ab"), f"[bytes: 2, sha256 {DIGEST}]"),
        (decimal.Decimal("1.50"), "1.50"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (datetime.datetime(2026, 1, 2, 3, tzinfo=datetime.UTC), "2026-01-02T03:00:00+00:00"),
        (datetime.time(3, 4), "03:04:00"),
        (datetime.timedelta(days=1), "1 day, 0:00:00"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ([decimal.Decimal(1), {"a": b"ab"}], ["1", {"a": f"[bytes: 2, sha256 {DIGEST}]"}]),
        (frozenset({1}), [1]),
    ],
)
def test_every_value_is_json(value: Any, shown: Any) -> None:
    assert cell(value) == shown
    json.dumps(cell(value), allow_nan=False)


def test_what_is_nested_without_an_end_is_text() -> None:
    nested: list[Any] = []
    nested.append(nested)
    assert "..." in json.dumps(cell(nested))


def test_columns_of_one_name_are_told_apart() -> None:
    assert columns_of(["id", "id", "id_2", "id"]) == ["id", "id_2", "id_2_2", "id_3"]


def test_too_many_columns_are_refused() -> None:
    columns_of(map(str, range(100)))
    with pytest.raises(ToolError, match=r"^too_large: 101 columns"):
        columns_of(map(str, range(101)))


def test_rows_are_cut_at_their_number_and_at_their_size() -> None:
    few = RowLimits(2, 10_000)
    assert [few.take(["a"], [n]) for n in range(3)] == [True, True, False]
    assert (few.rows().rows, few.rows().cut) == ([{"a": 0}, {"a": 1}], True)
    small = RowLimits(100, 60)
    assert [small.take(["a"], ["x" * 20]) for _ in range(3)] == [True, False, False]
    whole = RowLimits(2, 10_000)
    assert whole.take(["a"], [1])
    assert not whole.rows().cut
