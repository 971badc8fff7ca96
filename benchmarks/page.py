"""Writes docs/benchmarks.md, its plots and the README's table from files of figures: no number is typed by hand."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from .contenders import BACKSTAY, ROOT
from .report import Report
from .table import as_table, label, report_of

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
PLOTTED = ("steps_per_s", "worker_cpu_s_per_1000_steps", "ms_per_step_alone", "history_bytes_per_step")
MORE_IS_BETTER = "steps_per_s"
_ROW, _LEFT, _WIDTH = 26, 130, 640


def write(files: Sequence[Path], root: Path = ROOT) -> None:
    """Writes the page, its plots, and the table between the marks of benchmarks/README.md."""
    read = [json.loads(file.read_text()) for file in files]
    images = root / "docs" / "images"
    images.mkdir(parents=True, exist_ok=True)
    parts = ["# Benchmarks", _machine(read[0]["machine"])]
    for one in read:
        report = report_of(one)
        parts += [f"## {report.group.capitalize()}", as_table(report), _words(report)]
        for figure in PLOTTED:
            if figure in report.names():
                (images / f"bench-{figure}.svg").write_text(plot(report, figure))
                parts.append(f"![{label(figure)}](images/bench-{figure}.svg)")
    parts.append("How each figure is measured, and how to repeat it, stands in `benchmarks/README.md`.")
    (root / "docs" / "benchmarks.md").write_text("\n\n".join(part for part in parts if part) + "\n")
    readme = root / "benchmarks" / "README.md"
    readme.write_text(between(readme.read_text(), f"{_machine(read[0]['machine'])}\n\n{as_table(report_of(read[0]))}"))


def between(text: str, figures: str) -> str:
    """Returns the text with the figures between its marks.

    Raises:
        ValueError: the text has no marks.
    """
    if BEGIN not in text or END not in text:
        raise ValueError(f"the marks {BEGIN} and {END} are missing")
    return f"{text[: text.index(BEGIN)]}{BEGIN}\n\n{figures}\n\n{text[text.index(END) :]}"


def plot(report: Report, figure: str) -> str:
    """Draws one bar per contender."""
    found = {one: value for one in report.rounds if (value := report.median(one, figure)) is not None}
    most, height = max(found.values()), _ROW * (len(found) + 1) + 10
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"',
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<text x="8" y="18" font-weight="bold">{escape(label(figure))}</text>',
    ]
    for place, (one, value) in enumerate(found.items(), 1):
        top, width = place * _ROW + 4, (_WIDTH - _LEFT - 90) * value / most
        colour = "#1f6f8b" if one == BACKSTAY.name else "#b8b8b8"
        lines += [
            f'<text x="{_LEFT - 8}" y="{top + 14}" text-anchor="end">{escape(one)}</text>',
            f'<rect x="{_LEFT}" y="{top}" width="{width:.1f}" height="{_ROW - 8}" fill="{colour}"/>',
            f'<text x="{_LEFT + width + 6:.1f}" y="{top + 14}">{value:,.1f}</text>',
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _words(report: Report) -> str:
    """Says of each contender what is better with us and what is worse."""
    lines: list[str] = []
    for one in report.rounds:
        if one == BACKSTAY.name or BACKSTAY.name not in report.rounds:
            continue
        better, worse = list[str](), list[str]()
        for figure in report.names():
            ratio = report.ratio(figure, BACKSTAY.name, one)
            if ratio is not None:
                good = ratio > 1 if figure.startswith(MORE_IS_BETTER) else ratio < 1
                (better if good else worse).append(f"{label(figure)} ({ratio:.2f})")
        lines.append(
            f"- Beside {one}, worse: {', '.join(worse) or 'nothing'}. Better: {', '.join(better) or 'nothing'}."
        )
    return "\n".join(lines)


def _machine(machine: dict[str, Any]) -> str:
    return "Measured on: " + ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in machine.items()) + "."
