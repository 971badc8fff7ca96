"""Forms: what the server of a tool asks people in the middle of a call, and the words that fill one in."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, cast

from .question import unfit

ACCEPT, DECLINE = "accept", "decline"
YES, NO = "yes", "no"
MOST_FIELDS = 20
MOST_CHOICES = 50
LONGEST_NAME = 200
_ENDLESS = float("inf")


class FieldKind(StrEnum):
    """The kinds of a form's field."""

    TEXT = "text"
    WHOLE = "whole number"
    NUMBER = "number"
    YES_NO = "yes or no"
    CHOICE = "one of the choices"
    CHOICES = "a list of choices"


@dataclass(frozen=True, slots=True)
class FormField:
    """One field: `choices` are the only values that count, where there are any.

    `default` is what it holds where people leave it out; None where the server names none.
    """

    name: str
    kind: FieldKind
    required: bool = False
    choices: tuple[str, ...] = ()
    default: object = None


@dataclass(frozen=True, slots=True)
class Form:
    """The fields that an answer fills in; without any it says yes or no to the question itself."""

    fields: tuple[FormField, ...] = ()

    @property
    def choices(self) -> list[str]:
        """The only answers that count; any do where there are none."""
        if not self.fields:
            return [ACCEPT, DECLINE]
        known = [(YES, NO) if field.kind is FieldKind.YES_NO else field.choices for field in self.fields]
        plain = len(self.fields) == 1 and self.fields[0].kind is not FieldKind.CHOICES
        return [*known[0], DECLINE] if plain and known[0] else []

    def shown(self, message: str) -> dict[str, Any]:
        """Returns the question as people are shown it."""
        if choices := self.choices:
            return {"question": message, "choices": choices}
        fields = {field.name: _described(field) for field in self.fields}
        return {"question": message, "fields": fields, "or": f"`{DECLINE}`"}

    def filled(self, answer: str) -> dict[str, Any] | str:
        """Returns what words fill in, or why they do not; those that decline fill in nothing."""
        if answer == DECLINE:
            return {}
        if problem := unfit(answer, self.choices):
            return problem
        if not self.fields:
            return {}
        if len(self.fields) == 1:
            field = self.fields[0]
            value = _read(field, answer)
            return _misfit(field, value) or {field.name: value}
        return self._all(_parsed(answer))

    def problem(self, answer: str) -> str | None:
        """Returns why words do not fill in the form; None where they do."""
        filled = self.filled(answer)
        return filled if isinstance(filled, str) else None

    def _all(self, values: object) -> dict[str, Any] | str:
        if not isinstance(values, dict):
            return f"the answer is a JSON object with {', '.join(f'`{field.name}`' for field in self.fields)}"
        given = cast("dict[str, Any]", values)
        fields = {field.name: field for field in self.fields}
        if any(name not in fields for name in given):
            return f"the answer has other fields than {', '.join(f'`{name}`' for name in fields)}"
        defaults = {name: field.default for name, field in fields.items() if field.default is not None}
        for name, field in fields.items():
            if name not in given and field.required and name not in defaults:
                return f"`{name}` is missing"
            if name in given and (problem := _misfit(field, given[name])):
                return problem
        return {**defaults, **given}


def form_of(schema: Mapping[str, Any]) -> Form | None:
    """Returns the form that a server's schema describes; None where people cannot be shown it.

    Args:
        schema: the restricted JSON Schema of the protocol: an object of plain values, none inside another.
    """
    properties: object = schema.get("properties", {})
    required: object = schema.get("required", [])
    if not isinstance(properties, dict) or not isinstance(required, list):
        return None
    given = cast("dict[str, object]", properties)
    fields = [_field(name, one, name in cast("list[object]", required)) for name, one in given.items()]
    whole = [field for field in fields if field is not None]
    return Form(tuple(whole)) if len(whole) == len(fields) <= MOST_FIELDS else None


_PLAIN = {"string": FieldKind.TEXT, "integer": FieldKind.WHOLE, "number": FieldKind.NUMBER, "boolean": FieldKind.YES_NO}


def _field(name: str, schema: object, required: bool) -> FormField | None:
    if not isinstance(schema, dict) or unfit(name, ()) or len(name) > LONGEST_NAME:
        return None
    given = cast("dict[str, object]", schema)
    kind, items = given.get("type"), given.get("items")
    if kind == "array":
        choices = _choices(cast("dict[str, object]", items)) if isinstance(items, dict) else None
        return _with_default(FormField(name, FieldKind.CHOICES, required, choices), given) if choices else None
    choices = _choices(given) if kind == "string" else ()
    if choices is None or not isinstance(kind, str) or kind not in _PLAIN:
        return None
    return _with_default(FormField(name, FieldKind.CHOICE if choices else _PLAIN[kind], required, choices), given)


def _with_default(field: FormField, schema: Mapping[str, object]) -> FormField:
    """Takes over the default of a field's schema, if people can be shown it and the field could hold it."""
    default = schema.get("default")
    shown = default is not None and _misfit(field, default) is None and len(_spelled(default)) <= LONGEST_NAME
    return replace(field, default=default) if shown else field


def _choices(schema: Mapping[str, object]) -> tuple[str, ...] | None:
    """Returns the choices of a schema, none where it has none; None where people cannot be shown them."""
    listed: object = schema.get("enum") or schema.get("oneOf") or schema.get("anyOf") or []
    if not isinstance(listed, list):
        return None
    entries = cast("list[object]", listed)
    values = [cast("dict[str, object]", one).get("const") if isinstance(one, dict) else one for one in entries]
    texts = [one for one in values if isinstance(one, str) and len(one) <= LONGEST_NAME and not unfit(one, ())]
    return tuple(texts) if len(texts) == len(values) <= MOST_CHOICES else None


def _described(field: FormField) -> str:
    choices = f": {', '.join(field.choices)}" if field.choices else ""
    if field.default is not None:
        return f"{field.kind}{choices}, {_spelled(field.default)} where it is left out"
    return f"{field.kind}{choices}{'' if field.required else ', may be left out'}"


def _spelled(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _read(field: FormField, answer: str) -> object:
    """Reads the value of the only field; a text needs no quotes."""
    if field.kind in (FieldKind.TEXT, FieldKind.CHOICE):
        return answer
    return answer == YES if field.kind is FieldKind.YES_NO else _parsed(answer)


def _parsed(answer: str) -> object:
    try:
        return json.loads(answer)
    except (ValueError, RecursionError):
        return None


def _misfit(field: FormField, value: object) -> str | None:
    """Returns why a value does not fit its field; None where it does."""
    match field.kind:
        case FieldKind.TEXT:
            fits = isinstance(value, str) and not unfit(value, ())
        case FieldKind.YES_NO:
            fits = isinstance(value, bool)
        case FieldKind.WHOLE:
            fits = isinstance(value, int) and not isinstance(value, bool)
        case FieldKind.NUMBER:
            fits = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _ENDLESS
        case FieldKind.CHOICE:
            fits = value in field.choices
        case _:
            fits = isinstance(value, list) and all(one in field.choices for one in cast("list[object]", value))
    return None if fits else f"`{field.name}` is to be {_described(field)}"
