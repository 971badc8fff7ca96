"""Plots are well-formed drawings that show their values."""

from xml.etree import ElementTree

import pytest

from backstay.compare.plots import Bar, bars, cells, curves

SVG = "{http://www.w3.org/2000/svg}"


def parsed(drawing: str) -> ElementTree.Element:
    return ElementTree.fromstring(str(drawing).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" '))


def test_bars_are_as_long_as_their_values() -> None:
    drawing = parsed(bars("calls", [Bar("loop", "Loop & co", 1_200), Bar("governed", "Governed", 300)]))
    assert [int(bar.attrib["width"]) for bar in drawing.iter(f"{SVG}rect")] == [300, 75]
    assert [text.text for text in drawing.iter(f"{SVG}text")] == ["Loop & co", "1,200", "Governed", "300"]


def test_bars_of_nothing_are_still_seen() -> None:
    drawing = parsed(bars("calls", [Bar("loop", "Loop", 0), Bar("governed", "Governed", 0)]))
    assert all(int(bar.attrib["width"]) > 0 for bar in drawing.iter(f"{SVG}rect"))


@pytest.mark.parametrize("loop", [[], [10], [10_000, 25_000, 395_021]])
def test_curves_lead_from_nothing_through_every_call_and_stay_inside(loop: list[int]) -> None:
    drawing = parsed(curves("spend", loop, [10_000, 20_000], limit=50_000))
    _, _, width, height = map(int, drawing.attrib["viewBox"].split())
    drawn, _ = (line.attrib["points"].split() for line in drawing.iter(f"{SVG}polyline"))
    assert len(drawn) == len(loop) + 1
    for x, y in (map(float, point.split(",")) for point in drawn):
        assert 0 <= x <= width
        assert 0 <= y <= height


def test_the_amounts_at_the_side_are_round() -> None:
    drawing = parsed(curves("spend", [395_021], [47_391], limit=50_000))
    amounts = [text.text for text in drawing.iter(f"{SVG}text") if text.attrib["class"] == "tick"]
    assert amounts[:5] == ["0", "0.1", "0.2", "0.3", "0.4"]


def test_a_spoiled_run_has_a_cross() -> None:
    drawing = parsed(cells("runs", [True, False, True]))
    assert [text.text for text in drawing.iter(f"{SVG}text")] == ["✗", "✓", "✗"]
