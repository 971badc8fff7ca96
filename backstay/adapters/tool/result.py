"""Writes the result of a tool as the text that the model reads."""

import dataclasses
import itertools
from collections.abc import Generator, Iterator, Mapping, Sequence, Set
from pathlib import PurePath
from typing import Any, cast

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_json

MOST_ITEMS = 100_000
"""The most items that are read of an iterator; the model is shown fewer."""
NOTHING = "(no output)"
"""The text for an empty one: some providers refuse a result without a text."""


def result_text(result: Any) -> str:
    """Returns the text of a tool's result for the model: text unchanged, any other value as JSON."""
    if isinstance(result, str):
        return _text(result) if result.strip() else NOTHING
    if _may_never_end(result):
        result = list(itertools.islice(cast("Iterator[object]", result), MOST_ITEMS))
    elif isinstance(result, Generator):
        result = list(cast("Generator[object]", result))  # a second reading would find it empty
    try:
        try:
            return _json(result)
        except PydanticSerializationError:
            return _json(_readable(result))
    except (PydanticSerializationError, ValueError, RecursionError):
        return f"(the call was executed; its result, a {type(result).__name__}, cannot be written as JSON)"


def _json(value: object) -> str:
    return to_json(value, inf_nan_mode="strings").decode()


def _readable(value: object) -> object:
    """Returns a value with a replacement for each character that UTF-8 cannot hold, in texts and bytes at any depth."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "replace")
    if isinstance(value, PurePath):
        return _text(str(value))
    if isinstance(value, BaseModel):
        return _readable(value.model_dump(by_alias=True))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _readable(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        entries = cast("Mapping[object, object]", value).items()
        return {_readable(key): _readable(entry) for key, entry in entries}
    if isinstance(value, Sequence | Set):
        return [_readable(entry) for entry in cast("Sequence[object]", value)]
    return value


def _text(text: str) -> str:
    # `str.encode` and not the text's own: a subclass of `str` may override it.
    return str.encode(text, "utf-8", "replace").decode()


def _may_never_end(result: object) -> bool:
    """Tells whether a result is an iterator other than a generator; one written in C cannot be interrupted."""
    return isinstance(result, Iterator) and not isinstance(result, Generator)
