"""JSON Schemas as Cedar types, tool by tool and type by type."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal, Optional
from uuid import UUID

import pytest
from pydantic import BaseModel, TypeAdapter

from backstay.contracts.admission import ToolSpec
from policies.bundle.problem import PolicyProblems
from policies.cedar.schema import agent_schema
from policies.cedar.shape import MAX_ATTRIBUTES, Attribute, Record, Scalar, SetOf, Shape, shape_of_arguments

from .conftest import spec


class Colour(StrEnum):
    RED = "red"


class Line(BaseModel):
    sku: str
    price: Decimal
    gift: bool = False


class Tree(BaseModel):
    name: str
    children: list["Tree"] = []


class Loose(BaseModel):
    tags: dict[str, str]


LINE = Record(
    {
        "sku": Attribute(Scalar.STRING, True),
        "price": Attribute(Scalar.NUMERAL, True),
        "gift": Attribute(Scalar.BOOL, False),
    },
    {},
)


def _read(schema: Any) -> Record:
    defs = schema.pop("$defs", {}) if isinstance(schema, dict) else {}
    return shape_of_arguments({"type": "object", "properties": {"it": schema}, "required": ["it"], "$defs": defs})


@pytest.mark.parametrize(
    ("hint", "shape", "nullable"),
    [
        (str, Scalar.STRING, False),
        (bool, Scalar.BOOL, False),
        (int, Scalar.LONG, False),
        (float, Scalar.DECIMAL, False),
        (Decimal, Scalar.NUMERAL, False),
        (Decimal | None, Scalar.NUMERAL, True),
        (Optional[str], Scalar.STRING, True),  # noqa: UP045
        (date, Scalar.STRING, False),
        (UUID, Scalar.STRING, False),
        (Colour, Scalar.STRING, False),
        (Literal["a"], Scalar.STRING, False),
        (Literal["a", "b"], Scalar.STRING, False),
        (Literal["a", None], Scalar.STRING, True),
        (Literal[1, 2], Scalar.LONG, False),
        (list[str], SetOf(Scalar.STRING), False),
        (set[int], SetOf(Scalar.LONG), False),
        (list[list[bool]], SetOf(SetOf(Scalar.BOOL)), False),
        (tuple[float, ...], SetOf(Scalar.DECIMAL), False),
        (Line, LINE, False),
        (list[Line], SetOf(LINE), False),
        (Line | None, LINE, True),
    ],
)
def test_a_type_hint_becomes_a_cedar_type(hint: Any, shape: Shape, nullable: bool) -> None:
    read = _read(TypeAdapter(hint).json_schema())
    assert read == Record({"it": Attribute(shape, True, nullable)}, {})


@pytest.mark.parametrize(
    ("hint", "why"),
    [
        (int | str, "is a union of types"),
        (int | bool, "is a union of types"),
        (float | Literal["all"], "is a union of types"),
        (Line | Tree, "is a union of types"),
        (Literal["a", 1], "is a union of types"),
        (Any, "accepts anything"),
        (dict[str, int], "is an object without fixed fields"),
        (tuple[int, str], "is a tuple"),
        (list[int | None], "is a list whose elements Cedar cannot hold"),
        (list[dict[str, int]], "is a list whose element is an object without fixed fields"),
        (list[Loose], "is a list whose elements Cedar cannot hold"),
        (None, "is always null"),
    ],
)
def test_what_cedar_has_no_type_for_is_opaque_and_says_why(hint: Any, why: str) -> None:
    assert _read(TypeAdapter(hint).json_schema()) == Record({}, {"it": why})


@pytest.mark.parametrize(
    ("schema", "shape"),
    [
        ({"type": ["string", "null"]}, Scalar.STRING),
        ({"type": "string", "enum": ["a", None]}, Scalar.STRING),
        ({"enum": ["a", "b"]}, Scalar.STRING),
        ({"const": True}, Scalar.BOOL),
        ({"enum": [0.5]}, Scalar.DECIMAL),
        ({"oneOf": [{"const": "a"}, {"const": "b"}]}, Scalar.STRING),
        ({"allOf": [{"type": "integer"}], "description": "n"}, Scalar.LONG),
        ({"type": "object", "properties": {"a": {"type": "string"}}, "anyOf": [{"required": ["a"]}]}, Record),
    ],
)
def test_other_spellings_are_understood(schema: dict[str, Any], shape: Any) -> None:
    found = _read(schema).attributes["it"].shape
    assert found == shape or (isinstance(found, Record) and shape is Record)


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "#/nowhere"},
        {"$ref": "#/properties/it"},
        {"enum": []},
        {"type": []},
        {"type": "string or so"},
        {"type": "array"},
        {"type": "array", "items": [{"type": "string"}]},
        {"type": "object"},
        {"properties": {"a": {"type": "string"}}},
        {"anyOf": []},
        {"anyOf": ["x"]},
        {"allOf": [{"type": "string"}, {"minLength": 1}]},
        {"not": {"type": "string"}},
    ],
)
def test_a_schema_that_says_too_little_is_opaque(schema: Any) -> None:
    assert list(_read(schema).opaque) == ["it"]


def test_a_recursive_type_is_readable_down_to_where_it_repeats() -> None:
    read = _read(TypeAdapter(Tree).json_schema()).attributes["it"].shape
    assert read == Record(
        {"name": Attribute(Scalar.STRING, True)}, {"children": "is a list whose element refers to itself"}
    )


def test_fields_that_cedar_reserves_are_opaque() -> None:
    read = shape_of_arguments({"properties": {"__entity": {"type": "string"}, "\ud800": {"type": "string"}}})
    assert list(read.opaque) == ["__entity", "\ud800"]


def test_a_schema_that_explodes_is_cut() -> None:
    wide = {f"p{n}": {"$ref": "#/$defs/next"} for n in range(40)}
    defs = {f"l{n}": {"type": "object", "properties": wide} for n in range(3)}
    schema = {
        "properties": wide,
        "$defs": {**defs, "next": {"type": "object", "properties": {f"q{n}": {"type": "string"} for n in range(400)}}},
    }
    read = shape_of_arguments(schema)
    held = sum(
        len(attribute.shape.attributes) for attribute in read.attributes.values() if isinstance(attribute.shape, Record)
    )
    assert held <= MAX_ATTRIBUTES
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(50):
        deep = {"type": "object", "properties": {"x": deep}}
    assert "x" in shape_of_arguments({"properties": {"x": deep}}).attributes


def test_the_schema_has_an_action_for_each_tool_in_its_groups() -> None:
    tools = [spec("mcp:files/read-file.v2", "read", ("outside", 'odd "name"')), spec("pay", "write")]
    text = str(agent_schema(tools, "agent.toml").strict)
    assert 'action "mcp:files/read-file.v2" in [Action::"effect:read", Action::"group:odd \\"name\\"", ' in text
    assert 'action "pay" in [Action::"effect:write"]' in text
    assert 'action "effect:once";' in text


def test_optional_and_nullable_arguments_are_optional_attributes() -> None:
    schema = {"properties": {"a": {"type": "string"}, "b": {"type": ["string", "null"]}}, "required": ["b"]}
    text = str(agent_schema([spec("t", parameters=schema, facts={"n": "Set<Long>"})], "agent.toml").strict)
    assert "a?: __cedar::String" in text
    assert "b?: __cedar::String" in text
    assert "n: Set<__cedar::Long>" in text


@pytest.mark.parametrize(
    ("tool", "what"),
    [
        (spec("effect:read"), "has the name of an action group"),
        (spec("group:x"), "has the name of an action group"),
        (spec("t", facts={"n": "numeral"}), "has the unknown type `numeral`"),
        (spec("t", facts={"__extn": "Long"}), "has a name that Cedar reserves"),
        (spec("t\ud800"), "has a name that is not valid text"),
    ],
)
def test_a_tool_that_no_schema_can_hold_is_named(tool: ToolSpec, what: str) -> None:
    with pytest.raises(PolicyProblems, match=what):
        agent_schema([tool], "agent.toml")


def test_a_tool_listed_twice_is_named() -> None:
    with pytest.raises(PolicyProblems, match=r"agent\.toml: tool `t` is listed twice"):
        agent_schema([spec("t"), spec("t")], "agent.toml")
