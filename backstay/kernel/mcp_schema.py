"""Brings the argument schemas of MCP servers into a form that every model server takes, or says why there is none.

A model server that refuses one schema refuses every request of the agent. What the server checks arguments with stays
its own: this form is only shown.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, cast

from .mcp_words import cleaned

LONGEST_SCHEMA = 64_000
"""In bytes of JSON."""
DEEPEST = 32
HEAVIEST = 100_000
"""The most schemas that a check may come by, where each reference leads to its target anew."""
LONGEST_WORDS = 2_048
_ENDLESS = float("inf")
_ARGUMENT = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_UNIONS = ("anyOf", "oneOf", "allOf", "enum", "not", "const", "$ref")
_SCHEMA = frozenset({"items", "additionalProperties", "contains", "propertyNames", "not", "if", "then", "else"})
_SCHEMAS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_NAMED = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"})
_WORDS = frozenset({"title", "description"})
_LEFT_OUT = frozenset({"$schema", "$id", "id", "$comment", "$anchor", "$vocabulary"})
_NUMBERS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})

Schema = dict[str, Any]


class UnfitError(ValueError):
    """Raised when a schema has no form that model servers take; the text says why, in a few words."""


def shown_schema(given: object) -> Schema:
    """Returns the schema of a tool's arguments as a model is shown it: an object with `properties`.

    Raises:
        UnfitError: it is no such schema, and cannot be made one.
    """
    if not isinstance(given, dict):
        raise UnfitError("its schema is no object")
    schema = cast("Schema", given)
    if schema.get("type", "object") != "object":
        raise UnfitError("its arguments are no object")
    if any(key in schema for key in _UNIONS):
        raise UnfitError("its schema is a union at the top, which model servers refuse")
    named: object = schema.get("properties", {})
    if not isinstance(named, dict):
        raise UnfitError("its `properties` are no object")
    for name in cast("Schema", named):
        if not _ARGUMENT.fullmatch(name):
            raise UnfitError("an argument has a name that model servers refuse")
    if _Weight(schema).of(schema) > HEAVIEST:
        raise UnfitError("its references multiply: checking arguments would take for ever")
    shown = _shown({**schema, "type": "object"}, 0)
    if len(json.dumps(shown).encode()) > LONGEST_SCHEMA:
        raise UnfitError(f"its schema is larger than {LONGEST_SCHEMA} bytes")
    return shown


def _shown(schema: Schema, depth: int) -> Schema:
    """Returns a schema with the schemas in it, cleaned and mended; what is data, such as a default, stays."""
    if depth > DEEPEST:
        raise UnfitError(f"its schema is deeper than {DEEPEST} levels")

    def inside(part: object) -> object:
        return _shown(cast("Schema", part), depth + 1) if isinstance(part, dict) else part

    found: Schema = {}
    for key, value in schema.items():
        if key in _WORDS:
            found |= {key: cleaned(value, LONGEST_WORDS)} if isinstance(value, str) else {}
        elif key in _SCHEMA and isinstance(value, dict):
            found[key] = inside(cast("object", value))
        elif key in _SCHEMAS and isinstance(value, list):
            found[key] = [inside(part) for part in cast("list[object]", value)]
        elif key in _NAMED and isinstance(value, dict):
            found[key] = {name: inside(part) for name, part in cast("Mapping[str, object]", value).items()}
        elif key not in _LEFT_OUT and (key not in _NUMBERS or _is_number(value)):
            found[key] = value
    return _mended(found)


def _mended(schema: Schema) -> Schema:
    """Adds what model servers demand, and what the JSON Schema standard leaves out where anything goes."""
    if schema.get("type") == "object":
        schema = {"properties": {}, **schema}
    if schema.get("type") == "array" and not isinstance(schema.get("items"), dict):
        return {**schema, "items": _items(schema)}
    return schema


def _items(schema: Schema) -> Schema:
    """Returns one schema for the entries of a tuple, which some servers demand beside those of its places."""
    placed: object = schema.get("prefixItems", schema.get("items"))
    each = cast("list[object]", placed) if isinstance(placed, list) else []
    schemas = [cast("Schema", one) for one in each if isinstance(one, dict)]
    distinct = list({json.dumps(one, sort_keys=True): one for one in schemas}.values())
    return {"anyOf": distinct} if len(distinct) > 1 else distinct[0] if distinct else {}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and -_ENDLESS < value < _ENDLESS


class _Weight:
    """Counts the schemas that a check of arguments comes by; each target of a reference is counted once and remembered.

    A dozen targets that each refer to the next four times are sixteen million schemas to a check.
    """

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._known: dict[str, int] = {}

    def of(self, part: object, depth: int = 0) -> int:
        """Returns the weight of a part; one that leads back to itself ends there."""
        if depth > 4 * DEEPEST:
            raise UnfitError("its schema is too deep")
        if isinstance(part, list):
            return sum(self.of(one, depth + 1) for one in cast("list[object]", part))
        if not isinstance(part, dict):
            return 0
        schema = cast("Schema", part)
        named = {name: one for name, one in schema.items() if name not in ("$defs", "definitions")}
        total = 1 + sum(self.of(one, depth + 1) for one in named.values())
        reference: object = schema.get("$ref")
        return total + self._behind(reference, depth) if isinstance(reference, str) else total

    def _behind(self, reference: str, depth: int) -> int:
        if reference not in self._known:
            self._known[reference] = 1  # while it is counted: a circle has no weight of its own
            self._known[reference] = self.of(self._target(reference), depth + 1)
        return self._known[reference]

    def _target(self, reference: str) -> object:
        target: Any = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            target = cast("dict[str, Any]", target).get(key) if isinstance(target, dict) else None
        return target if reference.startswith("#") else None
