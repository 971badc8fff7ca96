"""Improvising: arguments made up from any schema, and no exception for odd ones."""

import json
import math
import time
from collections.abc import Mapping

import pytest

from backstay.testing import JSON, Api, Reply, Request, improvise
from backstay.testing.model.improvise import made_up_arguments

from .conftest import GOAL, Ask

LOOKUP = {
    "type": "object",
    "properties": {"order_id": {"type": "string"}, "note": {"type": "string"}},
    "required": ["order_id"],
}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "A17"),
        ({"type": "string", "maxLength": 2}, "A1"),
        ({"type": "string", "pattern": "^[A-Z]{3}$"}, "EUR"),
        ({"type": "string", "pattern": "([", "title": "broken"}, "A17"),
        ({"type": "string", "format": "date"}, "2026-01-01"),
        ({"type": "string", "format": "email"}, "ann@example.com"),
        ({"type": "integer"}, 120),
        ({"type": "number", "maximum": 99.5}, 99.5),
        ({"type": "integer", "minimum": 200}, 200),
        ({"type": "integer", "exclusiveMaximum": 10}, 9),
        ({"type": ["null", "boolean"]}, True),
        ({"enum": ["EUR", "USD"]}, "EUR"),
        ({"const": 5}, 5),
        ({"type": "array", "items": {"type": "integer"}}, [120]),
        ({"type": "array"}, []),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, 120),
        ({"allOf": [{"type": "integer"}, {"minimum": 500}]}, 500),
        ({"$ref": "#/$defs/Money"}, {"amount": 120}),
    ],
)
def test_made_up_arguments_fit_the_schema(schema: JSON, value: JSON) -> None:
    money = {"type": "object", "properties": {"amount": {"type": "number"}}, "required": ["amount"]}
    whole = {"type": "object", "properties": {"x": schema}, "required": ["x"], "$defs": {"Money": money}}
    assert made_up_arguments(whole, GOAL) == {"x": value}


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("to", "ann@example.com"),
        ("customer_email", "ann@example.com"),
        ("reason", GOAL),
        ("order_id", "A17"),
    ],
)
def test_a_word_is_chosen_by_the_name_of_its_property(name: str, word: str) -> None:
    assert made_up_arguments({"properties": {name: {"type": "string"}}, "required": [name]}, GOAL) == {name: word}


def test_a_goal_without_fitting_words_is_used_whole() -> None:
    schema: JSON = {
        "properties": {"id": {"type": "string"}, "n": {"type": "integer"}},
        "required": ["id", "n"],
    }
    assert made_up_arguments(schema, "say hello") == {"id": "say hello", "n": 1}


@pytest.mark.parametrize(
    "schema",
    [
        None,
        True,
        [],
        "text",
        {"type": 5},
        {"type": []},
        {"type": "nonsense"},
        {"properties": [], "required": "x"},
        {"required": ["x", 3, None]},
        {
            "properties": {"x": {"$ref": "#/$defs/x"}},
            "$defs": {"x": {"$ref": "#/$defs/x"}},
            "required": ["x"],
        },
        {"properties": {"x": {"$ref": "https://elsewhere/~9"}}, "required": ["x"]},
        {"properties": {n: {"$ref": "#"} for n in "abcdefghij"}, "required": list("abcdefghij")},
        {"properties": {"x": {"items": {"$ref": "#"}, "type": "array", "minItems": 9}}, "required": ["x"]},
        {"properties": {"x": {"type": "integer", "minimum": math.nan, "maximum": "9"}}, "required": ["x"]},
        {"properties": {"x": {"type": "integer", "minimum": math.inf}}, "required": ["x"]},
        {"properties": {"x": {"type": "string", "maxLength": -1, "pattern": 5}}, "required": ["x"]},
        {"properties": {"x": {"anyOf": [], "oneOf": 5, "allOf": [1], "enum": []}}, "required": ["x"]},
    ],
)
def test_odd_schemas_give_arguments_and_no_exception(schema: JSON) -> None:
    for goal in ("", GOAL, "9" * 5000, "\ud800"):
        assert isinstance(made_up_arguments(schema, goal), Mapping)


def test_an_odd_request_gets_an_answer_and_no_exception() -> None:
    bodies: list[dict[str, JSON]] = [
        {},
        {"messages": 5, "input": {"role": "user"}, "tools": "x"},
        {"messages": [1, {"role": "tool"}], "input": [None], "tools": [5, {"type": "function"}]},
        {"tools": [{"type": "function", "function": 3, "name": 4}]},
    ]
    for api in Api:
        for body in bodies:
            request = Request(api, "/", {}, body, b"", "", None, 0, 1, 0.0)
            assert isinstance(improvise(request), Reply)


def test_a_very_long_goal_is_searched_in_no_time() -> None:
    names = ("to", "path", "url", "date", "id")
    schema: JSON = {"properties": {name: {"type": "string"} for name in names}, "required": list(names)}
    start = time.monotonic()
    made_up_arguments(schema, "x" * 32_000)
    assert time.monotonic() - start < 2


async def test_it_calls_the_first_tool_then_answers_with_its_result_in_chat(ask: Ask) -> None:
    asker = await ask()
    tools = [{"type": "function", "function": {"name": "lookup", "parameters": LOOKUP}}]
    completion = await asker.chat(tools=tools)
    call = completion.choices[0].message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("lookup", {"order_id": "A17"})
    history = [
        {"role": "user", "content": GOAL},
        completion.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "shipped"},
    ]
    assert await asker.said(messages=history, tools=tools) == "(scripted model) shipped"


async def test_it_calls_the_first_tool_then_answers_with_its_result_in_responses(ask: Ask) -> None:
    asker = await ask()
    tools = [{"type": "function", "name": "lookup", "parameters": LOOKUP, "strict": False}]
    call = (await asker.respond(tools=tools)).output[0]
    assert (call.name, json.loads(call.arguments)) == ("lookup", {"order_id": "A17"})
    history = [
        {"role": "user", "content": GOAL},
        call.model_dump(exclude_none=True),
        {"type": "function_call_output", "call_id": call.call_id, "output": "y" * 5000},
    ]
    text = (await asker.respond(given=history, tools=tools)).output_text
    assert text.startswith("(scripted model) yyy")
    assert len(text) < 1000


async def test_without_tools_it_says_that_no_model_is_configured(ask: Ask) -> None:
    asker = await ask()
    assert await asker.said() == f"(scripted model, no real model is configured) You asked: {GOAL}"
