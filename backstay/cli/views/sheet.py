"""Writes rows as CSV for spreadsheets: what people or models named can become no formula there."""

import csv
import io
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from backstay.kernel.characters import escaped

_FORMULA = ("=", "+", "-", "@")


def sheet(columns: Sequence[str], rows: Iterable[Mapping[str, str | int | None]]) -> str:
    """Returns rows as CSV with a line of headings.

    All texts are quoted: a spreadsheet that separates by semicolons would else begin a cell within a name.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writeheader()
    writer.writerows({name: _inert(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _inert(value: str | int | None) -> str | int | None:
    """Returns a value that stays a text where it is one; wide signs of equality begin a formula as narrow ones do."""
    if not isinstance(value, str):
        return value
    shown = escaped(value)
    begins = unicodedata.normalize("NFKC", shown.lstrip()[:1])
    return f"'{shown}" if begins.startswith(_FORMULA) else shown
