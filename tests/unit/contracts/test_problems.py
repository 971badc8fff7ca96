"""Validation errors as lines that a caller can act on, without the values that were sent."""

from typing import Annotated

import pytest
from pydantic import Field, ValidationError

from backstay.contracts.problems import Contract, Problem, fields_at, plain_problems, problems_of, summary


class Parcel(Contract):
    """A contract with a number, and parts of its own."""

    weight: int = Field(gt=0)
    parts: dict[str, int] = Field(default_factory=dict[str, int])


def problems(sent: object) -> list[Problem]:
    with pytest.raises(ValidationError) as caught:
        Parcel.model_validate(sent)
    return problems_of(caught.value)


@pytest.mark.parametrize(
    ("sent", "field", "problem"),
    [
        ({}, "weight", "required"),
        ({"weight": 1, "color": "red"}, "color", "unknown field"),
        ({"weight": 0}, "weight", "input should be greater than 0"),
        (
            {"weight": 1, "parts": {"a": "secret"}},
            "parts.a",
            "input should be a valid integer, unable to parse string as an integer",
        ),
        ({"weight": 1, "parts": {5: 5}}, "parts.5", "input should be a valid string"),
        ({"weight": 1, "parts": []}, "parts", "expected a JSON object"),
        ("a text", "$", "expected a JSON object"),
    ],
)
def test_a_problem_names_its_field_and_what_it_must_be(sent: object, field: str, problem: str) -> None:
    assert problems(sent) == [Problem(field=field, problem=problem)]


@pytest.mark.parametrize(
    ("sent", "fields"),
    [
        ({"weigth": 1}, ["weigth", "weight"]),
        ({"Weights": 1, "color": "red"}, ["Weights", "weight", "color"]),
        ({"color": "red"}, ["weight", "color"]),
        ({"parts": [], "heavy_weight": 1}, ["heavy_weight", "weight", "parts"]),
    ],
)
def test_a_mistyped_field_comes_before_the_one_that_is_missing_for_it(sent: object, fields: list[str]) -> None:
    assert [one.field for one in problems(sent)] == fields


def test_a_problem_is_one_line_for_a_person_and_two_values_for_a_program() -> None:
    problem = Problem(field="weight", problem="required")
    assert str(problem) == "`weight`: required"
    assert plain_problems([problem]) == [{"field": "weight", "problem": "required"}]


@pytest.mark.parametrize(("number", "more"), [(1, ""), (10, ""), (11, "; and 1 more"), (50, "; and 40 more")])
def test_a_summary_shows_ten_problems_and_counts_the_rest(number: int, more: str) -> None:
    found = [Problem(field=f"f{n}", problem="required") for n in range(number)]
    assert summary(found) == "; ".join(str(problem) for problem in found[:10]) + more


def test_a_contract_is_frozen() -> None:
    parcel = Parcel(weight=1)
    with pytest.raises(ValidationError, match="frozen"):
        parcel.weight = 2


class Label(Contract):
    """A part of a shipment."""

    street: str


class Shipment(Contract):
    """A contract that holds others, in each way that one may."""

    parcel: Parcel | None = None
    labels: dict[str, Label] = Field(default_factory=dict[str, Label])
    stops: list[Annotated[Label, Field()]] = Field(default_factory=list[Label])


@pytest.mark.parametrize(
    ("location", "known"),
    [
        (["parzel"], ["parcel", "labels", "stops"]),
        (["parcel", "wait"], ["weight", "parts"]),
        (["labels", "home", "stret"], ["street"]),
        (["stops", 0, "stret"], ["street"]),
        (["labels", "anything"], []),
        (["parcel", "weight", "x"], []),
        (["nothing", "x"], []),
        (["nothing", "x", "y"], []),
    ],
)
def test_the_fields_known_at_a_place_are_those_of_its_contract(location: list[int | str], known: list[str]) -> None:
    assert fields_at(Shipment, location) == known


def test_a_mistyped_field_is_told_which_was_meant_and_another_is_not() -> None:
    with pytest.raises(ValidationError) as caught:
        Shipment.model_validate({"parzel": None, "zzz": 1, "labels": {"home": {"stret": "x", "street": "x"}}})
    assert {one.field: one.problem for one in problems_of(caught.value, Shipment)} == {
        "parzel": "unknown field; did you mean `parcel`?",
        "zzz": "unknown field",
        "labels.home.stret": "unknown field; did you mean `street`?",
    }
