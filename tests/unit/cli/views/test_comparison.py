"""A comparison is one table where there is room, and a small one for each scenario where there is not."""

import pytest
from rich.console import Console

from backstay.cli.views import comparison
from backstay.compare.measure import Bill, End, Side
from backstay.compare.scenarios import SCENARIOS
from backstay.compare.stage import Compared

SIDE = Side(Bill(13_200, (13_200,)), 3, 120, 0, 0, 1, (End("policy_denied"),), (False,))
FOUND = [Compared(scenario, SIDE, SIDE) for scenario in SCENARIOS]


def printed(monkeypatch: pytest.MonkeyPatch, width: int) -> list[str]:
    console = Console(width=width)
    monkeypatch.setattr(comparison, "data", lambda: console)
    with console.capture() as captured:
        console.print(*comparison.tables(FOUND), sep="\n")
    return captured.get().splitlines()


def test_a_wide_terminal_shows_two_lines_for_each_scenario(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(monkeypatch, 160)
    assert len(lines) == 1 + 2 * len(SCENARIOS)
    assert all("0.0132" in line and "policy_denied" in line for line in lines[1:])


def test_60_columns_are_enough_to_read_every_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(monkeypatch, 60)
    assert max(map(len, lines)) <= 60
    assert sum("distinct outcomes" in line for line in lines) == len(SCENARIOS)
    assert not any("…" in line for line in lines)


def test_each_figure_is_told_what_it_measures() -> None:
    told = [name for line in comparison.MEANT for name in line.partition(":")[0].split(", ")]
    assert set(told) == {
        "model calls",
        "tool calls",
        "USD",
        "risky effects",
        "duplicates",
        "distinct outcomes",
        "ended",
    }
