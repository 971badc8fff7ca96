"""Reads docstrings: the summary of a class or function, and the line that it has for each attribute."""

import inspect
import re
from collections.abc import Iterable

_SECTION = re.compile(r"^(Attributes|Args|Returns|Raises|Yields):$")
_ENTRY = re.compile(r"^ {4}([A-Za-z]\w*): (.*)$")


class UndocumentedError(Exception):
    """A field without a line of its own in the docstring of its class."""

    def __init__(self, owner: type, fields: Iterable[str]) -> None:
        names = ", ".join(f"`{field}`" for field in fields)
        super().__init__(f"{owner.__module__}.{owner.__name__}: write a line for {names} under `Attributes:`")


def prose(thing: object) -> str:
    """Returns a docstring without its sections, one line for each paragraph or list entry."""
    lines: list[str] = []
    for line in (inspect.getdoc(thing) or "").splitlines():
        if _SECTION.match(line):
            break
        lines.append(line)
    paragraphs = "\n".join(lines).strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def attributes(owner: type) -> dict[str, str]:
    """Returns the lines under `Attributes:` of a class and its bases, by the name of the attribute."""
    found: dict[str, str] = {}
    for base in reversed(owner.__mro__):
        found |= _section(inspect.cleandoc(base.__dict__.get("__doc__") or ""))
    return {name: text[:1].upper() + text[1:] for name, text in found.items()}


def documented(owner: type, fields: Iterable[str]) -> dict[str, str]:
    """Returns the line of each field.

    Raises:
        UndocumentedError: a field has none.
    """
    known = attributes(owner)
    missing = [field for field in fields if field not in known]
    if missing:
        raise UndocumentedError(owner, missing)
    return known


def _section(docstring: str) -> dict[str, str]:
    found: dict[str, str] = {}
    inside, name = False, ""
    for line in docstring.splitlines():
        if section := _SECTION.match(line):
            inside = section[1] == "Attributes"
        elif inside and (entry := _ENTRY.match(line)):
            name = entry[1]
            found[name] = entry[2].strip()
        elif inside and name and line.startswith(" " * 8):
            found[name] += " " + line.strip()
        elif line.strip():
            inside, name = False, ""
    return found
