"""Draws plots as inline SVG: no script, no network, and readable from 390 pixels on."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from backstay.kernel.money import MICRO

_WIDTH = 400
_BAR, _GAP = 30, 34
_LONGEST_BAR = 300
_LEFT, _TOP, _BOTTOM = 44, 14, 34
_HEIGHT = 200
_CELL, _CELLS_IN_A_ROW = 34, 10


@dataclass(frozen=True, slots=True)
class Bar:
    """Describes a bar; `side` is the class by which it is coloured."""

    side: str
    label: str
    value: int


def bars(title: str, shown: Sequence[Bar]) -> Markup:
    """Draws a bar for each value, with its label above and its value behind."""
    most = max((bar.value for bar in shown), default=0) or 1
    parts: list[Markup] = []
    for number, bar in enumerate(shown):
        top = number * (_BAR + _GAP)
        length = max(2, round(_LONGEST_BAR * bar.value / most))
        parts.append(Markup('<text x="0" y="{}" class="label">{}</text>').format(top + 15, bar.label))
        rectangle = '<rect x="0" y="{}" width="{}" height="{}" rx="4" class="{}"/>'
        parts.append(Markup(rectangle).format(top + 24, length, _BAR, bar.side))
        value = '<text x="{}" y="{}" class="value">{}</text>'
        parts.append(Markup(value).format(length + 10, top + 24 + _BAR - 8, f"{bar.value:,}"))
    return _drawing(title, len(shown) * (_BAR + _GAP), parts)


def curves(title: str, loop: Sequence[int], governed: Sequence[int], limit: int) -> Markup:
    """Draws what two sides have spent after each call, in micro-dollars, and the limit as a line."""
    most_calls = max(len(loop), len(governed), 1)
    most = max(*loop, *governed, limit) * 1.08
    bottom = _HEIGHT - _BOTTOM

    def x(calls: int) -> float:
        return round(_LEFT + (_WIDTH - _LEFT - 10) * calls / most_calls, 1)

    def y(micros: float) -> float:
        return round(_TOP + (bottom - _TOP) * (1 - micros / most), 1)

    parts = [_line(_LEFT, bottom, _WIDTH, bottom, "axis")]
    for micros in _ticks(most):
        label = '<text x="{}" y="{}" class="tick" text-anchor="end">{}</text>'
        parts.append(Markup(label).format(_LEFT - 6, y(micros) + 4, f"{micros / MICRO:.6f}".rstrip("0").rstrip(".")))
        parts.append(_line(_LEFT, y(micros), _WIDTH, y(micros), "grid"))
    parts.append(_line(_LEFT, y(limit), _WIDTH, y(limit), "limit"))
    parts.append(_text(_WIDTH, y(limit) - 6, "tick limit-label", f"agreed: ${limit / MICRO:.2f}"))
    parts.append(_text(_WIDTH, _HEIGHT - 8, "tick", f"{most_calls} model calls"))
    for side, spent in (("loop", loop), ("governed", governed)):
        points = " ".join(f"{x(calls)},{y(micros)}" for calls, micros in enumerate([0, *spent]))
        parts.append(Markup('<polyline points="{}" class="curve {}"/>').format(points, side))
        end = '<circle cx="{}" cy="{}" r="5" class="{}"/>'
        parts.append(Markup(end).format(x(len(spent)), y(spent[-1] if spent else 0), side))
    return _drawing(title, _HEIGHT, parts)


def cells(title: str, runs: Sequence[bool]) -> Markup:
    """Draws a cell for each run, with a cross where it is spoiled and a tick where it is not."""
    parts: list[Markup] = []
    for number, spoiled in enumerate(runs):
        row, column = divmod(number, _CELLS_IN_A_ROW)
        left, top = column * (_CELL + 6), row * (_CELL + 6)
        rectangle = '<rect x="{}" y="{}" width="{}" height="{}" rx="5" class="{}"/>'
        parts.append(Markup(rectangle).format(left, top, _CELL, _CELL, "loop" if spoiled else "governed"))
        sign = '<text x="{}" y="{}" class="sign" text-anchor="middle">{}</text>'
        parts.append(Markup(sign).format(left + _CELL / 2, top + _CELL / 2 + 6, "✗" if spoiled else "✓"))
    rows = -(-len(runs) // _CELLS_IN_A_ROW)
    return _drawing(title, rows * (_CELL + 6), parts)


def _ticks(most: float) -> list[int]:
    """Returns three to six round amounts of micro-dollars from zero on."""
    power = 10 ** max(0, len(str(int(most))) - 1)
    step = next(step for part in (1, 2, 5, 10) if most / (step := max(1, power * part // 5)) <= 6)
    return [step * number for number in range(int(most / step) + 1)]


def _line(left: float, top: float, right: float, bottom: float, kind: str) -> Markup:
    return Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" class="{}"/>').format(left, top, right, bottom, kind)


def _text(right: float, y: float, kind: str, text: str) -> Markup:
    return Markup('<text x="{}" y="{}" class="{}" text-anchor="end">{}</text>').format(right, y, kind, text)


def _drawing(title: str, height: int, parts: Sequence[Markup]) -> Markup:
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}"><title>{}</title>')
    return head.format(_WIDTH, height, title, title) + Markup("").join(parts) + Markup("</svg>")
