"""Reads a JSON Schema as Cedar types. A part without a Cedar type is opaque: rules cannot name it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

MAX_DEPTH = 8
MAX_ATTRIBUTES = 500
# Cedar's JSON gives these keys a meaning of its own.
RESERVED = frozenset({"__entity", "__extn", "__expr"})


class Scalar(StrEnum):
    """A Cedar type without parts; `NUMERAL` is a decimal to Cedar, and in JSON a number or a number as text."""

    STRING = "String"
    LONG = "Long"
    BOOL = "Bool"
    DECIMAL = "decimal"
    NUMERAL = "numeral"


@dataclass(frozen=True, slots=True)
class SetOf:
    """A Cedar set: neither order nor repetition."""

    element: "Shape"


@dataclass(frozen=True, slots=True)
class Attribute:
    """A value of a record: `required` must be there, `nullable` may be null, which reads as absent in Cedar."""

    shape: "Shape"
    required: bool
    nullable: bool = False

    @property
    def certain(self) -> bool:
        """Tells whether a rule may read it without asking `has` first."""
        return self.required and not self.nullable


@dataclass(frozen=True, slots=True)
class Record:
    """A Cedar record; `opaque` names the parts that were left out, and why."""

    attributes: Mapping[str, Attribute]
    opaque: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Opaque:
    """A part that no Cedar type holds, and why."""

    why: str


Shape = Scalar | SetOf | Record
Found = tuple[Shape | Opaque, bool]

_SCALARS = {"string": Scalar.STRING, "boolean": Scalar.BOOL, "integer": Scalar.LONG, "number": Scalar.DECIMAL}
_VALUES = {str: Scalar.STRING, bool: Scalar.BOOL, int: Scalar.LONG, float: Scalar.DECIMAL}
_VARIANTS = ("anyOf", "oneOf", "allOf")
_CLOSING = frozenset({"enum", "const", "pattern", "format"})
_UNION = Opaque("is a union of types")
_ANYTHING = Opaque("accepts anything")
_NO_FIELDS = "is an object without fixed fields"
_RESERVED_NAME = "has a name that Cedar reserves"


def shape_of_arguments(parameters: Mapping[str, Any]) -> Record:
    """Reads the record of a tool's arguments; a schema of anything but an object gives an empty record."""
    reader = _Reader(parameters)
    schema = reader.resolved(parameters, frozenset())
    found = _ANYTHING if isinstance(schema, Opaque) else reader.record(schema[0], 0, schema[1])
    return found if isinstance(found, Record) else Record({}, {})


def sourced_arguments(parameters: Mapping[str, Any]) -> list[str]:
    """Returns the arguments of which rules can read where they come from: all but objects."""
    record = shape_of_arguments(parameters)
    held = [name for name, attribute in record.attributes.items() if not isinstance(attribute.shape, Record)]
    return [*held, *(name for name, why in record.opaque.items() if why not in (_NO_FIELDS, _RESERVED_NAME))]


def is_free_text(parameters: Mapping[str, Any], path: Sequence[str]) -> bool:
    """Tells whether an argument, or an entry of a list, takes any text: no enum, constant, pattern or format."""
    return _Reader(parameters).takes_any_text(parameters, path)


class _Reader:
    """One pass over one schema, with a bound on how much of it becomes attributes."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._left = MAX_ATTRIBUTES

    def resolved(
        self, schema: Mapping[str, Any], seen: frozenset[str]
    ) -> tuple[Mapping[str, Any], frozenset[str]] | Opaque:
        """Follows references; returns the schema behind them, and the references that led there."""
        while isinstance(reference := schema.get("$ref"), str):
            if reference in seen:
                return Opaque("refers to itself")
            target = self._pointed(reference)
            if target is None:
                return Opaque("refers to something outside its schema")
            schema, seen = target, seen | {reference}
        return schema, seen

    def takes_any_text(self, schema: Any, path: Sequence[str], seen: frozenset[str] = frozenset()) -> bool:
        """Tells whether what lies at a path below a schema takes any text."""
        found = self.resolved(cast("dict[str, Any]", schema), seen) if isinstance(schema, dict) else _ANYTHING
        if isinstance(found, Opaque):
            return False
        whole, seen = found
        variants = [one for key in _VARIANTS for one in cast("list[Any]", whole.get(key, []))]
        if any(self.takes_any_text(one, path, seen) for one in variants):
            return True
        if path:
            properties = cast("dict[str, Any]", whole.get("properties", {}))
            return self.takes_any_text(properties.get(path[0]), path[1:], seen)
        if "items" in whole:
            return self.takes_any_text(whole["items"], (), seen)
        stated: Any = whole.get("type")
        return (stated == "string" or "string" in (stated or ())) and not _CLOSING & whole.keys()

    def record(self, schema: Mapping[str, Any], depth: int, seen: frozenset[str]) -> Record | Opaque:
        """Reads the record of an object schema."""
        properties = schema.get("properties")
        if not isinstance(properties, dict) or (depth and not properties):
            return Opaque(_NO_FIELDS)
        required = schema.get("required")
        names = set(cast("list[Any]", required)) if isinstance(required, list) else set[Any]()
        attributes: dict[str, Attribute] = {}
        opaque: dict[str, str] = {}
        for name, inner in cast("dict[str, Any]", properties).items():
            shape, nullable = self._attribute(name, inner, depth, seen)
            if isinstance(shape, Opaque):
                opaque[name] = shape.why
            else:
                attributes[name] = Attribute(shape, name in names, nullable)
        return Record(attributes, opaque)

    def _attribute(self, name: str, schema: Any, depth: int, seen: frozenset[str]) -> Found:
        self._left -= 1
        if self._left < 0:
            return Opaque(f"lies beyond the first {MAX_ATTRIBUTES} arguments and fields"), False
        if name in RESERVED or not _writable(name):
            return Opaque(_RESERVED_NAME), False
        return self._found(schema, depth + 1, seen)

    def _found(self, schema: Any, depth: int, seen: frozenset[str]) -> Found:
        if depth > MAX_DEPTH:
            return Opaque(f"nests deeper than {MAX_DEPTH} levels"), False
        if not isinstance(schema, dict):
            return _ANYTHING, False
        resolved = self.resolved(cast("dict[str, Any]", schema), seen)
        if isinstance(resolved, Opaque):
            return resolved, False
        schema, seen = resolved
        if "type" in schema:
            return self._typed(schema, depth, seen)
        for key in ("anyOf", "oneOf"):
            if isinstance(schema.get(key), list):
                return self._variants(cast("list[Any]", schema[key]), depth, seen)
        whole = schema.get("allOf")
        if isinstance(whole, list) and len(cast("list[Any]", whole)) == 1:
            return self._found(whole[0], depth, seen)
        closed = [schema["const"]] if "const" in schema else schema.get("enum")
        return _of_values(cast("list[Any]", closed)) if isinstance(closed, list) else (_ANYTHING, False)

    def _typed(self, schema: Mapping[str, Any], depth: int, seen: frozenset[str]) -> Found:
        stated = schema["type"]
        kinds = cast("list[Any]", stated) if isinstance(stated, list) else [stated]
        nullable = "null" in kinds
        kinds = [kind for kind in kinds if kind != "null"]
        if len(kinds) != 1:
            return (_UNION if kinds else Opaque("is always null")), nullable
        kind = kinds[0]
        if kind in _SCALARS:
            return _SCALARS[kind], nullable
        if kind == "array":
            return self._set(schema, depth, seen), nullable
        return (self.record(schema, depth, seen) if kind == "object" else _ANYTHING), nullable

    def _set(self, schema: Mapping[str, Any], depth: int, seen: frozenset[str]) -> SetOf | Opaque:
        if "prefixItems" in schema or isinstance(schema.get("items"), list):
            return Opaque("is a tuple")
        element, nullable = self._found(schema.get("items"), depth + 1, seen)
        if isinstance(element, Opaque):
            return Opaque(f"is a list whose element {element.why}")
        # A rule compares whole elements, so an element that is only partly known would be compared wrongly.
        if nullable or not _whole(element):
            return Opaque("is a list whose elements Cedar cannot hold")
        return SetOf(element)

    def _variants(self, variants: list[Any], depth: int, seen: frozenset[str]) -> Found:
        some = [variant for variant in variants if variant != {"type": "null"}]
        nullable = len(some) < len(variants)
        if _is_numeral(some):
            return Scalar.NUMERAL, nullable
        found = [self._found(variant, depth, seen) for variant in some]
        shapes = [shape for shape, _ in found]
        nullable = nullable or any(null for _, null in found)
        if len(shapes) == 1 or (shapes and isinstance(shapes[0], Scalar) and len(set(map(str, shapes))) == 1):
            return shapes[0], nullable
        return _UNION, nullable

    def _pointed(self, reference: str) -> dict[str, Any] | None:
        if not reference.startswith("#"):
            return None
        target: Any = self._root
        for part in reference[1:].split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            target = cast("dict[str, Any]", target).get(key) if isinstance(target, dict) else None
        return cast("dict[str, Any]", target) if isinstance(target, dict) else None


def _is_numeral(variants: list[Any]) -> bool:
    """Tells whether a number may also be written as text: the schema of a Python `Decimal`."""
    kinds = [cast("dict[str, Any]", variant) for variant in variants if isinstance(variant, dict)]
    if len(kinds) != len(variants):
        return False
    plain = all(not {"enum", "const"} & kind.keys() and kind.get("format") in (None, "decimal") for kind in kinds)
    names = {str(kind.get("type")) for kind in kinds}
    return plain and {"number", "string"} <= names <= {"number", "string", "integer"}


def _of_values(values: list[Any]) -> Found:
    """Returns the type of a closed list of values."""
    some = [value for value in values if value is not None]
    nullable = len(some) < len(values)
    for kind, scalar in _VALUES.items():
        if some and all(type(value) is kind for value in some):
            return scalar, nullable
    return _UNION, nullable


def _whole(shape: Shape) -> bool:
    if isinstance(shape, SetOf):
        return _whole(shape.element)
    if isinstance(shape, Record):
        return not shape.opaque and all(_whole(attribute.shape) for attribute in shape.attributes.values())
    return True


def _writable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
