"""Finds calls in async tools that block their event loop, before any run meets them."""

import ast
import builtins
import inspect
import socket
import subprocess
import textwrap
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .function import Tool
from .placed import PlacedTool

_KNOWN: tuple[Callable[..., Any], ...] = (
    time.sleep,
    subprocess.run,
    subprocess.call,
    subprocess.check_call,
    subprocess.check_output,
    socket.create_connection,
    urllib.request.urlopen,
    input,
)
_CLIENTS = ("requests", "httpx", "httpx2")
"""Packages whose plain functions wait for the network."""


@dataclass(frozen=True, slots=True)
class Blocking:
    """A call that blocks: the tool, the call as it is written, its file and line."""

    tool: str
    call: str
    where: str


def blocking_calls(tool: PlacedTool) -> list[Blocking]:
    """Returns the calls in the body of an async tool that are known to block; none for a plain function."""
    if not isinstance(tool, Tool):
        return []  # of a server nothing can be said
    function = inspect.unwrap(tool.function)
    if not inspect.iscoroutinefunction(function):
        return []
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, SyntaxError):
        return []  # without its source nothing can be said of it
    return [
        Blocking(tool.spec.name, ast.unparse(call.func), f"{inspect.getsourcefile(function)}:{first + call.lineno - 1}")
        for call in _calls(tree.body[0])
        if _blocks(_meant(call.func, function.__globals__))
    ]


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    """Yields the calls of a function's own body: functions inside it may be meant for a thread."""
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.FunctionDef | ast.Lambda):
            continue
        if isinstance(inner, ast.Call):
            yield inner
        yield from _calls(inner)


def _meant(written: ast.expr, names: dict[str, Any]) -> object:
    """Returns what a name such as `time.sleep` stands for where the function was written; None where unknown."""
    if isinstance(written, ast.Name):
        return names.get(written.id, getattr(builtins, written.id, None))
    if isinstance(written, ast.Attribute):
        return getattr(_meant(written.value, names), written.attr, None)
    return None


def _blocks(meant: object) -> bool:
    if not callable(meant):
        return False
    home = str(getattr(meant, "__module__", "")).partition(".")[0]
    return any(meant is known for known in _KNOWN) or (inspect.isfunction(meant) and home in _CLIENTS)
