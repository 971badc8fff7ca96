"""Lays rows out in columns; where the terminal is too narrow for them, each row in a block of its own."""

from collections.abc import Generator, Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

Cell = str | Text
_GAP = 2
_BOUNDLESS = 100_000
_ROOMY = 120
"""From this width on columns are folded rather than given up."""


class Columns:
    """A table that stays readable at any width; columns without a single value are left out.

    Args:
        names: a heading for each column; the first column names the row.
        right: the columns whose values stand at their right edge.
    """

    def __init__(self, names: Sequence[str], right: Sequence[str] = ()) -> None:
        self._names = names
        self._right = right
        self._rows: list[Sequence[Cell]] = []

    def add(self, *cells: Cell) -> None:
        """Adds a row."""
        self._rows.append(cells)

    def __len__(self) -> int:
        """Counts the rows."""
        return len(self._rows)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draws the table, or the blocks."""
        table = self._table()
        natural = Measurement.get(console, options.update(max_width=_BOUNDLESS), table).maximum
        if natural <= options.max_width or options.max_width >= _ROOMY:
            yield table
        else:
            yield from self._blocks()

    def _used(self) -> list[int]:
        return [at for at in range(len(self._names)) if not at or any(str(row[at]) for row in self._rows)]

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
        used = self._used()
        for at in used:
            name = self._names[at]
            table.add_column(name, overflow="fold", justify="right" if name in self._right else "left")
        for row in self._rows:
            table.add_row(*(row[at] for at in used))
        return table

    def _blocks(self) -> Generator[Text | Padding]:
        for row in self._rows:
            yield Text.assemble((str(row[0]), "bold"), overflow="fold")
            parts = [
                Text.assemble((f"{self._names[at]} ", "dim"), row[at]) for at in range(1, len(row)) if str(row[at])
            ]
            if parts:
                yield Padding(Text(" · ").join(parts), (0, 0, 0, _GAP))
