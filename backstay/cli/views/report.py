"""Shows how a run ended, and its budget, as tables."""

from decimal import Decimal

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from backstay.contracts.budget import BudgetLimits, LimitsInForce, Spent
from backstay.contracts.exposure import Sums, over_many_runs
from backstay.contracts.run import RunResult
from backstay.kernel.characters import escaped

from ..shell.terminal import clean

_BAR = 20
_ROOMY = 72
"""From this width on, the figures of a budget leave room for bars."""
_DIMENSIONS = ("steps", "model_calls", "tool_calls", "tokens", "usd", "seconds")
STATUS_STYLE = {"completed": "green", "stopped": "yellow", "failed": "red"}


def result_table(result: RunResult, ui: str | None) -> Table:
    """Shows the answer of a run, how it ended and what it spent."""
    table = Table.grid(padding=(0, 3))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    if result.answer is not None:
        table.add_row("answer", clean(result.answer))
    table.add_row("status", Text.assemble((result.status, STATUS_STYLE.get(result.status, "")), _why(result)))
    if result.stop_explained:
        table.add_row("why", clean(result.stop_explained))
    for call in result.in_flight:
        table.add_row("in flight", f"{clean(call.tool)} (call {call.call_id}): {call.outcome}")
    for child in result.children:
        why = f" ({child.stop_reason})" if child.stop_reason not in (None, child.status) else ""
        table.add_row(
            "child run", f"{clean(child.agent)} {escaped(child.run_id)}: {child.status}{why} · ${child.spent.usd}"
        )
    table.add_row("spent", spent_line(result.spent, result.budget))
    table.add_row("run", escaped(result.run_id))
    if ui:
        table.add_row("ui", ui)
    return table


def _why(result: RunResult) -> str:
    if result.status == "completed":
        return ""
    detail = f" ({' '.join(clean(result.stop_detail).split())})" if result.stop_detail else ""
    return f" · {result.stop_reason}{detail}"


def spent_line(spent: Spent, budget: BudgetLimits) -> str:
    """Says what was spent in a few words."""
    limit = f" of ${budget.usd}" if budget.usd is not None else ""
    unbilled = f" (${spent.usd_unbilled} of it not billed, counted as held)" if Decimal(spent.usd_unbilled) else ""
    parts = [
        f"${spent.usd}{limit}{unbilled}",
        _plural(spent.steps, "step"),
        _plural(spent.tool_calls, "tool call"),
        f"{spent.input_tokens + spent.output_tokens:,} tokens",
        f"{spent.seconds} s",
    ]
    return " · ".join([*parts, *(f"{amount} {clean(meter)}" for meter, amount in spent.exposure.items())])


def _plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def budget_table(budget: LimitsInForce, spent: Spent, held: Spent | None, exposure: Sums | None = None) -> Table:
    """Shows every limit in force with the amounts spent, held and left; in the bar █ is spent, ▒ is held.

    Meters without a limit are shown too, and of `exposure` the sums of all runs of the tenant. Where the terminal is
    narrow the bars give way, and long names are folded: a figure is never cut.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("budget", overflow="fold")
    for name in ("spent", "held", "left", "limit"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for name in _DIMENSIONS:
        limit = getattr(budget, name)
        if limit is not None:
            _row(table, name, _amount(spent, name), _amount(held, name), Decimal(limit), money=name == "usd")
    for tool, limits in sorted(budget.tools.items()):
        if limits.calls is not None:
            held_calls = Decimal(held.tools.get(tool, 0) if held else 0)
            _row(table, clean(tool), Decimal(spent.tools.get(tool, 0)), held_calls, Decimal(limits.calls))
    for meter, limit in budget.exposure.items():
        done, kept = (Decimal(one.exposure.get(meter, 0) if one else 0) for one in (spent, held))
        if limit is None:
            table.add_row(clean(meter), f"{done:,}", f"{kept:,}", "-", "-", "")
        else:
            _row(table, clean(meter), done, kept, Decimal(limit))
    for label, total in over_many_runs(exposure or {}):
        table.add_row(clean(label), f"{Decimal(total):,}", "-", "-", "-", "")
    return table


def _amount(spent: Spent | None, name: str) -> Decimal:
    if spent is None:
        return Decimal(0)
    return Decimal(spent.input_tokens + spent.output_tokens if name == "tokens" else getattr(spent, name))


def _row(table: Table, name: str, spent: Decimal, held: Decimal, limit: Decimal, money: bool = False) -> None:
    figures = [f"${figure:f}" if money else f"{figure:,}" for figure in (spent, held, limit - spent - held, limit)]
    table.add_row(name, *figures, _Bar(spent, held, limit))


class _Bar:
    """A bar that is as long as there is room; a narrow terminal has none."""

    def __init__(self, spent: Decimal, held: Decimal, limit: Decimal) -> None:
        self._shares = (spent / limit if limit else Decimal(1), held / (limit or Decimal(1)))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Says how long it may be."""
        longest = min(_BAR, options.max_width) if console.width >= _ROOMY else 0
        return Measurement(min(1, longest), longest)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draws it."""
        length = self.__rich_measure__(console, options).maximum
        filled, kept = (_cells(share, length) for share in self._shares)
        kept = min(length - filled, kept)
        style = "red" if filled + kept >= length else "green"
        yield Text.assemble(("█" * filled, style), ("▒" * kept, "yellow"), ("░" * (length - filled - kept), "dim"))


def _cells(share: Decimal, length: int) -> int:
    """Counts the cells of a share; any above zero shows."""
    return min(length, max(1 if share > 0 else 0, int(share * length)))
