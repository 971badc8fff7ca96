"""Describes every command from its own help."""

import os
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from typer.main import get_command

from backstay.cli import COMMANDS, app

from .markdown import code, page, table

_TEXT = """\
`backstay COMMAND --help` says the same. Tables are for people and `-o json` is for programs. Data goes to standard
output, everything else to standard error."""
_EXITS = (
    ("0", "completed"),
    ("1", "failed"),
    ("2", "usage or configuration"),
    ("3", "stopped by governance"),
    ("4", "not found"),
    ("5", "Temporal unreachable"),
    ("124", "the wait timed out"),
    ("130", "interrupted"),
)


def commands() -> str:
    """Returns the page about commands."""
    exits = "## Exit codes\n\n" + table(("code", "meaning"), _EXITS)
    with patch.dict(os.environ, {"COLUMNS": "400"}):
        root: Any = get_command(app)
        context = root.make_context("backstay", [], resilient_parsing=True)
        parts = [
            part for name in COMMANDS for part in _described(root.resolve_command(context, [name])[1], context, name)
        ]
    return page("Commands", _TEXT, *parts, exits)


def _described(command: Any, parent: Any, name: str) -> Iterator[str]:
    context = type(parent)(command, parent=parent, info_name=name, resilient_parsing=True)
    path = context.command_path
    pieces = " ".join(command.collect_usage_pieces(context))
    yield f"## `{path}`\n\n    {path} {pieces}\n\n{_words(command.help or '')}"
    records = [record for one in command.get_params(context) if (record := one.get_help_record(context))]
    given = [(code(" ".join(left.split())), " ".join(right.split())) for left, right in records if "--help" not in left]
    if given:
        yield table(("argument or option", "meaning"), given)
    for inner in getattr(command, "commands", {}).values():
        yield from _described(inner, context, inner.name)


def _words(text: str) -> str:
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
