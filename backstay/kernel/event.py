"""One fact about a run, and how it stands in the audit: under its name, with plain JSON values."""

import functools
import re
from dataclasses import dataclass
from typing import Any


@functools.cache
def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


_SCALARS = frozenset(("str", "int", "bool", "NoneType"))


def _plain(value: Any) -> Any:
    """Returns a field as `dataclasses.asdict` would, without its deep copies, which every event would pay for."""
    kind = type(value).__name__  # `isinstance` costs ten times as much in a workflow's sandbox
    if kind in _SCALARS:
        return value
    if kind == "dict":
        return {key: _plain(entry) for key, entry in value.items()}
    if kind == "tuple":
        return tuple(_plain(entry) for entry in value)
    fields = getattr(value, "__dataclass_fields__", None)
    return value if fields is None else {name: _plain(getattr(value, name)) for name in fields}


@dataclass(frozen=True, slots=True)
class Event:
    """A fact about a run."""

    @classmethod
    def name(cls) -> str:
        """Returns the event's name in the audit: `CallEnded` is `call_ended`."""
        return _snake_case(cls.__name__)

    def facts(self) -> dict[str, Any]:
        """Returns the event's fields as plain JSON values."""
        return {name: _plain(getattr(self, name)) for name in self.__dataclass_fields__}
