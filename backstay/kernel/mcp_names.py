"""Names the tools of MCP servers: one name for rules and people, another that every model server takes."""

import hashlib
import re
from collections import Counter
from collections.abc import Collection

PREFIX = "mcp:"
LONGEST_FUNCTION = 64
"""The longest name of a function that model servers take."""
_TOOL = re.compile(r"[A-Za-z0-9._/-]{1,128}")
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")
_BETWEEN = "__"
_HASH_DIGITS = 8


def tool_name(server: str, tool: str) -> str:
    """Returns the name of a server's tool, as agent.toml, rules and people write it."""
    return f"{PREFIX}{server}/{tool}"


def split_name(name: str) -> tuple[str, str] | None:
    """Returns the server and the tool of such a name, or a pattern of tools; None for any other name."""
    server, slash, tool = name.removeprefix(PREFIX).partition("/")
    return (server, tool) if name.startswith(PREFIX) and server and slash and tool else None


def is_usable(tool: str) -> bool:
    """Tells whether a tool's own name may be used: rules and lists of tools could not hold any other."""
    return _TOOL.fullmatch(tool) is not None


def function_names(names: Collection[str], taken: Collection[str] = ()) -> dict[str, str]:
    """Returns the name under which a model gets to see each tool; no two are equal.

    Most names only have their marks replaced. One that would be too long, lose a character, or be that of another tool
    ends with a digest of the whole name. They are looked up, and never read back.

    Args:
        names: the tools' names, each once.
        taken: the names of further tools of the agent.
    """
    plain = {name: _plain(name) for name in names}
    digested = {name: _digested(name) for name in names}
    wanted = Counter(plain.values())
    others = {*taken, *digested.values()}

    def chosen(name: str) -> str:
        own = plain[name]
        return own if own is not None and wanted[own] == 1 and own not in others else digested[name]

    return {name: chosen(name) for name in names}


def _parts(name: str) -> tuple[str, str]:
    return split_name(name) or ("", name)


def _plain(name: str) -> str | None:
    """Returns a name with its marks replaced; None where that says less than the name."""
    parts = _parts(name)
    if any(_BETWEEN in part or _FOREIGN.search(part) for part in parts):
        return None
    whole = _joined(parts)
    return whole if len(whole) <= LONGEST_FUNCTION else None


def _digested(name: str) -> str:
    whole = _FOREIGN.sub("_", _joined(_parts(name)))
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]
    return f"{whole[: LONGEST_FUNCTION - 1 - _HASH_DIGITS]}_{digest}"


def _joined(parts: tuple[str, str]) -> str:
    return _BETWEEN.join(("mcp", *parts))
