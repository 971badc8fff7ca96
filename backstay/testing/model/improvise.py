"""Replies by rule where neither a script nor a real model is configured.

The first reply calls the first offered tool with arguments made up from its schema; the next repeats the tool's result.
Every text says that no real model spoke.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import cast

from .script import JSON, Call, Reply, Request
from .wire import has_called, last_tool_result, offered_tools

_DEEPEST = 8
_MOST_VALUES = 1000
_LONGEST_RESULT = 600
_SEARCHED = 2000
_ID = r"#\d+\b|\b[A-Za-z]+[-_]?\d[\w-]*"
_NUMBER = r"(?<![\w#.-])-?\d{1,15}(?:\.\d{1,6})?(?!\w)"
_PROSE = re.compile(r"text|body|message|subject|reason|query|question|content|comment|note|goal", re.I)
_WORD_FOR_NAME = (
    (re.compile(r"mail|^to$|recipient", re.I), r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    (re.compile(r"url|uri|link", re.I), r"https?://[^\s)>\"']+"),
    (re.compile(r"path|file|folder", re.I), r"[\w.~-]*/[\w./~-]+|\b[\w-]+\.[a-z]{1,5}\b"),
    (re.compile(r"date|day", re.I), r"\b\d{4}-\d\d-\d\d\b"),
)
_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "PT1S",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "email": "someone@example.com",
    "uri": "https://example.com/",
}


def improvise(request: Request) -> Reply:
    """Returns a reply by rule: calls the first tool once, then answers with its result. Never raises."""
    api, body = request.api, request.body
    result = last_tool_result(api, body)
    if result is not None:
        short = result if len(result) <= _LONGEST_RESULT else result[:_LONGEST_RESULT] + " ..."
        return Reply(f"(scripted model) {short}")
    tools = offered_tools(api, body)
    if tools and not has_called(api, body):
        return Reply(calls=[Call(tools[0].name, made_up_arguments(tools[0].parameters, request.goal))])
    return Reply(f"(scripted model, no real model is configured) You asked: {request.goal}")


def made_up_arguments(schema: JSON, goal: str) -> Mapping[str, JSON]:
    """Makes up arguments for a JSON schema: its required properties, filled with words and numbers from the goal.

    Never raises; for an odd or contradictory schema the arguments may not fit.
    """
    value = _Inventor(schema, goal).value(schema, "", 0)
    return cast("Mapping[str, JSON]", value) if isinstance(value, Mapping) else {}


class _Inventor:
    """A maker of values for one schema and one goal."""

    def __init__(self, root: JSON, goal: str) -> None:
        self.root = root
        self.goal = goal
        # Searching a very long goal for addresses and paths takes quadratic time.
        self.start = goal[:_SEARCHED]
        self.made = 0

    def value(self, schema: JSON, name: str, depth: int) -> JSON:
        """Makes up a value for the property `name` with the given schema."""
        given = self._resolved(schema)
        for fixed in ("const", "default"):
            if fixed in given:
                return given[fixed]
        choices = _items(given.get("enum"))
        if choices:
            return choices[0]
        kind = _kind(given)
        self.made += 1
        if kind == "null" or depth > _DEEPEST or self.made > _MOST_VALUES:
            return None
        if kind == "object":
            return self._object(given, depth)
        if kind == "array":
            return self._array(given, name, depth)
        if kind == "boolean":
            return True
        return self._number(given, kind) if kind in ("integer", "number") else self._string(given, name)

    def _resolved(self, schema: JSON) -> Mapping[str, JSON]:
        """Follows references and takes the first alternative that is not null, until a plain schema is left."""
        given = _mapping(schema)
        for _ in range(_DEEPEST):
            options = [_mapping(each) for key in ("anyOf", "oneOf") for each in _items(given.get(key))]
            options = [each for each in options if each.get("type") != "null"]
            reference = given.get("$ref")
            if isinstance(reference, str):
                given = _without(given, "$ref") | self._pointed_at(reference)
            elif options:
                given = _without(given, "anyOf", "oneOf") | dict(options[0])
            elif _items(given.get("allOf")):
                merged = _without(given, "allOf")
                for part in _items(given["allOf"]):
                    merged |= _mapping(part)
                given = merged
            else:
                break
        return given

    def _pointed_at(self, reference: str) -> dict[str, JSON]:
        found = self.root
        for key in reference.removeprefix("#").strip("/").split("/"):
            found = _mapping(found).get(key.replace("~1", "/").replace("~0", "~")) if key else found
        return dict(_mapping(found))

    def _object(self, schema: Mapping[str, JSON], depth: int) -> JSON:
        properties = _mapping(schema.get("properties"))
        required = [name for name in _items(schema.get("required")) if isinstance(name, str)]
        return {name: self.value(properties.get(name), name, depth + 1) for name in required}

    def _array(self, schema: Mapping[str, JSON], name: str, depth: int) -> JSON:
        least = schema.get("minItems")
        count = min(least, 10) if isinstance(least, int) else 0
        if "items" in schema or "prefixItems" in schema:
            count = max(count, 1)
        if schema.get("maxItems") == 0 or depth == _DEEPEST:
            return []
        first = _items(schema.get("prefixItems"))
        kinds = [first[number] if number < len(first) else schema.get("items") for number in range(count)]
        return [self.value(kind, name, depth + 1) for kind in kinds]

    def _number(self, schema: Mapping[str, JSON], kind: str) -> JSON:
        found = re.search(_NUMBER, self.start)
        value = float(found.group()) if found else 1.0
        step = 1.0 if kind == "integer" else 0.01
        low, above = _finite(schema.get("minimum")), _finite(schema.get("exclusiveMinimum"))
        high, below = _finite(schema.get("maximum")), _finite(schema.get("exclusiveMaximum"))
        value = value if high is None else min(value, high)
        value = value if below is None or value < below else below - step
        value = value if low is None else max(value, low)
        value = value if above is None or value > above else above + step
        if kind == "integer":
            return math.ceil(value) if value == low else math.floor(value)
        return int(value) if value.is_integer() else value

    def _string(self, schema: Mapping[str, JSON], name: str) -> str:
        text = self._fitting(schema, name) or self.goal
        longest = schema.get("maxLength")
        return text[:longest] if isinstance(longest, int) and longest >= 0 else text

    def _fitting(self, schema: Mapping[str, JSON], name: str) -> str | None:
        pattern, form = schema.get("pattern"), schema.get("format")
        if isinstance(pattern, str) and (word := self._word_like(pattern)):
            return word
        hint = form if isinstance(form, str) and form in _FORMATS else name
        for named, wanted in _WORD_FOR_NAME:
            if named.search(hint) and (found := re.search(wanted, self.start)):
                return found.group() + ("T00:00:00Z" if form == "date-time" else "")
        if isinstance(form, str) and form in _FORMATS:
            return _FORMATS[form]
        found = None if _PROSE.search(name) else re.search(_ID, self.start)
        return found.group() if found else None

    def _word_like(self, pattern: str) -> str | None:
        try:
            wanted = re.compile(pattern)
        except (re.error, RecursionError, OverflowError):
            return None
        words = (word.strip(".,;:!?()\"'") for word in self.start.split())
        return next((word for word in words if word and len(word) < 24 and wanted.search(word)), None)


def _kind(schema: Mapping[str, JSON]) -> str:
    given = schema.get("type")
    kinds = [each for each in _items(given) if isinstance(each, str) and each != "null"]
    if kinds or isinstance(given, str):
        return kinds[0] if kinds else str(given)
    return "object" if "properties" in schema or "required" in schema else "string"


def _mapping(value: JSON) -> Mapping[str, JSON]:
    return cast("Mapping[str, JSON]", value) if isinstance(value, Mapping) else {}


def _items(value: JSON) -> Sequence[JSON]:
    return value if isinstance(value, list) else ()


def _without(schema: Mapping[str, JSON], *names: str) -> dict[str, JSON]:
    return {name: value for name, value in schema.items() if name not in names}


def _finite(value: JSON) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e15 else None
