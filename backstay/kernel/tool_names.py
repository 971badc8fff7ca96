"""Compares the names that models write with those of the tools there are."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

_SHOWN = 20
_LONGEST = 64
_NUMBER = re.compile(r"(?::\d+)?(?:\(\s*\))?\s*$")


@dataclass(frozen=True, slots=True)
class ToolNames:
    """The names of the tools there are, by their letters and digits."""

    by_letters: dict[str, list[str]]

    @classmethod
    def of(cls, tools: Collection[str]) -> "ToolNames":
        """Sorts names by their letters."""
        found: dict[str, list[str]] = {}
        for tool in sorted(tools):
            found.setdefault(_letters(tool), []).append(tool)
        return cls(found)

    def meant(self, name: str) -> str | None:
        """Returns the one tool that a name means as models spell names; None where it means none or several.

        Namespaces (`functions.lookup`), numbers (`lookup:0`), brackets, case, dashes and leaked tokens do not count.
        """
        for spelling in _spellings(name):
            if len(found := self.by_letters.get(spelling, [])) == 1:
                return found[0]
        return None


def unknown_tool(name: str, tools: Collection[str]) -> str:
    """Returns what the model is told of a name that no tool has: the name it may have meant, and which there are."""
    parts = ["there is no such tool" if name.strip() else "there is no such tool, because the call names none"]
    if (tool := ToolNames.of(tools).meant(name)) is not None:
        parts.append(f"write `{tool}`")
    if tools:
        shown = ", ".join(f"`{tool[:_LONGEST]}`" for tool in sorted(tools)[:_SHOWN])
        more = f" and {len(tools) - _SHOWN} more" if len(tools) > _SHOWN else ""
        parts.append(f"the tools are {shown}{more}")
    return "; ".join(parts)


def _spellings(name: str) -> Iterator[str]:
    bare = _NUMBER.sub("", name.partition("<|")[0].strip())
    yield _letters(bare)
    yield _letters(re.split(r"[.:/]", bare)[-1])


def _letters(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()
