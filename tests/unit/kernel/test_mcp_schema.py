import json
from typing import Any

import pytest

from backstay.kernel.mcp_schema import LONGEST_SCHEMA, UnfitError, shown_schema


def of(**properties: Any) -> dict[str, Any]:
    """A schema of an object."""
    return {"type": "object", "properties": properties}


def test_a_plain_schema_stays_as_it_is() -> None:
    schema = {**of(path={"type": "string"}), "required": ["path"], "additionalProperties": False}
    assert shown_schema(schema) == schema


@pytest.mark.parametrize("given", [{}, {"type": "object"}, {"properties": {}}])
def test_an_object_without_properties_is_given_some(given: dict[str, Any]) -> None:
    assert shown_schema(given) == {"properties": {}, "type": "object"}


def test_an_inner_object_without_properties_is_given_some_too() -> None:
    assert shown_schema(of(a={"type": "object"}))["properties"]["a"] == {"properties": {}, "type": "object"}


@pytest.mark.parametrize(
    ("given", "items"),
    [
        ({}, {}),
        ({"items": {"type": "string"}}, {"type": "string"}),
        (
            {"prefixItems": [{"type": "string"}, {"type": "integer"}]},
            {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        ),
        ({"prefixItems": [{"type": "string"}, {"type": "string"}]}, {"type": "string"}),
        ({"items": [{"type": "string"}]}, {"type": "string"}),
        ({"items": True}, {}),
        ({"prefixItems": 5}, {}),
    ],
)
def test_an_array_always_says_what_its_entries_are(given: dict[str, Any], items: dict[str, Any]) -> None:
    assert shown_schema(of(a={"type": "array", **given}))["properties"]["a"]["items"] == items


def test_the_words_of_all_depths_are_cleaned() -> None:
    word = "Re\u200bads"
    given = {
        "title": word,
        **of(a={"description": word, "anyOf": [{"title": word}, True]}, description={"type": "string"}),
        "$defs": {"d": {"not": {"description": word}}},
    }
    shown = json.dumps(shown_schema(given), ensure_ascii=False)
    assert "\u200b" not in shown
    assert shown.count("Reads") == 4
    assert '"description": {"type": "string"}' in shown


def test_words_that_are_no_text_and_bounds_that_are_no_number_are_left_out() -> None:
    given = of(a={"type": "integer", "description": {"x": 1}, "minimum": float("nan"), "maximum": "9", "default": 3})
    assert shown_schema(given)["properties"]["a"] == {"type": "integer", "default": 3}


def test_a_bound_that_is_a_number_stays() -> None:
    assert shown_schema(of(a={"maximum": 9.5}))["properties"]["a"] == {"maximum": 9.5}


def test_names_of_dialects_and_places_are_not_shown() -> None:
    given = {"$schema": "http://127.0.0.1:9/dialect.json", "$id": "http://127.0.0.1:9/base.json", **of()}
    assert shown_schema(given) == of()


def test_data_is_no_schema() -> None:
    given = of(a={"default": {"type": "array"}, "enum": [{"type": "array"}], "properties": 5})
    assert shown_schema(given) == given


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (None, "no object"),
        ([], "no object"),
        ({"type": "array"}, "no object"),
        ({"type": ["object", "null"]}, "no object"),
        ({"type": "object", "anyOf": []}, "union at the top"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {}}}, "union at the top"),
        ({"properties": []}, "`properties` are no object"),
        (of(**{"e f": {}}), "a name that model servers refuse"),
        (of(**{"": {}}), "a name that model servers refuse"),
        (of(**{"ü": {}}), "a name that model servers refuse"),
        (of(a={"enum": ["x" * LONGEST_SCHEMA]}), "larger than"),
    ],
)
def test_what_no_model_server_takes_is_refused(given: object, why: str) -> None:
    with pytest.raises(UnfitError, match=why):
        shown_schema(given)


def test_a_schema_without_a_floor_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(50):
        schema = of(a=schema)
    with pytest.raises(UnfitError, match="deeper than"):
        shown_schema(schema)


def multiplying(times: int, levels: int) -> dict[str, Any]:
    """A schema of which each level refers to the next one several times."""
    levels_of = {f"a{level}": {"allOf": [{"$ref": f"#/$defs/a{level + 1}"}] * times} for level in range(levels)}
    return {**of(n={"$ref": "#/$defs/a0"}), "$defs": {**levels_of, f"a{levels}": {"type": "string"}}}


def test_references_that_multiply_are_refused() -> None:
    assert shown_schema(multiplying(2, 10))
    with pytest.raises(UnfitError, match="multiply"):
        shown_schema(multiplying(4, 12))


def test_references_that_lead_back_or_nowhere_are_no_harm() -> None:
    inner = {"type": "object", "properties": {"child": {"$ref": "#/$defs/n"}, "x": {"$ref": "#/nowhere/x"}}}
    assert shown_schema({**of(n={"$ref": "#/$defs/n"}, m={"$ref": "other.json"}), "$defs": {"n": inner, "x/y": {}}})


def test_a_schema_that_is_deep_in_what_is_no_schema_is_refused_too() -> None:
    deep: Any = "x"
    for _ in range(200):
        deep = [deep]
    with pytest.raises(UnfitError, match="too deep"):
        shown_schema(of(a={"default": deep}))
