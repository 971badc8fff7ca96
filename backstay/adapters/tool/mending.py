"""Mends arguments: nulls where a model meant to leave something out, and texts that only Python takes for numbers."""

import copy
import re
from collections.abc import Mapping
from typing import Any, cast

from pydantic import ValidationError

Path = tuple[int | str, ...]

_LIKE_A_NUMBER = re.compile(r"(?=.*\d)[\s_+-]*[\d_]*\.?[\d_]+\.?(?:[eE][+-]?[\d_]+)?[\s_]*")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE](?P<exponent>[+-]?[0-9]+))?")
_MAX_EXPONENT = 308


def without_nulls(given: Mapping[str, Any], error: ValidationError) -> tuple[dict[str, Any], list[Path]]:
    """Returns the arguments without the nulls that are among the problems, at any depth, and where those stood."""
    mended = copy.deepcopy(dict(given))
    entries = error.errors(include_url=False, include_context=False)
    paths = [_path(mended, entry["loc"]) for entry in entries if entry["input"] is None]
    dropped = [path for path in dict.fromkeys(paths) if path and has(mended, path)]
    for path in dropped:
        holder: Any = mended
        for part in path[:-1]:
            holder = holder[part]
        if isinstance(holder, dict):
            del holder[path[-1]]
    return mended, dropped


def without_odd_numbers(value: Any) -> Any:
    """Returns arguments with a word for each text that Python takes for a number and JSON does not.

    Such are digits of other scripts, digits with underscores or blanks, and exponents that no number of JSON has.
    """
    if isinstance(value, str):
        return "no number" if _is_odd_number(value) else value
    if isinstance(value, list):
        return [without_odd_numbers(entry) for entry in cast("list[Any]", value)]
    if isinstance(value, Mapping):
        return {key: without_odd_numbers(entry) for key, entry in cast("Mapping[str, Any]", value).items()}
    return value


def _is_odd_number(text: str) -> bool:
    if not _LIKE_A_NUMBER.fullmatch(text):
        return False
    plain = _NUMBER.fullmatch(text)
    exponent = plain["exponent"] if plain else None
    return plain is None or len((exponent or "").lstrip("+-0")) > 3 or abs(int(exponent or 0)) > _MAX_EXPONENT


def _path(value: object, location: Path) -> Path:
    """Returns a location without the variants of unions, which it also names."""
    path: list[int | str] = []
    for part in location:
        if has(value, (part,)):
            path.append(part)
            value = cast("dict[int | str, object]", value)[part]
    return tuple(path)


def has(value: object, path: Path) -> bool:
    """Tells whether a value has something at a path."""
    for part in path:
        if isinstance(value, dict) and part in value:
            value = cast("dict[int | str, object]", value)[part]
        elif isinstance(value, list) and isinstance(part, int) and part < len(cast("list[object]", value)):
            value = cast("list[object]", value)[part]
        else:
            return False
    return True
