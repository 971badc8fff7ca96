"""A server's form is shown in plain words, and words fill it in or say why they do not."""

from typing import Any

import pytest

from backstay.kernel.form import MOST_CHOICES, MOST_FIELDS, FieldKind, Form, FormField, form_of


def form(required: list[str] | None = None, **properties: Any) -> Form:
    found = form_of({"type": "object", "properties": properties, "required": required or []})
    assert found is not None
    return found


TEXT = {"type": "string", "title": "Your name"}
SIZE = {"type": "string", "enum": ["small", "large"]}
TITLED = {"type": "string", "oneOf": [{"const": "s", "title": "Small"}, {"const": "l", "title": "Large"}]}
MANY = {"type": "array", "items": {"anyOf": [{"const": "a"}, {"const": "b"}]}}


def test_what_is_left_out_holds_the_default_that_people_were_shown() -> None:
    sized = form(["size"], size={**SIZE, "default": "large"}, many={**MANY, "default": ["a"]}, one=TEXT)
    assert sized.shown("which?")["fields"] == {
        "size": 'one of the choices: small, large, "large" where it is left out',
        "many": 'a list of choices: a, b, ["a"] where it is left out',
        "one": "text, may be left out",
    }
    assert sized.filled("{}") == {"size": "large", "many": ["a"]}
    assert sized.filled('{"size": "small", "one": "x"}') == {"size": "small", "many": ["a"], "one": "x"}


@pytest.mark.parametrize("default", ["huge", 5, None, "x" * 500])
def test_a_default_that_its_field_could_not_hold_is_none(default: object) -> None:
    field = TEXT if isinstance(default, str) and len(default) > 9 else SIZE
    assert form(["one"], one={**field, "default": default}, two=TEXT).filled("{}") == "`one` is missing"


def test_a_form_without_fields_asks_for_a_yes() -> None:
    assert form_of({}) == Form()
    assert Form().shown("sure?") == {"question": "sure?", "choices": ["accept", "decline"]}
    assert Form().filled("accept") == {}
    assert Form().problem("maybe") == "the answer is one of `accept`, `decline`"


@pytest.mark.parametrize(
    ("field", "choices"),
    [
        (SIZE, ["small", "large", "decline"]),
        (TITLED, ["s", "l", "decline"]),
        ({"type": "boolean"}, ["yes", "no", "decline"]),
    ],
)
def test_one_choice_is_shown_as_choices(field: dict[str, Any], choices: list[str]) -> None:
    assert form(one=field).shown("which?") == {"question": "which?", "choices": choices}


@pytest.mark.parametrize("field", [TEXT, {"type": "integer"}, {"type": "number"}, MANY])
def test_anything_else_is_described(field: dict[str, Any]) -> None:
    assert form(one=field).choices == []
    assert form(["one"], one=MANY).shown("which?")["fields"] == {"one": "a list of choices: a, b"}
    assert form(one=TEXT).shown("who?")["fields"] == {"one": "text, may be left out"}


@pytest.mark.parametrize(
    ("field", "answer", "value"),
    [
        (TEXT, "Ann", "Ann"),
        (TEXT, "5", "5"),
        (SIZE, "large", "large"),
        ({"type": "boolean"}, "yes", True),
        ({"type": "boolean"}, "no", False),
        ({"type": "integer"}, "5", 5),
        ({"type": "number"}, "5.5", 5.5),
        (MANY, '["a", "b"]', ["a", "b"]),
    ],
)
def test_words_fill_in_the_only_field(field: dict[str, Any], answer: str, value: object) -> None:
    assert form(one=field).filled(answer) == {"one": value}
    assert form(one=field).problem(answer) is None


@pytest.mark.parametrize(
    ("field", "answer", "problem"),
    [
        (TEXT, "  ", "no words"),
        (TEXT, "a\u200bb", "nobody sees"),
        (SIZE, "huge", "one of `small`, `large`"),
        ({"type": "boolean"}, "true", "one of `yes`, `no`"),
        ({"type": "integer"}, "5.5", "whole number"),
        ({"type": "integer"}, "true", "whole number"),
        ({"type": "number"}, "NaN", "number"),
        ({"type": "number"}, "true", "number"),
        ({"type": "number"}, "five", "number"),
        ({"type": "number"}, "[" * 100_000, "number"),
        (MANY, '["c"]', "a list of choices"),
        (MANY, "a", "a list of choices"),
    ],
)
def test_words_that_do_not_fit_are_told_why(field: dict[str, Any], answer: str, problem: str) -> None:
    assert problem in str(form(one=field).problem(answer))


def test_several_fields_are_filled_in_by_an_object() -> None:
    both = form(["name"], name=TEXT, size=SIZE, agreed={"type": "boolean"})
    assert both.filled('{"name": "Ann", "size": "small", "agreed": true}') == {
        "name": "Ann",
        "size": "small",
        "agreed": True,
    }
    assert both.filled('{"name": "Ann"}') == {"name": "Ann"}
    assert both.problem("Ann") == "the answer is a JSON object with `name`, `size`, `agreed`"
    assert both.problem('{"size": "small"}') == "`name` is missing"
    assert both.problem('{"name": "Ann", "age": 5}') == "the answer has other fields than `name`, `size`, `agreed`"
    assert both.problem('{"name": "Ann", "size": "huge"}') == (
        "`size` is to be one of the choices: small, large, may be left out"
    )
    assert both.problem('{"name": 5}') == "`name` is to be text"
    assert both.problem('{"name": "a\\u200bb"}') == "`name` is to be text"


def test_declining_fills_in_nothing() -> None:
    assert form(["one"], one={"type": "integer"}).filled("decline") == {}


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": []},
        {"required": "name"},
        {"properties": {"a": 5}},
        {"properties": {"a": {"type": "object"}}},
        {"properties": {"a": {"type": ["string", "null"]}}},
        {"properties": {"a\u200b": TEXT}},
        {"properties": {"a" * 201: TEXT}},
        {"properties": {"a": {"type": "string", "enum": "small"}}},
        {"properties": {"a": {"type": "string", "enum": [5]}}},
        {"properties": {"a": {"type": "string", "enum": ["x"] * (MOST_CHOICES + 1)}}},
        {"properties": {"a": {"type": "array"}}},
        {"properties": {"a": {"type": "array", "items": {"type": "string"}}}},
        {"properties": {f"f{n}": TEXT for n in range(MOST_FIELDS + 1)}},
    ],
)
def test_what_people_cannot_be_shown_is_no_form(schema: dict[str, Any]) -> None:
    assert form_of(schema) is None


def test_choices_without_a_kind_of_their_own_are_a_text() -> None:
    assert form(one=TEXT).fields == (FormField("one", FieldKind.TEXT),)
