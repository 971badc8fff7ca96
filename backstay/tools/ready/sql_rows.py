"""Writes rows of a database as JSON within limits: cells are cut, and what JSON cannot hold is told as text."""

import datetime
import decimal
import hashlib
import json
import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from .refusal import Reason, refusal

MOST_COLUMNS: Final = 100
LONGEST_CELL: Final = 2_000
_DEEPEST: Final = 8


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a query, each by the names of its columns; `cut` where there are more."""

    rows: list[dict[str, Any]]
    cut: bool = False


@dataclass(slots=True)
class RowLimits:
    """Collects rows until one of the limits is reached.

    Attributes:
        most_rows: the most rows.
        most_bytes: the most bytes of all rows as JSON.
        found: the rows so far.
        cut: True where a row was left out.
    """

    most_rows: int
    most_bytes: int
    found: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    cut: bool = False
    _size: int = 2

    def take(self, columns: Sequence[str], values: Iterable[Any]) -> bool:
        """Adds a row; returns False once there is no room for it."""
        row = dict(zip(columns, map(cell, values), strict=True))
        self._size += len(json.dumps(row, ensure_ascii=False).encode("utf-8", "replace")) + 1
        if len(self.found) >= self.most_rows or self._size > self.most_bytes:
            self.cut = True
            return False
        self.found.append(row)
        return True

    def rows(self) -> Rows:
        """Returns the rows that were taken."""
        return Rows(self.found, self.cut)


def columns_of(names: Iterable[str]) -> list[str]:
    """Returns the names of columns, each another: two of one name are `id` and `id_2`.

    Raises:
        ToolError: there are too many.
    """
    found: list[str] = []
    for name in names:
        number, one = 1, name
        while one in found:
            number += 1
            one = f"{name}_{number}"
        found.append(one)
    if len(found) > MOST_COLUMNS:
        raise refusal(Reason.TOO_LARGE, f"{len(found)} columns; a query has at most {MOST_COLUMNS}")
    return found


def cell(value: Any, depth: int = 0) -> Any:
    """Returns a value for JSON: decimals, dates and bytes as text, a long text cut with a note."""
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case str():
            return value if len(value) <= LONGEST_CELL else f"{value[:LONGEST_CELL]}[cut: {len(value)} characters]"
        case bytes() | bytearray() | memoryview():
            data = bytes(cast("bytes", value))
            return f"[bytes: {len(data)}, sha256 {hashlib.sha256(data).hexdigest()}]"
        case datetime.date() | datetime.time():
            return value.isoformat()
        case decimal.Decimal() | uuid.UUID() | datetime.timedelta():
            return str(value)
        case _:
            return _several(value, depth)


def _several(value: Any, depth: int) -> Any:
    if depth < _DEEPEST and isinstance(value, Mapping):
        entries = cast("Mapping[object, object]", value).items()
        return {str(key)[:LONGEST_CELL]: cell(one, depth + 1) for key, one in entries}
    if depth < _DEEPEST and isinstance(value, list | tuple | set | frozenset):
        return [cell(one, depth + 1) for one in cast("Iterable[object]", value)]
    return cell(str(value))
