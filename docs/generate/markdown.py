"""Writes Markdown: pages that say that they are generated, and tables with any text in a cell."""

from collections.abc import Iterable, Sequence


def page(title: str, introduction: str, *parts: str) -> str:
    """Returns a page of the reference."""
    note = "<!-- Generated from the code by `make reference`: change the code's docstrings, not this file. -->"
    return "\n\n".join([f"# {title}", note, introduction, *parts]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a table; line breaks and bars in a cell are spelled so that the table keeps its form."""
    lines = [_row(head), _row(["---"] * len(head))]
    return "\n".join([*lines, *map(_row, rows)])


def code(text: str) -> str:
    """Returns a text as inline code, nothing for no text."""
    return f"`{text}`" if text else ""


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
