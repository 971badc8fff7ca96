"""Describes `@tool` and what a tool is told about its call."""

import dataclasses
import inspect

from backstay.tools import ToolCall
from backstay.tools import tool as decorator
from backstay.tools.declare import ToolOptions

from .documented import documented, prose
from .markdown import code, page, table

_TEXT = """\
A tool is a Python function in `agents/NAME/tools.py` that `@tool` marks. Its parameters need type hints; any type that
pydantic reads from JSON will do. The model reads its docstring."""
_CALL = """\
A tool that names `call: ToolCall` as its first parameter is told about its call. It may leave `call` out."""


def tool() -> str:
    """Returns the page about tools."""
    defaults = inspect.signature(decorator).parameters
    said = documented(ToolOptions, [name for name in defaults if name != "function"])
    options = [(code(name), _default(defaults[name].default), text) for name, text in said.items()]
    shown = [field.name for field in dataclasses.fields(ToolCall) if field.repr]
    told = documented(ToolCall, shown)
    fields = [(code(name), told[name]) for name in shown]
    methods = [
        (code("secret(name)"), prose(ToolCall.secret)),
        (code("report_cost(usd)"), prose(ToolCall.report_cost)),
        (code("raise_alarm(reason)"), prose(ToolCall.raise_alarm)),
    ]
    return page(
        "@tool",
        _TEXT,
        "## Options",
        table(("option", "default", "meaning"), options),
        'Durations are texts such as `"500ms"`, `"30s"`, `"10m"` and `"24h"`; money is a decimal text in USD.',
        "## ToolCall",
        _CALL,
        table(("name", "meaning"), [*fields, *methods]),
    )


def _default(value: object) -> str:
    if value is None or value == ():
        return ""
    return code(f'"{value}"' if isinstance(value, str) else str(value).lower())
