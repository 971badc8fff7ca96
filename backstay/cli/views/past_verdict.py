"""Shows the verdicts over past calls: what was asked, which rule decided, and where the values came from."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from backstay.contracts.card import origin_words
from backstay.kernel.excerpt import excerpts, on_one_line

from ..shell.terminal import clean

_STYLE = {"allow": "green", "deny": "red", "require_approval": "yellow"}
_OVER_ALL = ("targets", "items", "texts", "carries", "parts", "accepted")


def past_verdicts(calls: Iterable[dict[str, Any]]) -> Group:
    """Lays out calls one below the other."""
    return Group(*(_call(one) for one in calls))


def _call(one: dict[str, Any]) -> Table:
    table = Table.grid(padding=(0, 3))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    table.add_row(f"step {one['step']}", Text(on_one_line(one["tool"]), "bold"))
    table.add_row("outcome", Text.assemble((one["outcome"], _STYLE[one["outcome"]]), f" · {one['code']}"))
    table.add_row("decided by", ", ".join(map(on_one_line, one["deciding"])) or "no rule")
    if one["message"]:
        table.add_row("message", clean(one["message"]))
    origins: dict[str, Any] = one["origins"] or {}
    for argument in excerpts(one["args"] or {}):
        table.add_row("", argument.line)
        if origins and argument.name in origins["sources"]:
            told = [origins[part].get(argument.name, []) for part in ("sources", "copied", "within")]
            said = origin_words(*told)
            table.add_row("", Text(f"  {said}", "cyan"))
    if not origins:
        table.add_row("", Text("no rule read where the values came from", "dim"))
    for label in _OVER_ALL if origins else ():
        table.add_row(label, _listed(origins[label]))
    table.add_row("", "")
    return table


def _listed(words: Sequence[str]) -> str:
    return ", ".join(map(on_one_line, words)) or "-"
