"""Writes JSON Schemas, with the lines of docstrings as descriptions."""

import json
from collections.abc import Collection
from typing import Any, Literal, get_args

from pydantic import BaseModel

from .documented import attributes, prose

Mode = Literal["validation", "serialization"]
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_file(model: type[BaseModel], mode: Mode, *, loose: bool = False) -> str:
    """Returns the text of a schema's file.

    Args:
        model: the model of the value.
        mode: `validation` for what is sent, `serialization` for what comes back.
        loose: no field is required, and others may stand beside them.
    """
    schema = schema_of(model, mode)
    if loose:
        schema = {key: value for key, value in schema.items() if key not in ("required", "additionalProperties")}
    return json.dumps({"$schema": DIALECT, **schema}, indent=2, ensure_ascii=False) + "\n"


def schema_of(model: type[BaseModel], mode: Mode) -> dict[str, Any]:
    """Returns the JSON Schema of a model; each property carries its line of the docstring, where it has one."""
    schema = model.model_json_schema(mode=mode)
    for kind in {model, *models_in(model)}:
        part = schema if kind is model else schema.get("$defs", {}).get(kind.__name__)
        if part is not None:
            part["description"] = prose(kind)
            for name, text in attributes(kind).items():
                part["properties"][kind.model_fields[name].alias or name]["description"] = text
    return schema


def models_in(model: type[BaseModel]) -> Collection[type[BaseModel]]:
    """Returns the models inside of a model, at any depth, in the order in which they are met."""
    found: dict[type[BaseModel], None] = {}
    queue: list[object] = [info.annotation for info in model.model_fields.values()]
    while queue:
        one = queue.pop(0)
        if isinstance(one, type) and issubclass(one, BaseModel):
            if one not in found:
                found[one] = None
                queue += [info.annotation for info in one.model_fields.values()]
        else:
            queue += get_args(one)
    return found
