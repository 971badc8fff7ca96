"""Keeps tools to what model servers take: their names, and the schemas of their arguments.

A server that refuses one tool refuses every request of the agent. What can be said in a form that all take is
rewritten; for the rest the worker does not start. A schema that all took before stays as it is, because runs record its
digest.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from backstay.errors import ConfigurationError

LONGEST_NAME = 64
_NAME = re.compile(rf"[A-Za-z0-9_-]{{1,{LONGEST_NAME}}}")
_ARGUMENT = re.compile(rf"[A-Za-z0-9_.-]{{1,{LONGEST_NAME}}}")

_SCHEMA = ("items", "additionalProperties", "contains", "propertyNames", "not", "if", "then", "else")
_SCHEMAS = ("anyOf", "oneOf", "allOf", "prefixItems")
_NAMED_SCHEMAS = ("properties", "patternProperties", "dependentSchemas", "$defs")
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_DATA = ("default", "const")

Schema = dict[str, Any]


def check_name(name: str, where: str) -> None:
    """Checks that every model server takes a tool's name.

    Raises:
        ConfigurationError: it is too long, or has other than letters, digits, `_` and `-` of ASCII.
    """
    if not _NAME.fullmatch(name):
        what = f"the tool `{name}` has a name that model servers refuse"
        mend = f"rename the function: at most {LONGEST_NAME} characters, of ASCII letters, digits and `_`"
        raise ConfigurationError(what, where=where, mend=mend)


def accepted(name: str, schema: Schema, where: str) -> Schema:
    """Returns the schema of a tool's arguments in a form that every model server takes.

    Args:
        name: the tool's name, for errors.
        schema: as pydantic writes it.
        where: the file and line of the tool's function, for errors.

    Raises:
        ConfigurationError: an argument's name, or a type that no value fits, has no such form.
    """
    for argument in schema["properties"]:
        if not _ARGUMENT.fullmatch(argument):
            what = f"the argument `{argument}` of `{name}` has a name that model servers refuse"
            mend = f"rename it: at most {LONGEST_NAME} characters, of ASCII letters, digits, `_`, `.` and `-`"
            raise ConfigurationError(what, where=where, mend=mend)
    return _walked(schema, lambda part: _rewritten(name, part, where))


def _walked(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """Changes a schema and every schema inside it; what is data, such as a default, is no schema."""

    def inside(part: Any) -> Any:
        return _walked(cast("Schema", part), change) if isinstance(part, dict) else part

    found = dict(schema)
    for key, value in schema.items():
        if key in _SCHEMA:
            found[key] = inside(value)
        elif key in _SCHEMAS:
            found[key] = [inside(part) for part in value]
        elif key in _NAMED_SCHEMAS:
            found[key] = {name: inside(part) for name, part in cast("Mapping[str, Any]", value).items()}
    return change(found)


def _rewritten(name: str, part: Schema, where: str) -> Schema:
    if part.get("enum") == []:
        mend = "give it a value, or leave the argument out"
        raise ConfigurationError(f"`{name}` has an argument with a choice of no values", where=where, mend=mend)
    if part.get("type") == "array" and "items" not in part:
        part = {**part, **_items(part.get("prefixItems", []))}
    # JSON has no infinities and no NaN: such a bound bounds nothing, and such a default can only be left out.
    return {key: value for key, value in part.items() if key not in (*_BOUNDS, *_DATA) or _is_json(value)}


def _items(each: list[Any]) -> Schema:
    """Returns `items` beside the types of a tuple, which alone are refused."""
    distinct = list({json.dumps(one, sort_keys=True): one for one in each}.values())
    return {"items": {"anyOf": distinct} if len(distinct) > 1 else distinct[0] if distinct else {}}


def _is_json(value: Any) -> bool:
    match value:
        case float():
            return math.isfinite(value)
        case dict():
            return all(_is_json(one) for one in cast("dict[str, Any]", value).values())
        case list():
            return all(_is_json(one) for one in cast("list[Any]", value))
        case _:
            return True
