"""Reads the tools that an MCP server lists, and compares them with those of an earlier look."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from .mcp_names import is_usable
from .mcp_schema import Schema, UnfitError, shown_schema
from .mcp_words import cleaned

PINNED = ("name", "title", "description", "inputSchema", "outputSchema", "annotations", "execution")
"""The parts that a tool is pinned by. A change of anything else, such as an icon, changes no call."""
_TASKS_ONLY = "required"


@dataclass(frozen=True, slots=True)
class ListedTool:
    """A tool of a server, fit for use.

    Attributes:
        name: as the server calls it.
        description: cleaned, for the model.
        parameters: the schema of the arguments as the model is shown it.
        schema: the schema of the arguments as the server wrote it, to check them with.
        output_schema: that of structured results; None where it lists none.
        hints: the server's `annotations`.
        digest: of all that is pinned.
    """

    name: str
    description: str
    parameters: Schema
    schema: Schema
    output_schema: Schema | None
    hints: Mapping[str, object]
    digest: str


@dataclass(frozen=True, slots=True)
class Listing:
    """Lists what a server has: the tools that can be used, and why others cannot, each by name.

    `about` is the name and version that the server gives itself; empty where it gives none.
    """

    tools: Mapping[str, ListedTool] = field(default_factory=dict[str, ListedTool])
    refused: Mapping[str, str] = field(default_factory=dict[str, str])
    about: str = ""

    @property
    def digests(self) -> dict[str, str]:
        """The digest of each tool that can be used."""
        return {name: tool.digest for name, tool in self.tools.items()}


@dataclass(frozen=True, slots=True)
class Changes:
    """Names what is otherwise than at an earlier look."""

    changed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    new: tuple[str, ...] = ()

    @property
    def none(self) -> bool:
        """True where everything is as it was."""
        return not (self.changed or self.gone or self.new)


def listing_of(entries: Iterable[object]) -> Listing:
    """Reads the entries of a server's `tools/list`, in its order; one that cannot be used spoils no other."""
    objects = [cast("Schema", entry) if isinstance(entry, dict) else Schema() for entry in entries]
    times = Counter(str(entry.get("name")) for entry in objects)
    tools: dict[str, ListedTool] = {}
    refused: dict[str, str] = {}
    for entry in objects:
        name = str(entry.get("name"))
        try:
            if not isinstance(entry.get("name"), str) or not is_usable(name):
                raise UnfitError(
                    "its name is empty, longer than 128, or has other than letters, digits, `.`, `_`, `/`, `-`"
                )
            if times[name] > 1:
                raise UnfitError("the server lists it more than once")
            tools[name] = _tool(name, entry)
        except UnfitError as error:
            refused[name] = str(error)
    return Listing(tools, refused)


def digest_of(entry: Mapping[str, object]) -> str:
    """Digests all of a listed tool that is pinned; what is null counts as absent.

    Raises:
        UnfitError: it holds what JSON does not have.
    """
    pinned = {key: entry[key] for key in PINNED if entry.get(key) is not None}
    try:
        text = json.dumps(pinned, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        raise UnfitError("it holds what JSON cannot write") from None
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> Changes:
    """Compares the digests of a server's tools with those of an earlier look."""
    return Changes(
        changed=tuple(sorted(name for name in before.keys() & now.keys() if before[name] != now[name])),
        gone=tuple(sorted(before.keys() - now.keys())),
        new=tuple(sorted(now.keys() - before.keys())),
    )


def _tool(name: str, entry: Schema) -> ListedTool:
    execution = _object(entry.get("execution"))
    if execution.get("taskSupport") == _TASKS_ONLY:
        raise UnfitError("it can only be called as a task, which is not supported")
    schema = _object(entry.get("inputSchema"))
    title, said = entry.get("title"), entry.get("description")
    words = said if isinstance(said, str) and said.strip() else title
    output = entry.get("outputSchema")
    return ListedTool(
        name=name,
        description=cleaned(words if isinstance(words, str) else "") or name,
        parameters=shown_schema(entry.get("inputSchema")),
        schema=schema,
        output_schema=None if output is None else _object(output),
        hints=_object(entry.get("annotations")),
        digest=digest_of(entry),
    )


def _object(value: Any) -> Schema:
    return cast("Schema", value) if isinstance(value, dict) else {}
