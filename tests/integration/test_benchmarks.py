"""The benchmark runs to its end, says something of each contender, and refuses one that leaves a step out."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import contenders, page
from benchmarks.__main__ import main
from benchmarks.contenders import BACKSTAY, PEERS_PYTHON, Contender
from benchmarks.load import Load, load_of
from benchmarks.report import Report, in_turns
from benchmarks.rig import rig
from benchmarks.table import as_json, as_table, report_of

ROOT = Path(__file__).resolve().parents[2]
FULL = os.environ.get("BACKSTAY_SOAK") == "1"


async def quick(file: Path, *more: str) -> dict[str, Any]:
    command = (sys.executable, "-m", "benchmarks", "--quick", "--json", str(file), *more)
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, capture_output=True, text=True, timeout=110, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    assert "| steps/s, all runs at once |" in done.stdout
    return json.loads(file.read_text())


def report(ours: list[float], others: list[float]) -> Report:
    rounds = {
        "backstay": [{"steps_per_s": speed} for speed in ours],
        "floor": [{"steps_per_s": speed, "events_per_step": 12.0} for speed in others],
    }
    return Report("throughput", {"rounds": len(ours)}, rounds, {})


async def test_a_quick_benchmark_measures_every_contender_of_ours(tmp_path: Path) -> None:
    read = await quick(tmp_path / "figures.json")
    assert read["plan"] == {"rounds": 1, "runs": 5, "steps": 5, "workers": [1]}
    assert set(read["medians"]) == {"backstay", "floor", "naive", "plain"}
    assert all(figure > 0 for rows in read["rounds"].values() for row in rows for figure in row.values())
    assert read["ratios"]["floor"]["steps_per_s"] > 0
    assert read["medians"]["plain"]["events_per_step"] is None
    assert read["medians"]["floor"]["events_per_step"] < read["medians"]["backstay"]["events_per_step"] < 20


@pytest.mark.soak
@pytest.mark.skipif(not FULL or not PEERS_PYTHON.exists(), reason="`make peers` installs what the peers need")
async def test_a_quick_benchmark_measures_the_peers_where_they_are_installed(tmp_path: Path) -> None:
    read = await quick(tmp_path / "figures.json", "--contenders", "openai-agents,pydantic-ai")
    assert set(read["medians"]) == {"openai-agents", "pydantic-ai"}
    assert all(rows["steps_per_s"] > 0 and rows["events_per_step"] > 12 for rows in read["medians"].values())


async def test_a_contender_that_leaves_a_step_out_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_few(_: Contender, wanted: Load) -> list[Any]:
        return [wanted.goal, wanted.steps - 1]

    monkeypatch.setattr(Contender, "input", too_few)
    async with rig((contenders.FLOOR,)) as built:
        with pytest.raises(RuntimeError, match="floor: 2 calls of the tool instead of 3"):
            await built.carry(contenders.FLOOR, 1, Load(3))


def test_a_ratio_is_the_median_over_rounds_side_by_side() -> None:
    found = report([9.0, 20.0, 80.0], [10.0, 40.0, 100.0])
    assert found.ratio("steps_per_s", "backstay", "floor") == 0.8
    assert found.ratio("events_per_step", "backstay", "floor") is None
    assert "| steps/s, all runs at once | 20.0 | 40.0 (0.80) |" in as_table(found)
    assert "| history events per step | – | 12.0 |" in as_table(found)


def test_the_page_says_what_is_worse_and_what_is_better(tmp_path: Path) -> None:
    (tmp_path / "benchmarks").mkdir()
    readme = tmp_path / "benchmarks" / "README.md"
    readme.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    file = tmp_path / "figures.json"
    file.write_text(json.dumps(as_json(report([9.0], [10.0]))))
    page.write([file], tmp_path)
    written = (tmp_path / "docs" / "benchmarks.md").read_text()
    assert "Beside floor, worse: steps/s, all runs at once (0.90). Better: nothing." in written
    assert ">floor</text>" in (tmp_path / "docs" / "images" / "bench-steps_per_s.svg").read_text()
    assert "old" not in readme.read_text()
    assert "| steps/s, all runs at once | 9.00 | 10.0 (0.90) |" in readme.read_text()


def test_figures_go_nowhere_where_no_marks_stand() -> None:
    with pytest.raises(ValueError, match="the marks"):
        page.between("a text", "figures")


def test_a_report_survives_its_file() -> None:
    found = report([9.0], [10.0])
    assert report_of(json.loads(json.dumps(as_json(found)))) == found


async def test_every_second_round_goes_backwards() -> None:
    order: list[str] = []

    async def measured(one: Contender) -> dict[str, float]:
        order.append(one.name)
        return {}

    await in_turns((BACKSTAY, contenders.FLOOR), 2, measured)
    assert order == ["backstay", "floor", "floor", "backstay"]


def test_a_load_is_read_out_of_its_goal() -> None:
    assert load_of(f"Please: {Load(50, 2_000, 3).goal}") == Load(50, 2_000, 3)
    with pytest.raises(ValueError, match="no goal"):
        load_of("File some cards.")


def test_who_is_measured_can_be_named_in_any_order() -> None:
    assert [one.name for one in contenders.named("plain,backstay")] == ["backstay", "plain"]
    with pytest.raises(ValueError, match="nobody is called autogpt"):
        contenders.named("backstay,autogpt")


@pytest.mark.soak
@pytest.mark.skipif(not FULL, reason="the other groups")
@pytest.mark.parametrize(
    ("group", "figure"),
    [
        ("history", "bytes_per_step_5_steps_200_B"),
        ("long", "worker_cpu_ms_at_step_30"),
        ("start", "start_cpu_ms"),
        ("served", "steps_per_s_after"),
    ],
)
def test_every_group_measures(group: str, figure: str, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    assert main([group, "--quick", "--contenders", "backstay,floor", "--json", str(file)]) == 0
    read = json.loads(file.read_text())
    assert read["group"] == group
    assert read["notes"] == {}
    assert all(rows[0][figure] > 0 for rows in read["rounds"].values())


@pytest.mark.parametrize("wrong", ["0", "-1", "many", "10001"])
def test_a_count_that_makes_no_sense_is_a_usage_error(wrong: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--rounds", wrong])
    assert ended.value.code == 2
