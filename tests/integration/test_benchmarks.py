"""The benchmark runs to its end, and says something of each contender."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.measure import Figures, Plan, Report
from benchmarks.table import as_table

ROOT = Path(__file__).resolve().parents[2]


def figures(steps_per_s: float) -> Figures:
    return Figures(steps_per_s, 20.0, 40.0, 12.0, 1800.0, 120.0)


async def test_a_quick_benchmark_measures_both_contenders(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "benchmarks", "--quick", "--json", str(tmp_path / "figures.json"))
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, capture_output=True, text=True, timeout=110, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    assert "| steps/s, all runs at once |" in done.stdout
    read = json.loads((tmp_path / "figures.json").read_text())
    assert read["plan"] == {"rounds": 1, "runs": 5, "steps": 5}
    assert set(read["medians"]) == {"backstay", "floor"}
    assert all(figure > 0 for contender in read["medians"].values() for figure in contender.values())
    assert read["share_of_floor"] > 0
    assert read["medians"]["floor"]["events_per_step"] < read["medians"]["backstay"]["events_per_step"] < 20


def test_the_share_of_the_floor_is_the_median_over_rounds_side_by_side() -> None:
    ours, floors = [9.0, 20.0, 80.0], [10.0, 40.0, 100.0]
    rounds = {"backstay": [figures(speed) for speed in ours], "floor": [figures(speed) for speed in floors]}
    report = Report(Plan(rounds=3), rounds)
    assert report.share_of_floor() == 0.8
    assert "| steps/s, all runs at once | 20.0 | 40.0 | 0.50 |" in as_table(report)


@pytest.mark.parametrize("wrong", ["0", "-1", "many", "1001"])
def test_a_count_that_makes_no_sense_is_a_usage_error(wrong: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--rounds", wrong])
    assert ended.value.code == 2
