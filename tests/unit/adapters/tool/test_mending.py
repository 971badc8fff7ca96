"""Nulls for what a model meant to leave out."""

from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from backstay.adapters.tool.mending import has, without_nulls, without_odd_numbers


class Line(BaseModel):
    sku: str
    count: int = 1


class Order(BaseModel):
    lines: list[Line] = []
    place: Line | int = 3
    size: int = 3


@pytest.mark.parametrize(
    ("given", "mended", "dropped"),
    [
        ({"size": None}, {}, [("size",)]),
        ({"lines": [{"sku": "a", "count": None}]}, {"lines": [{"sku": "a"}]}, [("lines", 0, "count")]),
        ({"place": {"sku": "a", "count": None}}, {"place": {"sku": "a"}}, [("place", "count")]),
        ({"lines": [None], "size": "x"}, {"lines": [None], "size": "x"}, [("lines", 0)]),
        ({"size": "x"}, {"size": "x"}, []),
    ],
    ids=str,
)
def test_the_nulls_among_the_problems_are_taken_out(given: Any, mended: Any, dropped: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(Order).validate_python(given)
    assert without_nulls(given, refused.value) == (mended, dropped)


@pytest.mark.parametrize(
    ("path", "there"),
    [((), True), (("a",), True), (("a", 0), True), (("a", 1), False), (("b",), False), (("a", 0, "x"), False)],
)
def test_a_path_is_followed(path: tuple[int | str, ...], there: bool) -> None:
    assert has({"a": [1]}, path) == there


@pytest.mark.parametrize(
    "text", ["", "-", "a1", "1.2.3", "2024-01-01", "12:30", "1e5", "0.5", ".5", "5.", "e5", "_", "A_1"]
)
def test_texts_that_are_numbers_to_nobody_or_everybody_stay(text: str) -> None:
    assert without_odd_numbers({"a": [text, None, 5]}) == {"a": [text, None, 5]}


@pytest.mark.parametrize("text", ["1_0", "１", " 1", "1e999", "-1_0.5e3"])
def test_texts_that_are_numbers_to_python_alone_are_none(text: str) -> None:
    assert without_odd_numbers({"a": [{"b": text}]}) == {"a": [{"b": "no number"}]}
