"""Describes the fields of a pydantic model: type, default, and the line of the class's docstring."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from .documented import documented
from .markdown import code, table

Schema = Mapping[str, Any]


def sections(
    model: type[BaseModel], path: str, name: str = "", title: str | None = None
) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yields each table of a TOML file with its model: `[budget]`, `[budget.tools.NAME]`, the top of the file first.

    Args:
        model: the model of the table.
        path: the file.
        name: the table's name; empty for the top of the file.
        title: its name as it is shown, `[breakers]` in brackets of its own where there are several.
    """
    yield title or name or path, model
    for field, info in model.model_fields.items():
        inner, many = _model_in(info.annotation)
        if inner is not None:
            below = f"{name}.{field}" if name else field
            below = f"{below}.NAME" if many else below
            yield from sections(inner, path, below, f"[{below}]" if get_origin(info.annotation) is list else None)


def rows(model: type[BaseModel]) -> str:
    """Returns the table of a model's own keys; keys that are tables of their own stand in a section of theirs."""
    plain = {key: info for key, info in model.model_fields.items() if _model_in(info.annotation)[0] is None}
    if not plain:
        return "Has tables only."
    said = documented(model, plain)
    schema = model.model_json_schema(by_alias=False)
    return table(
        ("key", "type", "default", "meaning"),
        [
            (code(info.alias or key), type_of(schema["properties"][key], schema), default_of(info), said[key])
            for key, info in plain.items()
        ],
    )


def type_of(given: Schema, root: Schema, named: Callable[[str], str] | None = None) -> str:
    """Names the type of a JSON Schema in a few words; `named` writes the name of an object that has one."""
    if "$ref" in given:
        name = str(given["$ref"]).rpartition("/")[2]
        meant = root["$defs"][name]
        return named(name) if named and meant.get("type") == "object" else type_of(meant, root, named)
    if "const" in given or "enum" in given:
        return " or ".join(code(toml_value(value)) for value in given.get("enum", [given.get("const")]))
    options = [option for option in given.get("anyOf", ()) if option.get("type") != "null"]
    if options:
        return " or ".join(type_of(option, root, named) for option in options)
    match given.get("type"):
        case "array":
            return f"list of {type_of(given.get('items', {}), root, named)}"
        case "object" if isinstance(given.get("additionalProperties"), dict):
            return f"table of {type_of(given['additionalProperties'], root, named)}"
        case "object":
            return "table"
        case None:
            return "any"
        case kind:
            return str(kind)


def default_of(info: FieldInfo) -> str:
    """Writes the default as a TOML value; a required key says so."""
    if info.is_required():
        return "required"
    value: object = info.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined or value is None or value in ("", [], {}):
        return ""
    return code(toml_value(value))


def toml_value(value: object) -> str:
    """Returns a value as TOML writes it."""
    match value:
        case bool():
            return str(value).lower()
        case int():
            return f"{value:_}"
        case list():
            return "[" + ", ".join(map(toml_value, cast("list[object]", value))) + "]"
        case dict():
            items = cast("dict[str, object]", value).items()
            return "{ " + ", ".join(f"{key} = {toml_value(inner)}" for key, inner in items) + " }"
        case _:
            return f'"{value}"'


def _model_in(annotation: object) -> tuple[type[BaseModel] | None, bool]:
    """Finds the model that a field holds, and whether it holds many of them by name."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    inner: tuple[object, ...] = get_args(annotation)
    many = get_origin(annotation) in (dict, Mapping)
    for argument in inner[1:] if many else inner:
        found, _ = _model_in(argument)
        if found is not None:
            return found, many
    return None, False
